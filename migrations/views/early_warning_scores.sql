create view lab.early_warning_scores as
select
    e.study,
    e.cause,
    e.signal,
    e.horizon,
    e.trainings,
    e.spikes,
    e.steps,
    e.auroc,
    e.auroc_low,
    e.auroc_high,
    e.precision_at_alarms,
    e.recall_at_alarms,
    e.false_alarms_per_1000_steps,
    e.note
from main.early_warning_scores e
join main.runs r on r.run_id = e.run_id
qualify row_number() over (
    partition by e.study, e.cause, e.signal, e.horizon order by r.finished_at desc, e.run_id desc
) = 1;

comment on view lab.early_warning_scores is 'How well a signal foretells a loss spike within a horizon, one row a study, cause, signal and horizon, newest run';
comment on column lab.early_warning_scores.study is 'the study''s name';
comment on column lab.early_warning_scores.cause is 'all trainings, those with an induced condition, or those without one (natural)';
comment on column lab.early_warning_scores.signal is 'what was scored: intrinsic dimension, gradient norm, update norm, loss, or one of them against time-shuffled labels';
comment on column lab.early_warning_scores.horizon is 'a step counts as before a spike when one starts within so many steps';
comment on column lab.early_warning_scores.trainings is 'trainings scored, those without a spike included';
comment on column lab.early_warning_scores.spikes is 'loss spikes in them';
comment on column lab.early_warning_scores.steps is 'probed steps scored';
comment on column lab.early_warning_scores.auroc is 'area under the receiver operating characteristic: 0.5 is chance, 1 foretells every spike; NULL where it is undefined';
comment on column lab.early_warning_scores.auroc_low is 'lower end of its 95 % interval, by bootstrap over trainings';
comment on column lab.early_warning_scores.auroc_high is 'upper end of that interval';
comment on column lab.early_warning_scores.precision_at_alarms is 'share of alarms that were followed by a spike, at the fixed rate of false alarms';
comment on column lab.early_warning_scores.recall_at_alarms is 'share of spikes that an alarm came before, at that rate';
comment on column lab.early_warning_scores.false_alarms_per_1000_steps is 'the rate of false alarms that was fixed';
comment on column lab.early_warning_scores.note is 'why a score is undefined, or what to know of it';
