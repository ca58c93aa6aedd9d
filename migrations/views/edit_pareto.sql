create view lab.edit_pareto as
select
    t.model,
    t.kind,
    t.step,
    t.revision,
    t.task,
    t.method,
    t.layer,
    t.rank,
    t.alpha,
    t.limited_to,
    t.dataset,
    t.families,
    t.corruptions,
    t.judged_under,
    t.edits,
    t.tasks,
    t.seeds,
    t.steps,
    t.learning_rate,
    t.success,
    t.success_low,
    t.success_high,
    t.robustness_change,
    t.robustness_change_low,
    t.robustness_change_high,
    t.clean_change,
    t.locality
from lab.edit_tradeoff t
where t.on_front;

comment on view lab.edit_pareto is 'The Pareto front of lab.edit_tradeoff: what gives most success for the robustness that it costs';
comment on column lab.edit_pareto.model is 'the network''s name in the store';
comment on column lab.edit_pareto.kind is 'decoder, encoder or vision';
comment on column lab.edit_pareto.step is 'optimiser step; NULL where nobody said';
comment on column lab.edit_pareto.revision is 'the hub''s commit, or the digest of its weights';
comment on column lab.edit_pareto.task is 'the task''s name; NULL for the mean over all tasks';
comment on column lab.edit_pareto.method is 'fine-tuning, one-layer, low-rank, 1-li (one layer moved by alpha from its weights before to those tuned), interpolation (the same of all weights), rewriting (of a layers states, rank by rank) or rome';
comment on column lab.edit_pareto.layer is 'name of the module whose weights change; of fine-tuning the first that may, NULL for all of them';
comment on column lab.edit_pareto.rank is 'rank of the change; NULL where the method has none';
comment on column lab.edit_pareto.alpha is 'how far the weights go from those before (0) to those that were tuned (1); NULL where the method has none';
comment on column lab.edit_pareto.limited_to is 'what constrains the change, in words: rank 1, alpha 0.5, one layer, from a layer on, all layers';
comment on column lab.edit_pareto.dataset is 'the key of the items that robustness is judged on';
comment on column lab.edit_pareto.families is 'how many families of corruptions it is judged under';
comment on column lab.edit_pareto.corruptions is 'how many families and severities';
comment on column lab.edit_pareto.judged_under is 'id of which families and severities they are: only what has the same one is to be compared';
comment on column lab.edit_pareto.edits is 'how many edits it is over';
comment on column lab.edit_pareto.tasks is 'how many tasks';
comment on column lab.edit_pareto.seeds is 'how many seeds';
comment on column lab.edit_pareto.steps is 'optimiser steps of the fits; NULL where they differ';
comment on column lab.edit_pareto.learning_rate is 'their learning rate; NULL where they differ';
comment on column lab.edit_pareto.success is 'share of held-out cases that come out as asked, 0 to 1; mean over edits';
comment on column lab.edit_pareto.success_low is 'lower end of its 95 % interval over edits (Student''s t, cut at 0); NULL for one edit';
comment on column lab.edit_pareto.success_high is 'upper end of that interval, cut at 1';
comment on column lab.edit_pareto.robustness_change is 'accuracy under corruption, less that of the untouched network: mean over families and severities, then over edits; below 0 robustness was lost';
comment on column lab.edit_pareto.robustness_change_low is 'lower end of its 95 % interval over edits';
comment on column lab.edit_pareto.robustness_change_high is 'upper end of that interval';
comment on column lab.edit_pareto.clean_change is 'accuracy without corruption, less that of the untouched network';
comment on column lab.edit_pareto.locality is 'share of unrelated inputs that the untouched network tells alike';
