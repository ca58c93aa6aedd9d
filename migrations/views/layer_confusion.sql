create view lab.layer_confusion as
select
    c.model,
    m.kind,
    c.step,
    f.dataset,
    f.classifier,
    f.procedure,
    f.from_layer,
    f.layer,
    f.predicted,
    f.n,
    f.n / sum(f.n) over (partition by f.run_id, f.procedure, f.classifier, f.from_layer, f.layer) as share,
    c.revision
from main.separability_confusions f
join main.runs r on r.run_id = f.run_id
join main.checkpoints c on c.checkpoint_id = f.checkpoint_id
join main.models m on m.model = c.model
qualify row_number() over (
    partition by f.checkpoint_id, f.dataset, f.classifier, f.procedure, f.from_layer, f.layer, f.predicted
    order by r.finished_at desc, f.run_id desc
) = 1;

comment on view lab.layer_confusion is 'Which layer is taken for which: the confusion matrix over all seeds'' held-out states, newest run';
comment on column lab.layer_confusion.model is 'the model''s name in the store';
comment on column lab.layer_confusion.kind is 'decoder or encoder';
comment on column lab.layer_confusion.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.layer_confusion.dataset is 'the key of the dataset that the classifier was trained on; every choice that is not the default stands in it';
comment on column lab.layer_confusion.classifier is 'logistic (multinomial logistic regression), tree (decision tree), centroid (nearest centroid) or lda (linear discriminant analysis)';
comment on column lab.layer_confusion.procedure is 'corrected, or released: as the published study''s authors run it';
comment on column lab.layer_confusion.from_layer is 'the first layer that was to be told: 0 with the input embedding, 1 without it';
comment on column lab.layer_confusion.layer is 'the layer that the states are from';
comment on column lab.layer_confusion.predicted is 'the layer that they were taken for';
comment on column lab.layer_confusion.n is 'states';
comment on column lab.layer_confusion.share is 'share of the layer''s states';
comment on column lab.layer_confusion.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
