create view lab.training_losses as
select
    l.model,
    l.step,
    l.loss,
    l.gradient_norm,
    l.update_norm,
    l.learning_rate,
    l.source
from main.training_losses l
join main.runs r on r.run_id = l.run_id
qualify row_number() over (
    partition by l.model, l.step order by l.source = 'monitor' desc, r.finished_at desc, l.run_id desc
) = 1;

comment on view lab.training_losses is 'Loss curves, one row a step: as a monitor saw it where one ran, else the newest import';
comment on column lab.training_losses.model is 'the training''s name in the store';
comment on column lab.training_losses.step is 'optimiser steps made when the row was logged';
comment on column lab.training_losses.loss is 'training loss in nats a token; NULL where it was not finite';
comment on column lab.training_losses.gradient_norm is 'norm of the gradient before clipping; NULL where unknown or not finite';
comment on column lab.training_losses.update_norm is 'norm of the change of all weights in that step; NULL where unknown';
comment on column lab.training_losses.learning_rate is 'learning rate of the step; NULL where unknown';
comment on column lab.training_losses.source is 'monitor, or the file that the row was imported from';
