create view lab.edit_robustness as
with newest as (
    select
        b.checkpoint_id, b.edit_id, b.dataset, b.sample, b.corruption, b.severity, b.accuracy, b.std_error, b.loss,
        b.calibration_error, b.n, b.change, b.change_std_error, b.run_id, r.finished_at,
        -- the logit has no value at 0 and 1
        least(greatest(b.accuracy, 0.001), 0.999) as inner_accuracy
    from main.network_robustness b
    join main.runs r on r.run_id = b.run_id
    qualify row_number() over (
        partition by b.checkpoint_id, b.edit_id, b.dataset, b.sample, b.corruption, b.severity
        order by r.finished_at desc, b.run_id desc
    ) = 1
),
beside_clean as (
    select
        n.checkpoint_id, n.edit_id, n.dataset, n.sample, n.corruption, n.severity,
        ln(n.inner_accuracy / (1 - n.inner_accuracy)) as logit,
        ln(k.inner_accuracy / (1 - k.inner_accuracy)) as clean_logit,
        k.accuracy as clean_accuracy
    from newest n
    join newest k on k.checkpoint_id = n.checkpoint_id and k.edit_id is not distinct from n.edit_id
        and k.dataset = n.dataset and k.sample = n.sample and k.severity = 0
    where n.severity > 0
),
lines as (
    select
        p.dataset,
        p.sample,
        p.corruption,
        p.severity,
        regr_slope(p.logit, p.clean_logit) as slope,
        regr_intercept(p.logit, p.clean_logit) as intercept,
        count(*) as networks
    from beside_clean p
    where p.edit_id is null
    group by all
    having count(distinct p.clean_logit) > 1
),
expected as (
    select
        p.checkpoint_id, p.edit_id, p.dataset, p.sample, p.corruption, p.severity, p.clean_accuracy,
        1 / (1 + exp(-(l.intercept + l.slope * p.clean_logit))) as accuracy,
        l.slope, l.intercept, l.networks
    from beside_clean p
    left join lines l on l.dataset = p.dataset and l.sample = p.sample and l.corruption = p.corruption
        and l.severity = p.severity
)
select
    c.model,
    m.kind,
    c.step,
    c.revision,
    e.task,
    e.method,
    e.layer,
    e.rank,
    e.alpha,
    e.limited_to,
    e.seed,
    n.dataset,
    n.sample,
    n.corruption,
    n.severity,
    n.accuracy,
    n.std_error,
    u.accuracy as untouched_accuracy,
    n.change,
    n.change_std_error,
    n.loss,
    u.loss as untouched_loss,
    n.calibration_error,
    n.calibration_error - u.calibration_error as calibration_change,
    x.clean_accuracy,
    x.accuracy as expected_accuracy,
    n.accuracy - x.accuracy as effective_robustness,
    n.accuracy - x.accuracy - (u.accuracy - ux.accuracy) as effective_robustness_change,
    x.slope as line_slope,
    x.intercept as line_intercept,
    x.networks as line_networks,
    n.n,
    n.edit_id,
    n.checkpoint_id,
    n.run_id,
    n.finished_at as measured_at
from newest n
join main.checkpoints c on c.checkpoint_id = n.checkpoint_id
join main.models m on m.model = c.model
left join lab.edits e on e.edit_id = n.edit_id
left join newest u on u.edit_id is null and n.edit_id is not null and u.checkpoint_id = n.checkpoint_id
    and u.dataset = n.dataset and u.sample = n.sample and u.corruption = n.corruption and u.severity = n.severity
left join expected x on x.checkpoint_id = n.checkpoint_id and x.edit_id is not distinct from n.edit_id
    and x.dataset = n.dataset and x.sample = n.sample and x.corruption = n.corruption and x.severity = n.severity
left join expected ux on ux.edit_id is null and n.edit_id is not null and ux.checkpoint_id = n.checkpoint_id
    and ux.dataset = n.dataset and ux.sample = n.sample and ux.corruption = n.corruption and ux.severity = n.severity;

