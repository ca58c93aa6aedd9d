create view lab.loss_by_checkpoint as
select
    c.model,
    m.kind,
    c.step,
    l.dataset,
    l.loss,
    l.tokens,
    c.revision
from main.checkpoint_losses l
join main.runs r on r.run_id = l.run_id
join main.checkpoints c on c.checkpoint_id = l.checkpoint_id
join main.models m on m.model = c.model
qualify row_number() over (
    partition by c.model, m.kind, c.step, c.revision, l.dataset, l.checkpoint_id order by r.finished_at desc, l.run_id desc
) = 1;

comment on view lab.loss_by_checkpoint is 'A network''s own cross-entropy on a dataset, one row a checkpoint and dataset, newest run';
comment on column lab.loss_by_checkpoint.model is 'the model''s name in the store';
comment on column lab.loss_by_checkpoint.kind is 'decoder or encoder';
comment on column lab.loss_by_checkpoint.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.loss_by_checkpoint.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.loss_by_checkpoint.loss is 'mean cross-entropy in nats a predicted token; NULL where it is not finite';
comment on column lab.loss_by_checkpoint.tokens is 'predictions it is the mean of';
comment on column lab.loss_by_checkpoint.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
