create view lab.layer_metrics as
select
    c.model,
    m.kind,
    c.step,
    c.revision,
    a.dataset,
    a.layer,
    a.stream,
    f.measure,
    f.version,
    split_part(f.variant, '/', 1) as procedure,
    split_part(f.variant, '/', 2) as positions,
    nullif(split_part(f.variant, '/', 3), '') as detail,
    f.value,
    f.std_error,
    f.n_used,
    f.n_dropped,
    f.note,
    f.site_id,
    f.run_id,
    r.finished_at as measured_at
from main.layer_metrics f
join main.runs r on r.run_id = f.run_id
join main.activations a on a.site_id = f.site_id
join main.checkpoints c on c.checkpoint_id = a.checkpoint_id
join main.models m on m.model = c.model
qualify row_number() over (
    partition by c.model, m.kind, c.step, c.revision, a.dataset, a.layer, a.stream, f.measure, f.version, f.variant, f.site_id
    order by r.finished_at desc, f.run_id desc
) = 1;

comment on view lab.layer_metrics is 'Every metric of every site in long form: the newest row of each measure, version and variant';
comment on column lab.layer_metrics.model is 'the model''s name in the store';
comment on column lab.layer_metrics.kind is 'decoder or encoder';
comment on column lab.layer_metrics.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.layer_metrics.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
comment on column lab.layer_metrics.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.layer_metrics.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.layer_metrics.stream is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.layer_metrics.measure is 'the measure''s name, as in lab.measures';
comment on column lab.layer_metrics.version is 'version of the measure';
comment on column lab.layer_metrics.procedure is 'corrected, or released: as the published study''s authors run it';
comment on column lab.layer_metrics.positions is 'tokens it is of: all, not-first or not-special';
comment on column lab.layer_metrics.detail is 'what more tells rows of one measure apart, such as gaussian or scale-8; NULL for the plain value';
comment on column lab.layer_metrics.value is 'the estimate in the measure''s unit; NULL where it is undefined, and then note says why';
comment on column lab.layer_metrics.std_error is 'its standard error';
comment on column lab.layer_metrics.n_used is 'points or tokens it was computed from';
comment on column lab.layer_metrics.n_dropped is 'points that were left out';
comment on column lab.layer_metrics.note is 'why the value is undefined, or what to know of it';
comment on column lab.layer_metrics.site_id is 'the site: checkpoint, dataset, layer and stream';
comment on column lab.layer_metrics.run_id is 'the run that computed it';
comment on column lab.layer_metrics.measured_at is 'when that run ended, UTC';
