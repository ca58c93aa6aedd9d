create view lab.edit_intervals as
with compared as (
    select
        e.model, e.step, e.revision, e.task, e.task_id, e.method, e.layer, e.rank, e.alpha, e.limited_to, e.edit_id,
        e.exemplar_success, e.success, e.corrupted_success, e.generality, e.locality, e.errors_corrected,
        b.dataset, b.sample, b.judged_under, b.clean_change, b.robustness_change, b.effective_robustness_change,
        b.calibration_change
    from lab.edits e
    join lab.edit_costs b on b.edit_id = e.edit_id
    where b.corruptions > 0 and e.origin is null
    -- the same edits as of lab.edit_tradeoff
    qualify row_number() over (
        partition by
            e.checkpoint_id, e.task_id, e.method, e.layer, e.rank, e.alpha, e.variant, e.seed, b.dataset, b.judged_under
        order by b.measured_at desc, e.measured_at desc, e.edit_id, b.sample
    ) = 1
),
found as (
    select
        c.edit_id, c.dataset, c.judged_under, null::varchar as corruption, null::integer as severity,
        null::integer as depth, null::varchar as layer_name, null::varchar as stream,
        unnest([
            'exemplar_success', 'success', 'corrupted_success', 'generality', 'locality', 'errors_corrected', 'clean_change',
            'robustness_change', 'effective_robustness_change', 'calibration_change'
        ]) as quantity,
        unnest([
            c.exemplar_success, c.success, c.corrupted_success, c.generality, c.locality, c.errors_corrected, c.clean_change,
            c.robustness_change, c.effective_robustness_change, c.calibration_change
        ]) as value
    from compared c
    union all
    select
        c.edit_id, c.dataset, c.judged_under, r.corruption, r.severity, null, null, null,
        unnest(['robustness_change', 'effective_robustness_change', 'calibration_change']),
        unnest([r.change, r.effective_robustness_change, r.calibration_change])
    from compared c
    join lab.edit_robustness r on r.edit_id = c.edit_id and r.dataset = c.dataset and r.sample = c.sample
    where r.severity > 0
    union all
    select
        c.edit_id, c.dataset, c.judged_under, null, null, d.layer, d.layer_name, d.stream, d.measure,
        coalesce(d.change, d.compared)
    from compared c
    join lab.edit_drift d on d.edit_id = c.edit_id
),
by_task as (
    select
        c.model, c.step, c.revision, c.task, c.method, c.layer, c.rank, c.alpha, c.limited_to, f.dataset, f.judged_under,
        f.quantity, f.corruption, f.severity, f.depth, f.layer_name, f.stream, c.task_id,
        count(*) as edits,
        avg(f.value) as mean,
        stddev_samp(f.value) / sqrt(count(*)) as std_error
    from found f
    join compared c on c.edit_id = f.edit_id and c.dataset = f.dataset and c.judged_under = f.judged_under
    where f.value is not null
    group by all
),
spread as (
    select
        t.model, t.step, t.revision, t.task, t.method, t.layer, t.rank, t.alpha, t.limited_to, t.dataset, t.judged_under,
        t.quantity, t.corruption, t.severity, t.depth, t.layer_name, t.stream, t.edits, 1 as tasks, t.edits as n, t.mean,
        t.std_error
    from by_task t
    union all
    select
        t.model, t.step, t.revision, null, t.method, t.layer, t.rank, t.alpha, t.limited_to, t.dataset, t.judged_under,
        t.quantity, t.corruption, t.severity, t.depth, t.layer_name, t.stream, sum(t.edits)::bigint, count(*), count(*),
        avg(t.mean), stddev_samp(t.mean) / sqrt(count(*))
    from by_task t
    group by all
)
select
    s.model,
    s.step,
    s.revision,
    s.task,
    s.method,
    s.layer,
    s.rank,
    s.alpha,
    s.limited_to,
    s.dataset,
    s.judged_under,
    s.quantity,
    s.corruption,
    s.severity,
    s.depth,
    s.layer_name,
    s.stream,
    s.edits,
    s.tasks,
    s.mean,
    s.std_error,
    case
        when s.quantity like '%success' or s.quantity in ('generality', 'locality')
            then greatest(s.mean - q.quantile * s.std_error, 0)
        else s.mean - q.quantile * s.std_error
    end as low,
    case
        when s.quantity like '%success' or s.quantity in ('generality', 'locality', 'errors_corrected')
            then least(s.mean + q.quantile * s.std_error, 1)
        else s.mean + q.quantile * s.std_error
    end as high
from spread s
left join lab.t_quantiles q on q.n = s.n;

comment on view lab.edit_intervals is 'Means of what is known of edits with 95 % intervals: of each task over its draws, and of all tasks over the means of each; of the edits of lab.edit_tradeoff';
comment on column lab.edit_intervals.model is 'the network''s name in the store';
comment on column lab.edit_intervals.step is 'optimiser step; NULL where nobody said';
comment on column lab.edit_intervals.revision is 'the hub''s commit, or the digest of its weights';
comment on column lab.edit_intervals.task is 'the task''s name; NULL for all tasks, each of which counts alike';
comment on column lab.edit_intervals.method is 'fine-tuning, one-layer, low-rank, 1-li (one layer moved by alpha from its weights before to those tuned), interpolation (the same of all weights), rewriting (of a layers states, rank by rank) or rome';
comment on column lab.edit_intervals.layer is 'name of the module whose weights change; of fine-tuning the first that may, NULL for all of them';
comment on column lab.edit_intervals.rank is 'rank of the change; NULL where the method has none';
comment on column lab.edit_intervals.alpha is 'how far the weights go from those before (0) to those that were tuned (1); NULL where the method has none';
comment on column lab.edit_intervals.limited_to is 'what constrains the change, in words: rank 1, alpha 0.5, one layer, from a layer on, all layers';
comment on column lab.edit_intervals.dataset is 'the key of the items that robustness is judged on';
comment on column lab.edit_intervals.judged_under is 'id of which families and severities they are: only what has the same one is to be compared';
comment on column lab.edit_intervals.quantity is 'what it is the mean of: exemplar_success, success, corrupted_success, generality, locality or errors_corrected of lab.edits; clean_change, robustness_change, effective_robustness_change or calibration_change of lab.edit_costs, and of each corruption too; a measure of lab.edit_drift, its change or, where it compares both networks, its value';
comment on column lab.edit_intervals.corruption is 'the family of one corruption; NULL where it is of none, or of all together';
comment on column lab.edit_intervals.severity is 'its severity, 1 to 5';
comment on column lab.edit_intervals.depth is 'the layer that a measure is of: 0 is the embedding, 1 to L the blocks; NULL of what is no measure of a layer';
comment on column lab.edit_intervals.layer_name is 'its module''s name; NULL where it was not noted';
comment on column lab.edit_intervals.stream is 'embedding, residual or final';
comment on column lab.edit_intervals.edits is 'how many edits it is over';
comment on column lab.edit_intervals.tasks is 'of how many tasks';
comment on column lab.edit_intervals.mean is 'the mean over a task''s draws; of all tasks the mean of those';
comment on column lab.edit_intervals.std_error is 'its standard error over draws; of all tasks over tasks; NULL of one';
comment on column lab.edit_intervals.low is 'lower end of its 95 % interval (Student''s t, shares cut at 0); of two values t is 12.7 and of three 4.3, so that few tasks say little; NULL of one';
comment on column lab.edit_intervals.high is 'upper end of that interval, shares cut at 1';
