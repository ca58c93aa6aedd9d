create view lab.separability_released_and_corrected as
select
    s.model,
    s.step,
    s.dataset,
    s.from_layer,
    s.question,
    s.condition,
    s.amount,
    s.layer,
    max(s.accuracy) filter (s.procedure = 'released') as released,
    max(s.accuracy_low) filter (s.procedure = 'released') as released_low,
    max(s.accuracy_high) filter (s.procedure = 'released') as released_high,
    max(s.accuracy) filter (s.procedure = 'corrected') as corrected,
    max(s.accuracy_low) filter (s.procedure = 'corrected') as corrected_low,
    max(s.accuracy_high) filter (s.procedure = 'corrected') as corrected_high,
    max(s.accuracy) filter (s.procedure = 'released') - max(s.accuracy) filter (s.procedure = 'corrected') as difference,
    s.revision
from lab.separability_scores s
where s.classifier = 'logistic' and s.question in ('separability', 'masking', 'norm')
group by s.model, s.step, s.dataset, s.from_layer, s.question, s.condition, s.amount, s.layer, s.revision
having count(*) filter (s.procedure = 'released') > 0;

comment on view lab.separability_released_and_corrected is 'The study''s own procedure beside the corrected one: accuracies of the same condition, one row a checkpoint, dataset, condition and layer';
comment on column lab.separability_released_and_corrected.model is 'the model''s name in the store';
comment on column lab.separability_released_and_corrected.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.separability_released_and_corrected.dataset is 'the key of the dataset that the classifier was trained on; every choice that is not the default stands in it';
comment on column lab.separability_released_and_corrected.from_layer is 'the first layer that was to be told: 0 with the input embedding, 1 without it';
comment on column lab.separability_released_and_corrected.question is 'what was asked: separability, masking, norm, projection, leak, transfer or scaling';
comment on column lab.separability_released_and_corrected.condition is 'what was done to the states or the classifier';
comment on column lab.separability_released_and_corrected.amount is 'how much of it: dimensions masked, directions kept, texts; NULL where there is no number';
comment on column lab.separability_released_and_corrected.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs; NULL for all layers together';
comment on column lab.separability_released_and_corrected.released is 'accuracy by the released procedure: stochastic gradient descent, a fifth of the vectors held out';
comment on column lab.separability_released_and_corrected.released_low is 'lower end of its 95 % interval over seeds of the descent; NULL for one seed';
comment on column lab.separability_released_and_corrected.released_high is 'upper end of that interval';
comment on column lab.separability_released_and_corrected.corrected is 'accuracy by the corrected procedure: the optimum, whole texts held out; NULL where the corrected study does not ask it';
comment on column lab.separability_released_and_corrected.corrected_low is 'lower end of its 95 % interval over held-out texts';
comment on column lab.separability_released_and_corrected.corrected_high is 'upper end of that interval';
comment on column lab.separability_released_and_corrected.difference is 'released minus corrected';
comment on column lab.separability_released_and_corrected.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
