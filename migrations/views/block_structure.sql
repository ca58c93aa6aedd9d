create view lab.block_structure as
with alike as (
    select
        struct_pack(
            model := d.model_a, step := d.step_a, revision := d.revision_a, dataset := d.dataset, measure := d.measure,
            positions := d.positions, without_top := d.without_top
        ) as about,
        least(d.layer_a, d.layer_b) as low,
        greatest(d.layer_a, d.layer_b) as high,
        avg(d.value) as value
    from lab.network_dissimilarity d
    where d.model_a = d.model_b and d.revision_a = d.revision_b and d.larger_is_more_alike and d.stream_a <> 'final'
      and d.stream_b <> 'final' and d.layer_a <> d.layer_b and d.value is not null
    group by all
),
spans as (
    select outer_pair.about, outer_pair.low, outer_pair.high, min(inner_pair.value) as weakest
    from alike outer_pair
    join alike inner_pair on inner_pair.about = outer_pair.about and inner_pair.low >= outer_pair.low
        and inner_pair.high <= outer_pair.high
    group by all
),
blocks as (
    select
        s.about,
        max(s.high - s.low + 1) as largest_block,
        arg_max(s.low, s.high - s.low) as block_from,
        arg_max(s.high, s.high - s.low) as block_to
    from spans s
    where s.weakest >= 0.9
    group by s.about
),
means as (
    select
        a.about,
        max(a.high) + 1 as layers,
        avg(a.value) filter (a.high = a.low + 1) as adjacent,
        avg(a.value) filter (a.high - a.low > (select max(b.high) / 2 from alike b where b.about = a.about)) as distant,
        avg(a.value) as overall
    from alike a
    group by a.about
)
select
    m.about.model as model,
    m.about.step as step,
    k.width,
    m.layers,
    m.about.dataset as dataset,
    m.about.measure as measure,
    m.about.positions as positions,
    m.about.without_top as without_top,
    m.adjacent,
    m.distant,
    m.overall,
    coalesce(b.largest_block, 1) as largest_block,
    b.block_from,
    b.block_to,
    m.about.revision as revision
from means m
join main.models k on k.model = m.about.model
left join blocks b on b.about = m.about;

comment on view lab.block_structure is 'Do neighbouring layers form a block that is all alike? A network against itself, by each measure that is larger for the more alike; the last norm is left out';
comment on column lab.block_structure.model is 'the model''s name in the store';
comment on column lab.block_structure.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.block_structure.width is 'size of a hidden state';
comment on column lab.block_structure.layers is 'layers compared, the embedding among them';
comment on column lab.block_structure.dataset is 'the dataset''s key';
comment on column lab.block_structure.measure is 'the measure''s name, as in lab.measures';
comment on column lab.block_structure.positions is 'tokens it is of: all or not-first';
comment on column lab.block_structure.without_top is 'how many top principal components were taken out of all clouds; 0 for none';
comment on column lab.block_structure.adjacent is 'the measure, mean over layers next to each other';
comment on column lab.block_structure.distant is 'the measure, mean over layers more than half the network apart';
comment on column lab.block_structure.overall is 'the measure, mean over all pairs of different layers';
comment on column lab.block_structure.largest_block is 'the most layers in a row of which each two have 0.9 or more; 1 where no two neighbours have';
comment on column lab.block_structure.block_from is 'the first layer of that block; NULL where there is none';
comment on column lab.block_structure.block_to is 'its last layer';
comment on column lab.block_structure.revision is 'the hub''s commit, or the digest of its weights';
