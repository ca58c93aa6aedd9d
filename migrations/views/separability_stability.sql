create view lab.separability_stability as
select
    c.model,
    m.kind,
    c.step,
    f.dataset,
    f.procedure,
    f.from_layer,
    f.across,
    f.layer,
    f.top,
    f.pairs,
    f.overlap,
    f.overlap_low,
    f.overlap_high,
    f.chance,
    c.revision
from main.top_dimension_overlaps f
join main.runs r on r.run_id = f.run_id
join main.checkpoints c on c.checkpoint_id = f.checkpoint_id
join main.models m on m.model = c.model
qualify row_number() over (
    partition by f.checkpoint_id, f.dataset, f.procedure, f.from_layer, f.across, f.layer, f.top
    order by r.finished_at desc, f.run_id desc
) = 1;

comment on view lab.separability_stability is 'The overlap of the dimensions that contribute most, between classifiers trained on other texts or on the same texts resampled, newest run';
comment on column lab.separability_stability.model is 'the model''s name in the store';
comment on column lab.separability_stability.kind is 'decoder or encoder';
comment on column lab.separability_stability.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.separability_stability.dataset is 'the key of the dataset that the classifier was trained on; every choice that is not the default stands in it';
comment on column lab.separability_stability.procedure is 'corrected, or released: as the published study''s authors run it';
comment on column lab.separability_stability.from_layer is 'the first layer that was to be told: 0 with the input embedding, 1 without it';
comment on column lab.separability_stability.across is 'splits (other texts held out) or resamples (the same texts drawn again with replacement)';
comment on column lab.separability_stability.layer is 'the layer that is decided for';
comment on column lab.separability_stability.top is 'how many dimensions count as the top';
comment on column lab.separability_stability.pairs is 'pairs of classifiers';
comment on column lab.separability_stability.overlap is 'share of the top dimensions that two classifiers have in common, mean over pairs';
comment on column lab.separability_stability.overlap_low is 'the 2.5th percentile of the pairs';
comment on column lab.separability_stability.overlap_high is 'the 97.5th percentile';
comment on column lab.separability_stability.chance is 'top / width: what two random choices have in common';
comment on column lab.separability_stability.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
