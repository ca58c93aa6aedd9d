create view lab.checkpoints as
select
    c.model,
    c.step,
    c.revision,
    c.checkpoint_id,
    c.tokens_seen
from main.checkpoints c;

comment on view lab.checkpoints is 'The checkpoints that were measured';
comment on column lab.checkpoints.model is 'the model''s name in the store';
comment on column lab.checkpoints.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.checkpoints.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
comment on column lab.checkpoints.checkpoint_id is 'model, step and revision in 16 hex digits';
comment on column lab.checkpoints.tokens_seen is 'tokens it was trained on, where that is known';
