create view lab.norms_by_layer as
select
    f.model,
    f.kind,
    f.step,
    f.dataset,
    f.layer,
    f.stream,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_min corrected/all') as norm_min,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_mean corrected/all') as norm_mean,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_max corrected/all') as norm_max,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'norm_mean corrected/all') as norm_mean_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_mean corrected/not-first') as norm_mean_not_first,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_max corrected/not-first') as norm_max_not_first,
    f.revision
from (
    select
        c.model,
        m.kind,
        c.step,
        c.revision,
        a.dataset,
        a.layer,
        a.stream,
        f.site_id,
        f.measure || ' ' || f.variant as what,
        (f.version, r.finished_at, f.run_id) as recency,
        f.value,
        f.std_error
    from main.layer_metrics f
    join main.runs r on r.run_id = f.run_id
    join main.activations a on a.site_id = f.site_id
    join main.checkpoints c on c.checkpoint_id = a.checkpoint_id
    join main.models m on m.model = c.model
    where f.measure || ' ' || f.variant in (
        'norm_min corrected/all',
        'norm_mean corrected/all',
        'norm_max corrected/all',
        'norm_mean corrected/not-first',
        'norm_max corrected/not-first'
    )
) f
group by f.model, f.kind, f.step, f.dataset, f.layer, f.stream, f.revision, f.site_id;

comment on view lab.norms_by_layer is 'Euclidean norms of the hidden states, one row a site: all tokens unless a suffix says otherwise, newest run';
comment on column lab.norms_by_layer.model is 'the model''s name in the store';
comment on column lab.norms_by_layer.kind is 'decoder or encoder';
comment on column lab.norms_by_layer.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.norms_by_layer.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.norms_by_layer.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.norms_by_layer.stream is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.norms_by_layer.norm_min is 'smallest norm';
comment on column lab.norms_by_layer.norm_mean is 'mean norm';
comment on column lab.norms_by_layer.norm_max is 'largest norm';
comment on column lab.norms_by_layer.norm_mean_std_error is 'standard error of norm_mean';
comment on column lab.norms_by_layer.norm_mean_not_first is 'mean norm without each text''s first token';
comment on column lab.norms_by_layer.norm_max_not_first is 'largest norm without each text''s first token';
comment on column lab.norms_by_layer.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