comment on view lab.edit_robustness is 'How edited networks do on a dataset, clean and under each corruption, beside the untouched network; and untouched networks, whose edit_id is NULL; newest run';
comment on column lab.edit_robustness.model is 'the network''s name in the store';
comment on column lab.edit_robustness.kind is 'decoder, encoder or vision';
comment on column lab.edit_robustness.step is 'optimiser step; NULL where nobody said';
comment on column lab.edit_robustness.revision is 'the hub''s commit, or the digest of its weights';
comment on column lab.edit_robustness.task is 'the task''s name; NULL for an untouched network, as are method to seed';
comment on column lab.edit_robustness.method is 'fine-tuning, one-layer, low-rank, 1-li (one layer moved by alpha from its weights before to those tuned), interpolation (the same of all weights), rewriting (of a layers states, rank by rank) or rome';
comment on column lab.edit_robustness.layer is 'name of the module whose weights change; of fine-tuning the first that may, NULL for all of them';
comment on column lab.edit_robustness.rank is 'rank of the change; NULL where the method has none';
comment on column lab.edit_robustness.alpha is 'how far the weights go from those before (0) to those that were tuned (1); NULL where the method has none';
comment on column lab.edit_robustness.limited_to is 'what constrains the change, in words: rank 1, alpha 0.5, one layer, from a layer on, all layers';
comment on column lab.edit_robustness.seed is 'draws the exemplars and whatever else is random';
comment on column lab.edit_robustness.dataset is 'the key of the items that it is judged on';
comment on column lab.edit_robustness.sample is 'id of which items, and of the seed of the corruptions: only what has the same one is to be compared';
comment on column lab.edit_robustness.corruption is 'none, or a family of corruptions';
comment on column lab.edit_robustness.severity is '0 where clean, 1 to 5';
comment on column lab.edit_robustness.accuracy is 'share of predictions that are right, 0 to 1';
comment on column lab.edit_robustness.std_error is 'its standard error over items';
comment on column lab.edit_robustness.untouched_accuracy is 'that of the untouched network; NULL for itself';
comment on column lab.edit_robustness.change is 'accuracy less that of the untouched network on the same inputs; below 0 the edit cost robustness';
comment on column lab.edit_robustness.change_std_error is 'its standard error, over paired differences';
comment on column lab.edit_robustness.loss is 'mean loss, nats';
comment on column lab.edit_robustness.untouched_loss is 'that of the untouched network; NULL for itself';
comment on column lab.edit_robustness.calibration_error is 'expected calibration error, 0 to 1; 0 is best';
comment on column lab.edit_robustness.calibration_change is 'less that of the untouched network; above 0 the edit cost calibration';
comment on column lab.edit_robustness.clean_accuracy is 'accuracy of the same network without corruption; NULL where severity is 0';
comment on column lab.edit_robustness.expected_accuracy is 'what the line of untouched networks foretells of a network with that clean accuracy; NULL with fewer than 2 that differ (Taori 2020)';
comment on column lab.edit_robustness.effective_robustness is 'accuracy less the expected one; NULL without a line';
comment on column lab.edit_robustness.effective_robustness_change is 'less that of the untouched network';
comment on column lab.edit_robustness.line_slope is 'slope of the line: logit of accuracy under the corruption against logit of clean accuracy, least squares over untouched networks, each cut at 0.001 and 0.999';
comment on column lab.edit_robustness.line_intercept is 'its intercept';
comment on column lab.edit_robustness.line_networks is 'how many untouched networks it is fitted to';
comment on column lab.edit_robustness.n is 'how many predictions it is of';
comment on column lab.edit_robustness.edit_id is 'id of the network, the task, the method and every setting; NULL for an untouched network';
comment on column lab.edit_robustness.checkpoint_id is 'id of the network';
comment on column lab.edit_robustness.run_id is 'the run that computed it';
comment on column lab.edit_robustness.measured_at is 'when that run ended, UTC';
