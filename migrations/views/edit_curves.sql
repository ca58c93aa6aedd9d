create view lab.edit_curves as
select
    c.model,
    c.step,
    e.task,
    e.method,
    e.layer,
    case
        when e.method in ('1-li', 'interpolation') then 'alpha ' || format('{:g}', e.alpha)
        when e.rank is not null then 'rank ' || e.rank
        when e.method = 'fine-tuning' and e.layer is null then 'all layers'
        when e.method = 'fine-tuning' then 'from ' || e.layer || ' on'
        else 'one layer'
    end || case when e.variant = 'released' then ', as released' else '' end as limited_to,
    e.learning_rate,
    e.seed,
    f.step as fit_step,
    f.loss,
    f.edit_id,
    f.run_id
from main.edit_curves f
join main.runs r on r.run_id = f.run_id
join main.edits e on e.edit_id = f.edit_id and e.run_id = f.run_id
join main.checkpoints c on c.checkpoint_id = e.checkpoint_id
qualify rank() over (partition by f.edit_id order by r.finished_at desc, f.run_id desc) = 1;

comment on view lab.edit_curves is 'How the edits of lab.edits were fitted: the loss on the exemplars by step, the newest run; of 1-li and interpolation that of the weights as they are tuned, at alpha 1, whatever the edit''s alpha';
comment on column lab.edit_curves.model is 'the network''s name in the store';
comment on column lab.edit_curves.step is 'optimiser step; NULL where nobody said';
comment on column lab.edit_curves.task is 'the task''s name: what is asked of the network';
comment on column lab.edit_curves.method is 'fine-tuning, one-layer, low-rank, 1-li (one layer moved by alpha from its weights before to those tuned), interpolation (the same of all weights), rewriting (of a layers states, rank by rank) or rome';
comment on column lab.edit_curves.layer is 'name of the module whose weights change; of fine-tuning the first that may, NULL for all of them';
comment on column lab.edit_curves.limited_to is 'what constrains the change, in words: rank 1, alpha 0.5, one layer, from a layer on, all layers';
comment on column lab.edit_curves.learning_rate is 'its learning rate';
comment on column lab.edit_curves.seed is 'draws the exemplars and whatever else is random';
comment on column lab.edit_curves.fit_step is 'optimiser steps made before the loss was taken';
comment on column lab.edit_curves.loss is 'mean loss on the exemplars, in the unit of the method; NULL where it is no finite number';
comment on column lab.edit_curves.edit_id is 'id of the network, the task, the method and every setting';
comment on column lab.edit_curves.run_id is 'the run that computed it';
