create view lab.separability_ablations as
select
    s.model,
    s.kind,
    s.step,
    s.dataset,
    s.procedure,
    s.from_layer,
    s.question,
    s.condition,
    s.amount,
    s.layer,
    s.accuracy,
    s.accuracy_low,
    s.accuracy_high,
    s.chance,
    s.seeds,
    s.n_tested,
    s.revision
from lab.separability_scores s
where s.question in ('masking', 'norm', 'projection', 'leak');

comment on view lab.separability_ablations is 'Telling layers apart with something taken away: dimensions (masking), norm or direction (norm), all but the weights'' principal directions (projection), or the rule that whole texts are held out (leak)';
comment on column lab.separability_ablations.model is 'the model''s name in the store';
comment on column lab.separability_ablations.kind is 'decoder or encoder';
comment on column lab.separability_ablations.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.separability_ablations.dataset is 'the key of the dataset that the classifier was trained on; every choice that is not the default stands in it';
comment on column lab.separability_ablations.procedure is 'corrected, or released: as the published study''s authors run it';
comment on column lab.separability_ablations.from_layer is 'the first layer that was to be told: 0 with the input embedding, 1 without it';
comment on column lab.separability_ablations.question is 'what was asked: separability, masking, norm, projection, leak, transfer or scaling';
comment on column lab.separability_ablations.condition is 'what was done to the states or the classifier';
comment on column lab.separability_ablations.amount is 'dimensions masked, or directions kept; NULL elsewhere';
comment on column lab.separability_ablations.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs; NULL for all layers together';
comment on column lab.separability_ablations.accuracy is 'share of held-out states whose layer was told rightly, 0 to 1, mean over seeds';
comment on column lab.separability_ablations.accuracy_low is 'lower end of the 95 % interval over seeds (Student''s t, each seed holding out other texts); NULL for one seed';
comment on column lab.separability_ablations.accuracy_high is 'upper end of that interval';
comment on column lab.separability_ablations.chance is 'the accuracy of guessing: 1 / number of layers';
comment on column lab.separability_ablations.seeds is 'how many choices of held-out texts';
comment on column lab.separability_ablations.n_tested is 'states tested, mean over seeds';
comment on column lab.separability_ablations.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
