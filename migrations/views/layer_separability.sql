create view lab.layer_separability as
select
    s.model,
    s.kind,
    s.step,
    s.dataset,
    s.classifier,
    s.procedure,
    s.from_layer,
    s.layer,
    s.accuracy,
    s.accuracy_low,
    s.accuracy_high,
    s.within_one,
    s.chance,
    s.seeds,
    s.train_texts,
    s.test_texts,
    s.n_tested,
    s.note,
    s.revision
from lab.separability_scores s
where s.question = 'separability' and s.condition = 'all dimensions';

comment on view lab.layer_separability is 'Can a single state''s layer be told? One row a checkpoint, dataset, classifier, procedure and layer (NULL: all layers), whole texts held out';
comment on column lab.layer_separability.model is 'the model''s name in the store';
comment on column lab.layer_separability.kind is 'decoder or encoder';
comment on column lab.layer_separability.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.layer_separability.dataset is 'the key of the dataset that the classifier was trained on; every choice that is not the default stands in it';
comment on column lab.layer_separability.classifier is 'logistic (multinomial logistic regression), tree (decision tree), centroid (nearest centroid) or lda (linear discriminant analysis)';
comment on column lab.layer_separability.procedure is 'corrected, or released: as the published study''s authors run it';
comment on column lab.layer_separability.from_layer is 'the first layer that was to be told: 0 with the input embedding, 1 without it';
comment on column lab.layer_separability.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs; NULL for all layers together';
comment on column lab.layer_separability.accuracy is 'share of held-out states whose layer was told rightly, 0 to 1, mean over seeds';
comment on column lab.layer_separability.accuracy_low is 'lower end of the 95 % interval over seeds (Student''s t, each seed holding out other texts); NULL for one seed';
comment on column lab.layer_separability.accuracy_high is 'upper end of that interval';
comment on column lab.layer_separability.within_one is 'share of states that were taken for their own layer or one next to it; NULL for a single layer';
comment on column lab.layer_separability.chance is 'the accuracy of guessing: 1 / number of layers';
comment on column lab.layer_separability.seeds is 'how many choices of held-out texts';
comment on column lab.layer_separability.train_texts is 'texts trained on, mean over seeds';
comment on column lab.layer_separability.test_texts is 'texts tested on, mean over seeds';
comment on column lab.layer_separability.n_tested is 'states tested, mean over seeds';
comment on column lab.layer_separability.note is 'what to know of it';
comment on column lab.layer_separability.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
