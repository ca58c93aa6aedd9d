create view lab.edit_tradeoff as
with judged as (
    select
        e.model, e.kind, e.step, e.revision, e.task, e.task_id, e.method, e.layer, e.rank, e.alpha, e.limited_to, e.variant, e.steps,
        e.learning_rate, e.seed, e.exemplar_success, e.success, e.corrupted_success, e.generality, e.locality,
        e.share_changed, e.converged,
        b.dataset, b.families, b.corruptions, b.judged_under, b.clean_change, b.robustness_change,
        b.effective_robustness_change, b.calibration_change
    from lab.edits e
    join lab.edit_costs b on b.edit_id = e.edit_id
    where b.corruptions > 0 and e.origin is null
    qualify row_number() over (
        partition by
            e.checkpoint_id, e.task_id, e.method, e.layer, e.rank, e.alpha, e.variant, e.seed, b.dataset, b.judged_under
        order by b.measured_at desc, e.measured_at desc, e.edit_id, b.sample
    ) = 1
),
grouped as (
    select
        j.model, j.kind, j.step, j.revision, j.task, j.method, j.layer, j.rank, j.alpha, j.limited_to, j.variant, j.dataset,
        j.families, j.corruptions, j.judged_under,
        count(*) as edits,
        count(distinct j.task_id) as tasks,
        count(distinct j.seed) as seeds,
        case when count(distinct j.steps) = 1 then min(j.steps) end as steps,
        case when count(distinct j.learning_rate) = 1 then min(j.learning_rate) end as learning_rate,
        round(avg(j.success), 12) as success, -- sums differ in their last digits with the order of the rows
        count(j.success) as success_n,
        stddev_samp(j.success) / sqrt(count(j.success)) as success_std_error,
        avg(j.clean_change) as clean_change,
        count(j.clean_change) as clean_change_n,
        stddev_samp(j.clean_change) / sqrt(count(j.clean_change)) as clean_change_std_error,
        round(avg(j.robustness_change), 12) as robustness_change,
        count(j.robustness_change) as robustness_change_n,
        stddev_samp(j.robustness_change) / sqrt(count(j.robustness_change)) as robustness_change_std_error,
        avg(j.exemplar_success) as exemplar_success,
        avg(j.corrupted_success) as corrupted_success,
        count(j.corrupted_success) as corrupted_success_n,
        stddev_samp(j.corrupted_success) / sqrt(count(j.corrupted_success)) as corrupted_success_std_error,
        avg(j.generality) as generality,
        count(j.generality) as generality_n,
        stddev_samp(j.generality) / sqrt(count(j.generality)) as generality_std_error,
        avg(j.locality) as locality,
        count(j.locality) as locality_n,
        stddev_samp(j.locality) / sqrt(count(j.locality)) as locality_std_error,
        avg(j.effective_robustness_change) as effective_robustness_change,
        count(j.effective_robustness_change) as effective_robustness_change_n,
        stddev_samp(j.effective_robustness_change) / sqrt(count(j.effective_robustness_change)) as effective_robustness_change_std_error,
        avg(j.calibration_change) as calibration_change,
        count(j.calibration_change) as calibration_change_n,
        stddev_samp(j.calibration_change) / sqrt(count(j.calibration_change)) as calibration_change_std_error,
        avg(j.share_changed) as share_changed,
        avg(j.converged::integer) as converged
    from judged j
    group by grouping sets (
        (
            j.model, j.kind, j.step, j.revision, j.task, j.method, j.layer, j.rank, j.alpha, j.limited_to, j.variant, j.dataset,
            j.families, j.corruptions, j.judged_under
        ),
        (
            j.model, j.kind, j.step, j.revision, j.method, j.layer, j.rank, j.alpha, j.limited_to, j.variant, j.dataset, j.families,
            j.corruptions, j.judged_under
        )
    )
),
over_tasks as (
    select
        i.model, i.step, i.revision, i.method, i.layer, i.rank, i.alpha, i.limited_to, i.dataset, i.judged_under,
        max(i.low) filter (i.quantity = 'success') as success_low,
        max(i.high) filter (i.quantity = 'success') as success_high,
        max(i.low) filter (i.quantity = 'robustness_change') as robustness_change_low,
        max(i.high) filter (i.quantity = 'robustness_change') as robustness_change_high
    from lab.edit_intervals i
    where i.task is null and i.corruption is null and i.quantity in ('success', 'robustness_change')
    group by all
),
ranked as (
    select
        g.model, g.kind, g.step, g.revision, g.task, g.method, g.layer, g.rank, g.alpha, g.limited_to, g.variant, g.dataset,
        g.families, g.corruptions, g.judged_under, g.edits, g.tasks, g.seeds, g.steps, g.learning_rate, g.success,
        g.clean_change,
        g.robustness_change, g.exemplar_success, g.corrupted_success, g.generality, g.locality,
        g.effective_robustness_change, g.calibration_change, g.share_changed, g.converged,
        qs.quantile * g.success_std_error as success_reach,
        qc.quantile * g.clean_change_std_error as clean_change_reach,
        qr.quantile * g.robustness_change_std_error as robustness_change_reach,
        q0.quantile * g.corrupted_success_std_error as corrupted_success_reach,
        q1.quantile * g.generality_std_error as generality_reach,
        q2.quantile * g.locality_std_error as locality_reach,
        q3.quantile * g.effective_robustness_change_std_error as effective_robustness_change_reach,
        q4.quantile * g.calibration_change_std_error as calibration_change_reach,
        max(g.robustness_change) over (best_first range between unbounded preceding and current row) as best_of_no_less,
        max(g.robustness_change) over (
            best_first range between unbounded preceding and current row exclude group
        ) as best_of_more
    from grouped g
    left join lab.t_quantiles qs on qs.n = g.success_n
    left join lab.t_quantiles qc on qc.n = g.clean_change_n
    left join lab.t_quantiles qr on qr.n = g.robustness_change_n
    left join lab.t_quantiles q0 on q0.n = g.corrupted_success_n
    left join lab.t_quantiles q1 on q1.n = g.generality_n
    left join lab.t_quantiles q2 on q2.n = g.locality_n
    left join lab.t_quantiles q3 on q3.n = g.effective_robustness_change_n
    left join lab.t_quantiles q4 on q4.n = g.calibration_change_n
    window best_first as (
        partition by g.model, g.step, g.revision, g.task, g.dataset, g.judged_under
        order by g.success desc nulls last
    )
)
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
    t.variant,
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
    case when t.success_reach is not null then greatest(t.success - t.success_reach, 0) end as success_low,
    case when t.success_reach is not null then least(t.success + t.success_reach, 1) end as success_high,
    t.exemplar_success,
    t.corrupted_success,
    case when t.corrupted_success_reach is not null then greatest(t.corrupted_success - t.corrupted_success_reach, 0) end as corrupted_success_low,
    case when t.corrupted_success_reach is not null then least(t.corrupted_success + t.corrupted_success_reach, 1) end as corrupted_success_high,
    t.generality,
    case when t.generality_reach is not null then greatest(t.generality - t.generality_reach, 0) end as generality_low,
    case when t.generality_reach is not null then least(t.generality + t.generality_reach, 1) end as generality_high,
    t.locality,
    case when t.locality_reach is not null then greatest(t.locality - t.locality_reach, 0) end as locality_low,
    case when t.locality_reach is not null then least(t.locality + t.locality_reach, 1) end as locality_high,
    t.clean_change,
    t.clean_change - t.clean_change_reach as clean_change_low,
    t.clean_change + t.clean_change_reach as clean_change_high,
    t.robustness_change,
    t.robustness_change - t.robustness_change_reach as robustness_change_low,
    t.robustness_change + t.robustness_change_reach as robustness_change_high,
    t.effective_robustness_change,
    t.effective_robustness_change - t.effective_robustness_change_reach as effective_robustness_change_low,
    t.effective_robustness_change + t.effective_robustness_change_reach as effective_robustness_change_high,
    t.calibration_change,
    t.calibration_change - t.calibration_change_reach as calibration_change_low,
    t.calibration_change + t.calibration_change_reach as calibration_change_high,
    t.share_changed,
    t.converged,
    t.success is not null and t.robustness_change is not null and t.robustness_change >= t.best_of_no_less
        and (t.best_of_more is null or t.robustness_change > t.best_of_more) as on_front,
    o.success_low as success_tasks_low,
    o.success_high as success_tasks_high,
    o.robustness_change_low as robustness_change_tasks_low,
    o.robustness_change_high as robustness_change_tasks_high
