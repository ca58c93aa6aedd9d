create view lab.drift_explained_variance as
select
    c.model,
    m.kind,
    c.step,
    f.dataset,
    split_part(f.variant, '/', 1) as procedure,
    split_part(split_part(f.variant, '/', 3), '-', 2) = 'normalised' as normalised,
    right(f.variant, 1)::integer as from_layer,
    split_part(f.variant, '/pca', 2)[1]::integer as component,
    f.value as explained_variance,
    c.revision
from main.checkpoint_metrics f
join main.runs r on r.run_id = f.run_id
join main.checkpoints c on c.checkpoint_id = f.checkpoint_id
join main.models m on m.model = c.model
where f.measure = 'drift_explained_variance'
qualify row_number() over (
    partition by f.checkpoint_id, f.dataset, f.variant order by f.version desc, r.finished_at desc, f.run_id desc
) = 1;

comment on view lab.drift_explained_variance is 'Share of the variance of all layers'' points along each axis of lab.drift_points where that is a principal component, newest run';
comment on column lab.drift_explained_variance.model is 'the model''s name in the store';
comment on column lab.drift_explained_variance.kind is 'decoder or encoder';
comment on column lab.drift_explained_variance.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.drift_explained_variance.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.drift_explained_variance.procedure is 'corrected (first tokens left out) or released (all tokens, by PCA of normalised vectors alone)';
comment on column lab.drift_explained_variance.normalised is 'whether every vector was scaled to length 1 first';
comment on column lab.drift_explained_variance.from_layer is 'the least deep layer in it: 0 with the input embedding, 1 without';
comment on column lab.drift_explained_variance.component is '1 is the x axis, 2 the y axis';
comment on column lab.drift_explained_variance.explained_variance is 'share of the variance along it, 0 to 1';
comment on column lab.drift_explained_variance.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
