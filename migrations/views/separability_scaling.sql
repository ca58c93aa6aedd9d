create view lab.separability_scaling as
select
    s.model,
    s.kind,
    s.step,
    s.dataset,
    n.parameters,
    n.width,
    n.layers,
    s.amount::bigint as texts,
    s.length,
    s.from_layer,
    s.layer,
    s.accuracy,
    s.accuracy_low,
    s.accuracy_high,
    s.within_one,
    s.chance,
    s.seeds,
    s.n_tested,
    s.revision
from lab.separability_scores s
join main.models n on n.model = s.model
where s.question = 'scaling';

comment on view lab.separability_scaling is 'Accuracy against the number of texts, the tokens read of each, and the size of the network';
comment on column lab.separability_scaling.model is 'the model''s name in the store';
comment on column lab.separability_scaling.kind is 'decoder or encoder';
comment on column lab.separability_scaling.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.separability_scaling.dataset is 'the dataset''s key: that of the most texts at this length';
comment on column lab.separability_scaling.parameters is 'parameters of the network';
comment on column lab.separability_scaling.width is 'dimensions of a hidden state';
comment on column lab.separability_scaling.layers is 'blocks of the network';
comment on column lab.separability_scaling.texts is 'texts read, a fifth of them held out';
comment on column lab.separability_scaling.length is 'tokens read of each text; NULL where windows were read as they are';
comment on column lab.separability_scaling.from_layer is 'the first layer that was to be told: 0 with the input embedding, 1 without it';
comment on column lab.separability_scaling.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs; NULL for all layers together';
comment on column lab.separability_scaling.accuracy is 'share of held-out states whose layer was told rightly, 0 to 1, mean over seeds';
comment on column lab.separability_scaling.accuracy_low is 'lower end of the 95 % interval over seeds (Student''s t, each seed holding out other texts); NULL for one seed';
comment on column lab.separability_scaling.accuracy_high is 'upper end of that interval';
comment on column lab.separability_scaling.within_one is 'share of states that were taken for their own layer or one next to it; NULL for a single layer';
comment on column lab.separability_scaling.chance is 'the accuracy of guessing: 1 / number of layers';
comment on column lab.separability_scaling.seeds is 'how many choices of held-out texts';
comment on column lab.separability_scaling.n_tested is 'states tested, mean over seeds';
comment on column lab.separability_scaling.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
