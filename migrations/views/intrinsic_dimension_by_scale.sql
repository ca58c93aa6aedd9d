create view lab.intrinsic_dimension_by_scale as
select
    c.model,
    m.kind,
    c.step,
    a.dataset,
    a.layer,
    a.stream,
    split_part(f.variant, '/', 2) as positions,
    cast(replace(replace(split_part(f.variant, '/', 3), 'scale-', ''), '-gaussian', '') as integer) as scale,
    arg_max_null(f.value, (f.version, r.finished_at, f.run_id)) filter (f.variant not like '%-gaussian') as gride,
    arg_max_null(f.std_error, (f.version, r.finished_at, f.run_id)) filter (f.variant not like '%-gaussian') as std_error,
    arg_max_null(f.value, (f.version, r.finished_at, f.run_id)) filter (f.variant like '%-gaussian') as gride_gaussian,
    arg_max_null(f.n_used, (f.version, r.finished_at, f.run_id)) filter (f.variant not like '%-gaussian') as n_used,
    arg_max_null(f.n_dropped, (f.version, r.finished_at, f.run_id)) filter (f.variant not like '%-gaussian') as n_dropped,
    c.revision
from main.layer_metrics f
join main.runs r on r.run_id = f.run_id
join main.activations a on a.site_id = f.site_id
join main.checkpoints c on c.checkpoint_id = a.checkpoint_id
join main.models m on m.model = c.model
where f.measure = 'gride' and f.variant like 'corrected/%/scale-%'
group by c.model, m.kind, c.step, a.dataset, a.layer, a.stream, c.revision, a.site_id, split_part(f.variant, '/', 2),
    cast(replace(replace(split_part(f.variant, '/', 3), 'scale-', ''), '-gaussian', '') as integer);

comment on view lab.intrinsic_dimension_by_scale is 'Gride: the intrinsic dimension as a function of scale, one row a site, position filter and scale, newest run';
comment on column lab.intrinsic_dimension_by_scale.model is 'the model''s name in the store';
comment on column lab.intrinsic_dimension_by_scale.kind is 'decoder or encoder';
comment on column lab.intrinsic_dimension_by_scale.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.intrinsic_dimension_by_scale.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.intrinsic_dimension_by_scale.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.intrinsic_dimension_by_scale.stream is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.intrinsic_dimension_by_scale.positions is 'tokens it is of: all, not-first or not-special';
comment on column lab.intrinsic_dimension_by_scale.scale is 'k: the ratio is of the distances to neighbours 2k and k, so larger is coarser';
comment on column lab.intrinsic_dimension_by_scale.gride is 'intrinsic dimension at this scale';
comment on column lab.intrinsic_dimension_by_scale.std_error is 'standard error of gride';
comment on column lab.intrinsic_dimension_by_scale.gride_gaussian is 'gride of a Gaussian cloud with the same spectrum and number of points, where it was computed';
comment on column lab.intrinsic_dimension_by_scale.n_used is 'points it was computed from';
comment on column lab.intrinsic_dimension_by_scale.n_dropped is 'points that were left out, repeated ones above all';
comment on column lab.intrinsic_dimension_by_scale.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
