create view lab.edit_alpha as
with made as (
    select
        e.model, e.step, e.revision, e.task, e.method, e.layer, e.steps, e.learning_rate, e.seed, e.task_id,
        e.checkpoint_id, e.alpha, e.success, e.success_std_error, s.before, s.n,
        b.dataset, b.sample, b.corruptions, b.judged_under, b.robustness_change, b.robustness_change_std_error
    from lab.edits e
    left join lab.edit_costs b on b.edit_id = e.edit_id
    left join lab.edit_scores s on s.edit_id = e.edit_id and s.measure = 'success' and s.cases = 'held-out' and s.severity = 0
    where e.method in ('1-li', 'interpolation') and e.origin is null and (e.success is not null or b.edit_id is not null)
),
points as (
    select
        p.model, p.step, p.revision, p.task, p.method, p.layer, p.steps, p.learning_rate, p.seed, p.task_id,
        p.checkpoint_id, p.alpha, p.success, p.success_std_error, p.dataset, p.sample, p.corruptions, p.judged_under,
        p.robustness_change, p.robustness_change_std_error
    from made p
    union all
    -- where every alpha starts: the untouched network
    select
        p.model, p.step, p.revision, p.task, p.method, p.layer, p.steps, p.learning_rate, p.seed, p.task_id,
        p.checkpoint_id, 0, p.before, sqrt(p.before * (1 - p.before) / p.n), p.dataset, p.sample, p.corruptions,
        p.judged_under, 0 * p.robustness_change, 0 * p.robustness_change_std_error
    from made p
    qualify row_number() over (
        partition by p.checkpoint_id, p.task_id, p.method, p.layer, p.steps, p.learning_rate, p.seed, p.dataset, p.sample,
            p.judged_under
        order by p.alpha
    ) = 1 and p.alpha > 0
),
moves as (
    select
        p.model, p.step, p.revision, p.task, p.method, p.layer, p.steps, p.learning_rate, p.seed, p.dataset, p.sample,
        p.corruptions, p.judged_under, p.task_id, p.checkpoint_id, p.alpha,
        p.success - lag(p.success) over along as success_move,
        1.96 * sqrt(p.success_std_error ** 2 + lag(p.success_std_error) over along ** 2) as success_noise,
        p.robustness_change - lag(p.robustness_change) over along as robustness_move,
        1.96 * sqrt(
            p.robustness_change_std_error ** 2 + lag(p.robustness_change_std_error) over along ** 2
        ) as robustness_noise
    from points p
    window along as (
        partition by p.checkpoint_id, p.task_id, p.method, p.layer, p.steps, p.learning_rate, p.seed, p.dataset, p.sample,
            p.judged_under
        order by p.alpha
    )
)
select
    v.model,
    v.step,
    v.revision,
    v.task,
    v.method,
    v.layer,
    v.steps,
    v.learning_rate,
    v.seed,
    v.dataset,
    v.sample,
    v.corruptions,
    v.judged_under,
    count(*) as alphas,
    min(v.alpha) as alpha_min,
    max(v.alpha) as alpha_max,
    count(v.success_move) as success_steps,
    count(*) filter (v.success_move < -1e-12) as success_falls,
    count(*) filter (v.success_move < -1e-12 and -v.success_move > v.success_noise) as success_falls_beyond_noise,
    count(v.robustness_move) as robustness_steps,
    count(*) filter (v.robustness_move > 1e-12) as robustness_rises,
    count(*) filter (v.robustness_move > 1e-12 and v.robustness_move > v.robustness_noise) as robustness_rises_beyond_noise,
    v.task_id,
    v.checkpoint_id
from moves v
group by all;

comment on view lab.edit_alpha is 'Are edits monotone along alpha? One row for all alphas of an edit that differ in nothing else: how often success falls, or robustness rises, from one alpha to the next';
comment on column lab.edit_alpha.model is 'the network''s name in the store';
comment on column lab.edit_alpha.step is 'optimiser step; NULL where nobody said';
comment on column lab.edit_alpha.revision is 'the hub''s commit, or the digest of its weights';
comment on column lab.edit_alpha.task is 'the task''s name: what is asked of the network';
comment on column lab.edit_alpha.method is '1-li or interpolation';
comment on column lab.edit_alpha.layer is 'name of the module whose weights change; of fine-tuning the first that may, NULL for all of them';
comment on column lab.edit_alpha.steps is 'optimiser steps of the fit';
comment on column lab.edit_alpha.learning_rate is 'its learning rate';
comment on column lab.edit_alpha.seed is 'draws the exemplars and whatever else is random';
comment on column lab.edit_alpha.dataset is 'the key of the items that robustness is judged on; NULL where it was not';
comment on column lab.edit_alpha.sample is 'id of which items, and of the seed of the corruptions';
comment on column lab.edit_alpha.corruptions is 'under how many families and severities';
comment on column lab.edit_alpha.judged_under is 'id of which families and severities they are: only what has the same one is to be compared';
comment on column lab.edit_alpha.alphas is 'how many values of alpha, the untouched network''s 0 among them';
comment on column lab.edit_alpha.alpha_min is 'the least of them';
comment on column lab.edit_alpha.alpha_max is 'the largest';
comment on column lab.edit_alpha.success_steps is 'from how many of them to the next success on held-out cases is known';
comment on column lab.edit_alpha.success_falls is 'at how many of those success falls, where a monotone edit has it rise';
comment on column lab.edit_alpha.success_falls_beyond_noise is 'at how many by more than 1.96 standard errors of the difference';
comment on column lab.edit_alpha.robustness_steps is 'from how many of them to the next the change of robustness is known';
comment on column lab.edit_alpha.robustness_rises is 'at how many of those robustness rises, where a monotone edit has it fall';
comment on column lab.edit_alpha.robustness_rises_beyond_noise is 'at how many by more than 1.96 standard errors of the difference; both errors are taken as independent, and so are too large rather than too small';
comment on column lab.edit_alpha.task_id is 'id of what is asked of the network';
comment on column lab.edit_alpha.checkpoint_id is 'id of the network';
