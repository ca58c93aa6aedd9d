create view lab.classifier_accuracies as
select
    c.model,
    c.step,
    f.dataset,
    f.variant as split,
    f.value as accuracy,
    f.std_error,
    f.n_used as items,
    c.revision,
    f.run_id,
    r.finished_at as measured_at
from main.checkpoint_metrics f
join main.runs r on r.run_id = f.run_id
join main.checkpoints c on c.checkpoint_id = f.checkpoint_id
where f.measure = 'classifier_accuracy'
qualify row_number() over (
    partition by f.checkpoint_id, f.dataset, f.variant order by r.finished_at desc, f.run_id desc
) = 1;

comment on view lab.classifier_accuracies is 'How often a fine-tuned classifier is right, in the distribution that it was tuned on and out of it, newest run';
comment on column lab.classifier_accuracies.model is 'the model''s name in the store';
comment on column lab.classifier_accuracies.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.classifier_accuracies.dataset is 'the key of the labelled texts';
comment on column lab.classifier_accuracies.split is 'in-distribution or out-of-distribution';
comment on column lab.classifier_accuracies.accuracy is 'share of the items whose class was told rightly, 0 to 1';
comment on column lab.classifier_accuracies.std_error is 'its standard error over items';
comment on column lab.classifier_accuracies.items is 'how many items';
comment on column lab.classifier_accuracies.revision is 'the hub''s commit, or the digest of its weights';
comment on column lab.classifier_accuracies.run_id is 'the run that computed it';
comment on column lab.classifier_accuracies.measured_at is 'when that run ended, UTC';
