create view lab.linearity_by_layer as
select
    f.model,
    f.kind,
    f.step,
    f.dataset,
    f.layer,
    f.stream,
    arg_max_null(f.value, f.recency) filter (f.what = 'linearity corrected/all') as linearity,
    arg_max_null(f.value, f.recency) filter (f.what = 'linearity_of_update corrected/all') as linearity_of_update,
    arg_max_null(f.value, f.recency) filter (f.what = 'linearity corrected/not-first') as linearity_not_first,
    arg_max_null(f.value, f.recency) filter (f.what = 'linearity_of_update corrected/not-first') as linearity_of_update_not_first,
    arg_max_null(f.n_used, f.recency) filter (f.what = 'linearity corrected/all') as n_used,
    arg_max_null(f.note, f.recency) filter (f.what = 'linearity corrected/all') as note,
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
        f.n_used,
        f.note
    from main.layer_metrics f
    join main.runs r on r.run_id = f.run_id
    join main.activations a on a.site_id = f.site_id
    join main.checkpoints c on c.checkpoint_id = a.checkpoint_id
    join main.models m on m.model = c.model
    where f.measure || ' ' || f.variant in (
        'linearity corrected/all',
        'linearity_of_update corrected/all',
        'linearity corrected/not-first',
        'linearity_of_update corrected/not-first'
    )
) f
group by f.model, f.kind, f.step, f.dataset, f.layer, f.stream, f.revision, f.site_id;

comment on view lab.linearity_by_layer is 'How well a linear map leads from the layer before to this one, one row a site: all tokens unless a suffix says otherwise, newest run; 1 is a linear map';
comment on column lab.linearity_by_layer.model is 'the model''s name in the store';
comment on column lab.linearity_by_layer.kind is 'decoder or encoder';
comment on column lab.linearity_by_layer.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.linearity_by_layer.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.linearity_by_layer.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.linearity_by_layer.stream is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.linearity_by_layer.linearity is 'share of the normalised cloud that the best linear map of the layer before explains';
comment on column lab.linearity_by_layer.linearity_of_update is 'the same for what the block adds to the residual stream';
comment on column lab.linearity_by_layer.linearity_not_first is 'linearity without each text''s first token';
comment on column lab.linearity_by_layer.linearity_of_update_not_first is 'linearity of the update without each text''s first token';
comment on column lab.linearity_by_layer.n_used is 'points that linearity was computed from';
comment on column lab.linearity_by_layer.note is 'why linearity is undefined, or what to know of it';
comment on column lab.linearity_by_layer.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
