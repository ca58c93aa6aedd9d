create view lab.pair_metrics as
select
    ca.model as model_a,
    ca.step as step_a,
    ca.revision as revision_a,
    aa.layer as layer_a,
    aa.stream as stream_a,
    cb.model as model_b,
    cb.step as step_b,
    cb.revision as revision_b,
    ab.layer as layer_b,
    ab.stream as stream_b,
    aa.dataset,
    f.measure,
    f.version,
    split_part(f.variant, '/', 1) as positions,
    coalesce(try_cast(nullif(split_part(f.variant, '/without-top-', 2), '') as integer), 0) as without_top,
    f.value,
    f.std_error,
    f.null_mean,
    f.null_std,
    f.z,
    f.p,
    f.permutations,
    coalesce(f.permuted, 'points') as permuted,
    f.pairs,
    f.note,
    f.site_a,
    f.site_b,
    f.run_id,
    r.finished_at as measured_at
from main.pair_metrics f
join main.runs r on r.run_id = f.run_id
join main.activations aa on aa.site_id = f.site_a
join main.activations ab on ab.site_id = f.site_b
join main.checkpoints ca on ca.checkpoint_id = aa.checkpoint_id
join main.checkpoints cb on cb.checkpoint_id = ab.checkpoint_id
qualify row_number() over (
    partition by f.site_a, f.site_b, f.measure, f.version, f.variant, coalesce(f.permuted, 'points')
    order by r.finished_at desc, f.run_id desc
) = 1;

comment on view lab.pair_metrics is 'Every comparison of a layer of one network with a layer of another in long form: the newest row of each measure, version and variant by each kind of random pairing';
comment on column lab.pair_metrics.model_a is 'the first network''s name in the store';
comment on column lab.pair_metrics.step_a is 'its optimiser step; NULL where nobody said';
comment on column lab.pair_metrics.revision_a is 'the hub''s commit, or the digest of its weights';
comment on column lab.pair_metrics.layer_a is 'depth in the first network: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.pair_metrics.stream_a is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.pair_metrics.model_b is 'the second network''s name in the store';
comment on column lab.pair_metrics.step_b is 'its optimiser step; NULL where nobody said';
comment on column lab.pair_metrics.revision_b is 'the hub''s commit, or the digest of its weights';
comment on column lab.pair_metrics.layer_b is 'depth in the second network: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.pair_metrics.stream_b is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.pair_metrics.dataset is 'the dataset''s key; both networks read the same texts';
comment on column lab.pair_metrics.measure is 'the measure''s name, as in lab.measures';
comment on column lab.pair_metrics.version is 'version of the measure';
comment on column lab.pair_metrics.positions is 'tokens it is of: all or not-first';
comment on column lab.pair_metrics.without_top is 'how many top principal components were taken out of both clouds; 0 for none';
comment on column lab.pair_metrics.value is 'the estimate in the measure''s unit; NULL where it is undefined, and then note says why';
comment on column lab.pair_metrics.std_error is 'its standard error; NULL where none is known';
comment on column lab.pair_metrics.null_mean is 'mean of the value over random pairings of the same points';
comment on column lab.pair_metrics.null_std is 'standard deviation of the value over random pairings';
comment on column lab.pair_metrics.z is 'standard deviations between value and null_mean, positive where more alike than chance; NULL where the null does not vary';
comment on column lab.pair_metrics.p is '(1 + random pairings at least as alike) / (1 + random pairings)';
comment on column lab.pair_metrics.permutations is 'how many random pairings';
comment on column lab.pair_metrics.permuted is 'what a random pairing puts in another order: items (whole texts or images, whose points stay together; single points where no two have several) or points (each for itself, which takes any two networks for alike because the points of one text are), as in all rows from before there was a choice';
comment on column lab.pair_metrics.pairs is 'places in the texts where both networks have a state';
comment on column lab.pair_metrics.note is 'why the value is undefined, or what to know of it, such as too few points for the width';
comment on column lab.pair_metrics.site_a is 'the site in the first network';
comment on column lab.pair_metrics.site_b is 'the site in the second network';
comment on column lab.pair_metrics.run_id is 'the run that computed it';
comment on column lab.pair_metrics.measured_at is 'when that run ended, UTC';
