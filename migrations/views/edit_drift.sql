create view lab.edit_drift as
select
    e.model,
    e.kind,
    e.step,
    e.revision,
    e.task,
    e.method,
    e.layer as edited_layer,
    e.rank,
    e.alpha,
    e.limited_to,
    e.seed,
    d.dataset,
    d.layer,
    d.layer_name,
    d.stream,
    d.measure,
    d.before,
    d.after,
    d.after - d.before as change,
    case when d.before is null then d.after end as compared,
    d.std_error,
    d.n,
    d.note,
    d.edit_id,
    d.run_id,
    r.finished_at as measured_at
from main.edit_layers d
join main.runs r on r.run_id = d.run_id
join lab.edits e on e.edit_id = d.edit_id
qualify row_number() over (
    partition by d.edit_id, d.dataset, d.layer, d.stream, d.measure order by r.finished_at desc, d.run_id desc
) = 1;

comment on view lab.edit_drift is 'Which layers an edit moved: a measure of the shape of their states before and after, or of the dissimilarity of both; newest run';
comment on column lab.edit_drift.model is 'the network''s name in the store';
comment on column lab.edit_drift.kind is 'decoder, encoder or vision';
comment on column lab.edit_drift.step is 'optimiser step; NULL where nobody said';
comment on column lab.edit_drift.revision is 'the hub''s commit, or the digest of its weights';
comment on column lab.edit_drift.task is 'the task''s name: what is asked of the network';
comment on column lab.edit_drift.method is 'fine-tuning, one-layer, low-rank, 1-li (one layer moved by alpha from its weights before to those tuned), interpolation (the same of all weights), rewriting (of a layers states, rank by rank) or rome';
comment on column lab.edit_drift.edited_layer is 'name of the module whose weights change; of fine-tuning the first that may, NULL for all of them';
comment on column lab.edit_drift.rank is 'rank of the change; NULL where the method has none';
comment on column lab.edit_drift.alpha is 'how far the weights go from those before (0) to those that were tuned (1); NULL where the method has none';
comment on column lab.edit_drift.limited_to is 'what constrains the change, in words: rank 1, alpha 0.5, one layer, from a layer on, all layers';
comment on column lab.edit_drift.seed is 'draws the exemplars and whatever else is random';
comment on column lab.edit_drift.dataset is 'the key of the items whose states are compared';
comment on column lab.edit_drift.layer is 'depth: 0 is the embedding, 1 to L the blocks';
comment on column lab.edit_drift.layer_name is 'the module''s name in its network; NULL where it was not noted';
comment on column lab.edit_drift.stream is 'embedding, residual or final';
comment on column lab.edit_drift.measure is 'the measure''s name: of the shape of the states, or of the dissimilarity of both networks';
comment on column lab.edit_drift.before is 'its value in the untouched network; NULL where it compares both networks';
comment on column lab.edit_drift.after is 'its value in the edited network, or of both compared; NULL where undefined, and then note says why';
comment on column lab.edit_drift.change is 'after less before; NULL where the measure compares both networks';
comment on column lab.edit_drift.compared is 'after, where the measure compares both networks: a distance of 0, or a similarity of 1, says that the layer did not move; NULL otherwise';
comment on column lab.edit_drift.std_error is 'standard error of after';
comment on column lab.edit_drift.n is 'how many points it is of';
comment on column lab.edit_drift.note is 'what is to be known of it';
comment on column lab.edit_drift.edit_id is 'id of the network, the task, the method and every setting';
comment on column lab.edit_drift.run_id is 'the run that computed it';
comment on column lab.edit_drift.measured_at is 'when that run ended, UTC';