from ranked t
left join over_tasks o on t.task is null and o.model = t.model and o.step is not distinct from t.step
    and o.revision = t.revision and o.method = t.method and o.layer is not distinct from t.layer
    and o.rank is not distinct from t.rank and o.alpha is not distinct from t.alpha and o.limited_to = t.limited_to
    and o.dataset = t.dataset and o.judged_under = t.judged_under;

comment on view lab.edit_tradeoff is 'What edits achieve and what they cost, by method and constraint: means over seeds, for each task and over all of them; of edits that differ in steps or learning rate alone the newest, and none that was not judged under corruptions, or was fitted to another task';
comment on column lab.edit_tradeoff.model is 'the network''s name in the store';
comment on column lab.edit_tradeoff.kind is 'decoder, encoder or vision';
comment on column lab.edit_tradeoff.step is 'optimiser step; NULL where nobody said';
comment on column lab.edit_tradeoff.revision is 'the hub''s commit, or the digest of its weights';
comment on column lab.edit_tradeoff.task is 'the task''s name; NULL for the mean over all tasks';
comment on column lab.edit_tradeoff.method is 'fine-tuning, one-layer, low-rank, 1-li (one layer moved by alpha from its weights before to those tuned), interpolation (the same of all weights), rewriting (of a layers states, rank by rank) or rome';
comment on column lab.edit_tradeoff.layer is 'name of the module whose weights change; of fine-tuning the first that may, NULL for all of them';
comment on column lab.edit_tradeoff.rank is 'rank of the change; NULL where the method has none';
comment on column lab.edit_tradeoff.alpha is 'how far the weights go from those before (0) to those that were tuned (1); NULL where the method has none';
comment on column lab.edit_tradeoff.limited_to is 'what constrains the change, in words: rank 1, alpha 0.5, one layer, from a layer on, all layers';
comment on column lab.edit_tradeoff.variant is 'corrected, or released where the edits were fitted as the authors'' code does it (rome, rewriting)';
comment on column lab.edit_tradeoff.dataset is 'the key of the items that robustness is judged on';
comment on column lab.edit_tradeoff.families is 'how many families of corruptions it is judged under';
comment on column lab.edit_tradeoff.corruptions is 'how many families and severities';
comment on column lab.edit_tradeoff.judged_under is 'id of which families and severities they are: only what has the same one is to be compared';
comment on column lab.edit_tradeoff.edits is 'how many edits it is over';
comment on column lab.edit_tradeoff.tasks is 'how many tasks';
comment on column lab.edit_tradeoff.seeds is 'how many seeds';
comment on column lab.edit_tradeoff.steps is 'optimiser steps of the fits; NULL where they differ';
comment on column lab.edit_tradeoff.learning_rate is 'their learning rate; NULL where they differ';
comment on column lab.edit_tradeoff.success is 'share of held-out cases that come out as asked, 0 to 1; mean over edits';
comment on column lab.edit_tradeoff.success_low is 'lower end of its 95 % interval over edits (Student''s t, cut at 0), draws of one task being taken as independent; NULL for one edit';
comment on column lab.edit_tradeoff.success_high is 'upper end of that interval, cut at 1';
comment on column lab.edit_tradeoff.exemplar_success is 'share of the exemplars that come out as asked';
comment on column lab.edit_tradeoff.corrupted_success is 'share of held-out cases that come out as asked under corruptions';
comment on column lab.edit_tradeoff.corrupted_success_low is 'lower end of its 95 % interval over edits, cut at 0';
comment on column lab.edit_tradeoff.corrupted_success_high is 'upper end of that interval, cut at 1';
comment on column lab.edit_tradeoff.generality is 'share of cases of another kind that come out as asked; of other classes, as what they are';
comment on column lab.edit_tradeoff.generality_low is 'lower end of its 95 % interval over edits, cut at 0';
comment on column lab.edit_tradeoff.generality_high is 'upper end of that interval, cut at 1';
comment on column lab.edit_tradeoff.locality is 'share of unrelated inputs that the untouched network tells alike';
comment on column lab.edit_tradeoff.locality_low is 'lower end of its 95 % interval over edits, cut at 0';
comment on column lab.edit_tradeoff.locality_high is 'upper end of that interval, cut at 1';
comment on column lab.edit_tradeoff.clean_change is 'accuracy without corruption, less that of the untouched network';
comment on column lab.edit_tradeoff.clean_change_low is 'lower end of its 95 % interval over edits';
comment on column lab.edit_tradeoff.clean_change_high is 'upper end of that interval';
comment on column lab.edit_tradeoff.robustness_change is 'accuracy under corruption, less that of the untouched network: mean over families and severities, then over edits; below 0 robustness was lost';
comment on column lab.edit_tradeoff.robustness_change_low is 'lower end of its 95 % interval over edits';
comment on column lab.edit_tradeoff.robustness_change_high is 'upper end of that interval';
comment on column lab.edit_tradeoff.effective_robustness_change is 'accuracy under corruption above the line of untouched networks, less that of the untouched network';
comment on column lab.edit_tradeoff.effective_robustness_change_low is 'lower end of its 95 % interval over edits';
comment on column lab.edit_tradeoff.effective_robustness_change_high is 'upper end of that interval';
comment on column lab.edit_tradeoff.calibration_change is 'expected calibration error under corruption, less that of the untouched network';
comment on column lab.edit_tradeoff.calibration_change_low is 'lower end of its 95 % interval over edits';
comment on column lab.edit_tradeoff.calibration_change_high is 'upper end of that interval';
comment on column lab.edit_tradeoff.share_changed is 'share of the network''s parameters that the edit changed';
comment on column lab.edit_tradeoff.converged is 'share of the fits that converged';
comment on column lab.edit_tradeoff.on_front is 'true where no other row of the same network, task, dataset and corruptions has as much success for less robustness lost, or more success for as little';
comment on column lab.edit_tradeoff.success_tasks_low is 'lower end of the 95 % interval of success over tasks, the mean of each task''s draws being one value (lab.edit_intervals has that of everything else); of two tasks Student''s t is 12.7, so that few say little; NULL of one task';
comment on column lab.edit_tradeoff.success_tasks_high is 'upper end of that interval, cut at 1';
comment on column lab.edit_tradeoff.robustness_change_tasks_low is 'the same of robustness_change';
comment on column lab.edit_tradeoff.robustness_change_tasks_high is 'upper end of that interval';
