create view lab.runs as
select
    r.run_id,
    r.experiment,
    coalesce(c.model, r.model) as model,
    c.step,
    r.dataset,
    r.parameters,
    r.code_version,
    r.seed,
    r.device,
    r.prefect_flow_run_id,
    r.started_at,
    r.finished_at,
    coalesce(r.seconds_load, 0) + coalesce(r.seconds_extract, 0) + coalesce(r.seconds_measure, 0) + coalesce(r.seconds_record, 0) as seconds,
    r.seconds_load,
    r.seconds_extract,
    r.seconds_measure,
    r.seconds_record
from main.runs r
left join main.checkpoints c on c.checkpoint_id = r.checkpoint_id;

comment on view lab.runs is 'The runs that were recorded: of one checkpoint each, of a stretch of a training, or of a study';
comment on column lab.runs.run_id is 'the run in 16 hex digits';
comment on column lab.runs.experiment is 'the experiment that ran';
comment on column lab.runs.model is 'the model''s name in the store';
comment on column lab.runs.step is 'optimiser step of the checkpoint; NULL where nobody said, and for a training';
comment on column lab.runs.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.runs.parameters is 'what was asked of it, as JSON';
comment on column lab.runs.code_version is 'version of Isoscope';
comment on column lab.runs.seed is 'seed of everything random in it';
comment on column lab.runs.device is 'where the network ran';
comment on column lab.runs.prefect_flow_run_id is 'the Prefect flow run it belongs to';
comment on column lab.runs.started_at is 'when it started, UTC';
comment on column lab.runs.finished_at is 'when it ended, UTC';
comment on column lab.runs.seconds is 'seconds of all stages together';
comment on column lab.runs.seconds_load is 'seconds to load the network; NULL if it was not loaded';
comment on column lab.runs.seconds_extract is 'seconds of the forward pass and of writing summaries; NULL if there was none';
comment on column lab.runs.seconds_measure is 'seconds to measure';
comment on column lab.runs.seconds_record is 'seconds to prepare the rows for the ledger';
