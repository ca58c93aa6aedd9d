create view lab.separability_transfer as
select
    s.model,
    s.kind,
    s.step,
    s.dataset,
    s.tested_on,
    s.condition,
    s.from_layer,
    s.layer,
    s.accuracy,
    s.accuracy_low,
    s.accuracy_high,
    s.within_one,
    s.chance,
    s.seeds,
    s.test_texts,
    s.n_tested,
    s.revision
from lab.separability_scores s
where s.question = 'transfer';

comment on view lab.separability_transfer is 'Classifiers trained on one dataset and tested on another, on their own texts without punctuation, and trained on a mixture';
comment on column lab.separability_transfer.model is 'the model''s name in the store';
comment on column lab.separability_transfer.kind is 'decoder or encoder';
comment on column lab.separability_transfer.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.separability_transfer.dataset is 'the key of the dataset that the classifier was trained on; every choice that is not the default stands in it';
comment on column lab.separability_transfer.tested_on is 'the key of the dataset that it was tested on';
comment on column lab.separability_transfer.condition is 'held-out texts (of the training dataset), another dataset, without punctuation, or trained on the mixture';
comment on column lab.separability_transfer.from_layer is 'the first layer that was to be told: 0 with the input embedding, 1 without it';
comment on column lab.separability_transfer.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs; NULL for all layers together';
comment on column lab.separability_transfer.accuracy is 'share of held-out states whose layer was told rightly, 0 to 1, mean over seeds';
comment on column lab.separability_transfer.accuracy_low is 'lower end of the 95 % interval over seeds (Student''s t, each seed holding out other texts); NULL for one seed';
comment on column lab.separability_transfer.accuracy_high is 'upper end of that interval';
comment on column lab.separability_transfer.within_one is 'share of states that were taken for their own layer or one next to it; NULL for a single layer';
comment on column lab.separability_transfer.chance is 'the accuracy of guessing: 1 / number of layers';
comment on column lab.separability_transfer.seeds is 'how many choices of held-out texts';
comment on column lab.separability_transfer.test_texts is 'texts tested on, mean over seeds';
comment on column lab.separability_transfer.n_tested is 'states tested, mean over seeds';
comment on column lab.separability_transfer.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
