create view lab.edit_costs as
select
    e.model,
    e.step,
    e.task,
    e.method,
    e.limited_to,
    e.seed,
    b.dataset,
    b.sample,
    max(b.change) filter (b.severity = 0) as clean_change,
    max(b.change_std_error) filter (b.severity = 0) as clean_change_std_error,
    avg(b.change) filter (b.severity > 0) as robustness_change,
    avg(b.change_std_error) filter (b.severity > 0) as robustness_change_std_error,
    avg(b.effective_robustness_change) filter (b.severity > 0) as effective_robustness_change,
    avg(b.calibration_change) filter (b.severity > 0) as calibration_change,
    count(distinct b.corruption) filter (b.severity > 0) as families,
    count(b.change) filter (b.severity > 0) as corruptions,
    left(md5(string_agg(
        b.corruption || ' ' || b.severity, ', ' order by b.corruption, b.severity
    ) filter (b.severity > 0)), 16) as judged_under,
    e.edit_id,
    max(b.measured_at) as measured_at
from lab.edits e
join lab.edit_robustness b on b.edit_id = e.edit_id
group by all;

comment on view lab.edit_costs is 'What each edit costs on a dataset: the change of accuracy, clean and in the mean over families of corruptions and their severities';
comment on column lab.edit_costs.model is 'the network''s name in the store';
comment on column lab.edit_costs.step is 'optimiser step; NULL where nobody said';
comment on column lab.edit_costs.task is 'the task''s name: what is asked of the network';
comment on column lab.edit_costs.method is 'fine-tuning, one-layer, low-rank, 1-li (one layer moved by alpha from its weights before to those tuned), interpolation (the same of all weights), rewriting (of a layers states, rank by rank) or rome';
comment on column lab.edit_costs.limited_to is 'what constrains the change, in words: rank 1, alpha 0.5, one layer, from a layer on, all layers';
comment on column lab.edit_costs.seed is 'draws the exemplars and whatever else is random';
comment on column lab.edit_costs.dataset is 'the key of the items that it is judged on';
comment on column lab.edit_costs.sample is 'id of which items, and of the seed of the corruptions';
comment on column lab.edit_costs.clean_change is 'accuracy without corruption, less that of the untouched network';
comment on column lab.edit_costs.clean_change_std_error is 'its standard error, over paired differences';
comment on column lab.edit_costs.robustness_change is 'accuracy under corruption less that of the untouched network; mean over families and severities';
comment on column lab.edit_costs.robustness_change_std_error is 'the mean of their standard errors, which is at least its own: the same items are under every corruption';
comment on column lab.edit_costs.effective_robustness_change is 'accuracy under corruption above the line of untouched networks, less that of the untouched network; mean over families and severities';
comment on column lab.edit_costs.calibration_change is 'expected calibration error under corruption, less that of the untouched network; mean over families and severities';
comment on column lab.edit_costs.families is 'how many families of corruptions it is over';
comment on column lab.edit_costs.corruptions is 'how many families and severities';
comment on column lab.edit_costs.judged_under is 'id of which families and severities they are: only what has the same one is to be compared';
comment on column lab.edit_costs.edit_id is 'id of the network, the task, the method and every setting';
comment on column lab.edit_costs.measured_at is 'when the last of the runs that judged it ended, UTC';
