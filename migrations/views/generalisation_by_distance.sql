create view lab.generalisation_by_distance as
with ranked as (
    select
        struct_pack(
            reference := d.reference, tested_on := d.tested_on, dataset := d.dataset, layer := d.layer,
            measure := d.measure, positions := d.positions, without_top := d.without_top
        ) as about,
        d.revision,
        d.distance,
        d.accuracy_gap as gap,
        rank() over (partition by about order by d.distance)
            + (count(*) over (partition by about, d.distance) - 1) / 2 as distance_rank,
        rank() over (partition by about order by d.accuracy_gap)
            + (count(*) over (partition by about, d.accuracy_gap) - 1) / 2 as gap_rank
    from lab.generalisation_distances d
),
correlated as (
    select r.about, count(*) as networks, corr(r.distance_rank, r.gap_rank) as spearman, corr(r.distance, r.gap) as pearson
    from ranked r
    group by r.about
),
pairs as (
    select
        x.about,
        sum(sign(x.distance - y.distance) * sign(x.gap - y.gap)) as concordance,
        sum((x.distance <> y.distance)::integer) as untied_distances,
        sum((x.gap <> y.gap)::integer) as untied_gaps
    from ranked x
    join ranked y on y.about = x.about and y.revision > x.revision
    group by x.about
)
select
    c.about.reference as reference,
    c.about.tested_on as tested_on,
    c.about.dataset as dataset,
    c.about.layer as layer,
    c.about.measure as measure,
    c.about.positions as positions,
    c.about.without_top as without_top,
    if(isfinite(c.spearman), c.spearman, null) as spearman,
    if(isfinite(c.spearman), c.spearman * sqrt(c.networks - 1), null) as spearman_z,
    p.concordance / nullif(sqrt(p.untied_distances * p.untied_gaps), 0) as kendall,
    if(isfinite(c.pearson), c.pearson, null) as pearson,
    c.networks
from correlated c
left join pairs p on p.about = c.about;

comment on view lab.generalisation_by_distance is 'Does distance to the best fine-tuning predict how much worse another does out of distribution, and from which layer? Rank correlations over the fine-tunings';
comment on column lab.generalisation_by_distance.reference is 'the model that does best out of distribution of those that were compared; it is not among those correlated';
comment on column lab.generalisation_by_distance.tested_on is 'the key of the labelled texts out of distribution';
comment on column lab.generalisation_by_distance.dataset is 'the key of the texts that the states are of';
comment on column lab.generalisation_by_distance.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.generalisation_by_distance.measure is 'the measure''s name, as in lab.measures';
comment on column lab.generalisation_by_distance.positions is 'tokens it is of: all or not-first';
comment on column lab.generalisation_by_distance.without_top is 'how many top principal components were taken out of both clouds; 0 for none';
comment on column lab.generalisation_by_distance.spearman is 'rank correlation of distance and accuracy gap: above 0 where those farther away do worse';
comment on column lab.generalisation_by_distance.spearman_z is 'spearman times sqrt(networks - 1): standard normal where distance and gap have nothing to do with each other';
comment on column lab.generalisation_by_distance.kendall is 'Kendall''s tau-b of the same';
comment on column lab.generalisation_by_distance.pearson is 'linear correlation of the same';
comment on column lab.generalisation_by_distance.networks is 'how many fine-tunings beside the reference';
