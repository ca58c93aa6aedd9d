create view lab.causal_trace as
select
    c.model,
    m.kind,
    c.step,
    c.revision,
    t.task,
    t.layer,
    t.place,
    coalesce(t.restored, 'state') as restored,
    coalesce(t.restored_layers, 1) as restored_layers,
    t.effect,
    t.std_error,
    t.n,
    t.answer,
    t.answer_probability,
    t.note,
    t.task_id,
    t.checkpoint_id,
    t.run_id,
    r.finished_at as measured_at
from main.causal_traces t
join main.runs r on r.run_id = t.run_id
join main.checkpoints c on c.checkpoint_id = t.checkpoint_id
join main.models m on m.model = c.model
qualify rank() over (
    partition by t.checkpoint_id, t.task_id order by r.finished_at desc, t.run_id desc
) = 1;

comment on view lab.causal_trace is 'Where in a decoder what it says of a subject is recalled: how much of its own answer comes back when one layers states, or the MLPs of some layers, are restored at one place after noise on the subject (Meng 2022), newest run';
comment on column lab.causal_trace.model is 'the network''s name in the store';
comment on column lab.causal_trace.kind is 'decoder, encoder or vision';
comment on column lab.causal_trace.step is 'optimiser step; NULL where nobody said';
comment on column lab.causal_trace.revision is 'the hub''s commit, or the digest of its weights';
comment on column lab.causal_trace.task is 'the name of the task whose cases were traced';
comment on column lab.causal_trace.layer is 'depth of the block whose output is restored, or in the middle of the MLPs that are, 1 to L';
comment on column lab.causal_trace.place is 'subject-first, subject-middle, subject-last, after-subject, further or last: where in the text';
comment on column lab.causal_trace.restored is 'state (the output of a block) or mlp (what MLPs add to the states): the layer where ROME edits is the one of the largest effect of mlp at subject-last, unless note says otherwise';
comment on column lab.causal_trace.restored_layers is 'of how many layers at once, fewer at both ends: 1 of states, 10 of 48 of MLPs, 1 at least';
comment on column lab.causal_trace.effect is 'probability of the answer when restored, less that with noise; 0 says that nothing comes back';
comment on column lab.causal_trace.std_error is 'its standard error over cases; NULL for one case';
comment on column lab.causal_trace.n is 'how many cases it is of';
comment on column lab.causal_trace.answer is 'the token that the network itself finds the likeliest where the task asks, of several cases all that there are; NULL in rows of versions that followed the target that the task asks for';
comment on column lab.causal_trace.answer_probability is 'its probability without noise; mean over cases';
comment on column lab.causal_trace.note is 'why the layer cannot be told by these effects, and which one is taken; NULL where it can';
comment on column lab.causal_trace.task_id is 'id of what is asked of the network';
comment on column lab.causal_trace.checkpoint_id is 'id of the network';
comment on column lab.causal_trace.run_id is 'the run that computed it';
comment on column lab.causal_trace.measured_at is 'when that run ended, UTC';
