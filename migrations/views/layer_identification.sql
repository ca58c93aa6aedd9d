create view lab.layer_identification as
with counted as (
    select
        n.model_a,
        n.step_a,
        n.model_b,
        n.step_b,
        n.dataset,
        n.measure,
        n.positions,
        n.without_top,
        count(*) as layers,
        count(*) filter (n.layer_a = n.layer_b) as identified,
        n.revision_a,
        n.revision_b
    from lab.nearest_layer n
    join main.models a on a.model = n.model_a
    join main.models b on b.model = n.model_b
    where a.layers = b.layers and (n.model_a <> n.model_b or n.revision_a <> n.revision_b)
    group by all
)
select
    c.model_a,
    c.step_a,
    c.model_b,
    c.step_b,
    c.dataset,
    c.measure,
    c.positions,
    c.without_top,
    c.layers,
    c.identified,
    c.identified / c.layers as share,
    (c.identified + 1.9208 - 1.96 * sqrt(c.identified * (1 - c.identified / c.layers) + 0.9604)) / (c.layers + 3.8416)
        as share_low,
    (c.identified + 1.9208 + 1.96 * sqrt(c.identified * (1 - c.identified / c.layers) + 0.9604)) / (c.layers + 3.8416)
        as share_high,
    1 / c.layers as chance,
    c.revision_a,
    c.revision_b
from counted c;

comment on view lab.layer_identification is 'Is a layer''s nearest one in another network of the same depth the layer at the same depth? One row a pair of checkpoints and a measure';
comment on column lab.layer_identification.model_a is 'the first network''s name in the store';
comment on column lab.layer_identification.step_a is 'its optimiser step; NULL where nobody said';
comment on column lab.layer_identification.model_b is 'the second network''s name in the store';
comment on column lab.layer_identification.step_b is 'its optimiser step; NULL where nobody said';
comment on column lab.layer_identification.dataset is 'the dataset''s key; both networks read the same texts';
comment on column lab.layer_identification.measure is 'the measure''s name, as in lab.measures';
comment on column lab.layer_identification.positions is 'tokens it is of: all or not-first';
comment on column lab.layer_identification.without_top is 'how many top principal components were taken out of both clouds; 0 for none';
comment on column lab.layer_identification.layers is 'layers of the first network, the embedding and the last norm among them';
comment on column lab.layer_identification.identified is 'those whose nearest layer in the second network is the one at the same depth';
comment on column lab.layer_identification.share is 'identified / layers';
comment on column lab.layer_identification.share_low is 'lower end of its 95 % interval over layers (Wilson)';
comment on column lab.layer_identification.share_high is 'upper end of that interval';
comment on column lab.layer_identification.chance is 'the share that guessing would give: 1 / layers';
comment on column lab.layer_identification.revision_a is 'the hub''s commit, or the digest of its weights';
comment on column lab.layer_identification.revision_b is 'the hub''s commit, or the digest of its weights';
