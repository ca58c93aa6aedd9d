create view lab.attribution_quality as
select
    a.ensemble,
    a.members,
    c.concept,
    a.output,
    a.layer,
    a.method,
    a.dataset,
    a.targets,
    q.quality,
    q.judged_by,
    q.value,
    q.low,
    q.high,
    q.n,
    q.note,
    a.attribution_id,
    q.run_id,
    r.finished_at as measured_at
from main.attribution_quality q
join main.runs r on r.run_id = q.run_id
join main.attribution_runs a on a.attribution_id = q.attribution_id
left join main.concepts c on c.concept_id = a.concept_id
qualify row_number() over (
    partition by q.attribution_id, q.quality, q.judged_by order by r.finished_at desc, q.run_id desc, a.run_id
) = 1;

comment on view lab.attribution_quality is 'How good an attribution is: what it foretells of retrained networks, which wrong labels it finds, newest run';
comment on column lab.attribution_quality.ensemble is 'the network or the ensemble of networks, as it was called';
comment on column lab.attribution_quality.members is 'how many networks it has';
comment on column lab.attribution_quality.concept is 'the concept whose probe is attributed; NULL for the network''s own output';
comment on column lab.attribution_quality.output is 'what is attributed: probe, class or next-token';
comment on column lab.attribution_quality.layer is 'the layer whose probe is attributed; NULL for the network''s own output';
comment on column lab.attribution_quality.method is 'trak, trak-kernel, trak-released, gradient-cosine, representation or random';
comment on column lab.attribution_quality.dataset is 'the key of the training items';
comment on column lab.attribution_quality.targets is 'the key of the target items';
comment on column lab.attribution_quality.quality is 'linear-datamodeling-score, Spearman of foretold and real outputs over networks trained on halves; mislabelled-auroc and mislabelled-recall, of wrong labels that were put in; half-ensembles, Spearman between two halves of the networks';
comment on column lab.attribution_quality.judged_by is 'what was made for it: so many networks on halves, such a share of wrong labels';
comment on column lab.attribution_quality.value is 'its value; NULL where undefined, and then note says why';
comment on column lab.attribution_quality.low is 'lower end of its 95 % interval; of half-ensembles by a bootstrap over targets, or where its note says so that of the range of 95 % of the targets, as recorded before';
comment on column lab.attribution_quality.high is 'upper end of that interval';
comment on column lab.attribution_quality.n is 'how many networks, wrong labels or targets it is of';
comment on column lab.attribution_quality.note is 'what is to be known of it';
comment on column lab.attribution_quality.attribution_id is 'id of the networks, output, method, training items and targets';
comment on column lab.attribution_quality.run_id is 'the run that computed it';
comment on column lab.attribution_quality.measured_at is 'when that run ended, UTC';
