create view lab.dimension_contributions as
select
    c.model,
    m.kind,
    c.step,
    f.dataset,
    f.procedure,
    f.from_layer,
    f.layer,
    f.dimension,
    f.contribution,
    f.std_error,
    f.rank,
    c.revision
from main.dimension_contributions f
join main.runs r on r.run_id = f.run_id
join main.checkpoints c on c.checkpoint_id = f.checkpoint_id
join main.models m on m.model = c.model
qualify row_number() over (
    partition by f.checkpoint_id, f.dataset, f.procedure, f.from_layer, f.layer, f.dimension
    order by r.finished_at desc, f.run_id desc
) = 1;

comment on view lab.dimension_contributions is 'The share of each dimension in the decision for each layer, 100 |w| / sum |w| of the logistic regression, newest run';
comment on column lab.dimension_contributions.model is 'the model''s name in the store';
comment on column lab.dimension_contributions.kind is 'decoder or encoder';
comment on column lab.dimension_contributions.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.dimension_contributions.dataset is 'the key of the dataset that the classifier was trained on; every choice that is not the default stands in it';
comment on column lab.dimension_contributions.procedure is 'corrected, or released: as the published study''s authors run it';
comment on column lab.dimension_contributions.from_layer is 'the first layer that was to be told: 0 with the input embedding, 1 without it';
comment on column lab.dimension_contributions.layer is 'the layer that is decided for';
comment on column lab.dimension_contributions.dimension is 'place in the hidden state, from 0';
comment on column lab.dimension_contributions.contribution is 'per cent; those of a layer sum to 100';
comment on column lab.dimension_contributions.std_error is 'its standard error over seeds';
comment on column lab.dimension_contributions.rank is '1 for the dimension that contributes most to the layer';
comment on column lab.dimension_contributions.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
