create view lab.released_and_corrected as
select
    c.model,
    c.step,
    a.dataset,
    a.layer,
    a.stream,
    f.measure,
    arg_max_null(f.value, (f.version, r.finished_at, f.run_id)) filter (f.variant = 'released/all') as released,
    arg_max_null(f.std_error, (f.version, r.finished_at, f.run_id)) filter (f.variant = 'released/all') as released_std_error,
    arg_max_null(f.value, (f.version, r.finished_at, f.run_id)) filter (f.variant = 'corrected/all') as corrected,
    arg_max_null(f.std_error, (f.version, r.finished_at, f.run_id)) filter (f.variant = 'corrected/all') as corrected_std_error,
    arg_max_null(f.value, (f.version, r.finished_at, f.run_id)) filter (f.variant = 'released/all')
    - arg_max_null(f.value, (f.version, r.finished_at, f.run_id)) filter (f.variant = 'corrected/all') as difference,
    arg_max_null(f.n_used, (f.version, r.finished_at, f.run_id)) filter (f.variant = 'released/all') as n_released,
    arg_max_null(f.n_used, (f.version, r.finished_at, f.run_id)) filter (f.variant = 'corrected/all') as n_corrected,
    c.revision
from main.layer_metrics f
join main.runs r on r.run_id = f.run_id
join main.activations a on a.site_id = f.site_id
join main.checkpoints c on c.checkpoint_id = a.checkpoint_id
join main.models m on m.model = c.model
where f.variant in ('released/all', 'corrected/all')
group by c.model, c.step, a.dataset, a.layer, a.stream, f.measure, c.revision, a.site_id
having count(*) filter (f.variant = 'released/all') > 0 and count(*) filter (f.variant = 'corrected/all') > 0;

comment on view lab.released_and_corrected is 'A published study''s own procedure beside the corrected one, on all tokens: one row a site and measure for which both were run, newest runs';
comment on column lab.released_and_corrected.model is 'the model''s name in the store';
comment on column lab.released_and_corrected.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.released_and_corrected.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.released_and_corrected.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.released_and_corrected.stream is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.released_and_corrected.measure is 'the measure''s name';
comment on column lab.released_and_corrected.released is 'the value by the procedure as its authors run it';
comment on column lab.released_and_corrected.released_std_error is 'its standard error';
comment on column lab.released_and_corrected.corrected is 'the value by the corrected procedure';
comment on column lab.released_and_corrected.corrected_std_error is 'its standard error';
comment on column lab.released_and_corrected.difference is 'released minus corrected';
comment on column lab.released_and_corrected.n_released is 'points that the released procedure used';
comment on column lab.released_and_corrected.n_corrected is 'points that the corrected procedure used';
comment on column lab.released_and_corrected.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
