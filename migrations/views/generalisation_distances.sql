create view lab.generalisation_distances as
with tuned as (
    select
        o.model,
        o.step,
        o.revision,
        o.dataset as tested_on,
        o.accuracy,
        i.accuracy as accuracy_in_distribution
    from lab.classifier_accuracies o
    join lab.classifier_accuracies i on i.revision = o.revision and i.model = o.model and i.split = 'in-distribution'
    where o.split = 'out-of-distribution'
),
either_way as (
    select
        d.revision_a,
        d.revision_b,
        d.dataset,
        d.layer_a as layer,
        d.measure,
        d.positions,
        d.without_top,
        if(d.larger_is_more_alike, 1 - d.value, d.value) as distance
    from lab.network_dissimilarity d
    where d.layer_a = d.layer_b and d.stream_a = d.stream_b and d.value is not null
    union
    select
        d.revision_b,
        d.revision_a,
        d.dataset,
        d.layer_a,
        d.measure,
        d.positions,
        d.without_top,
        if(d.larger_is_more_alike, 1 - d.value, d.value)
    from lab.network_dissimilarity d
    where d.layer_a = d.layer_b and d.stream_a = d.stream_b and d.value is not null and d.symmetric
)
select
    r.model as reference,
    b.model,
    b.step,
    b.tested_on,
    d.dataset,
    d.layer,
    d.measure,
    d.positions,
    d.without_top,
    d.distance,
    b.accuracy,
    r.accuracy - b.accuracy as accuracy_gap,
    b.accuracy_in_distribution,
    b.revision
from tuned b
join either_way d on d.revision_b = b.revision
join tuned r on r.revision = d.revision_a and r.tested_on = b.tested_on
where r.accuracy > b.accuracy or (r.accuracy = b.accuracy and r.revision < b.revision)
qualify r.revision = first_value(r.revision) over (
    partition by b.revision, b.tested_on, d.dataset order by r.accuracy desc, r.revision
) and row_number() over (
    partition by r.revision, b.revision, b.tested_on, d.dataset, d.layer, d.measure, d.positions, d.without_top
    order by d.distance
) = 1;

comment on view lab.generalisation_distances is 'How far is each fine-tuning from the one that does best out of distribution of all that it was compared with, layer by layer, and how much worse does it do?';
comment on column lab.generalisation_distances.reference is 'the model that does best out of distribution of those that this one was compared with on these texts';
comment on column lab.generalisation_distances.model is 'the model that is set against it';
comment on column lab.generalisation_distances.step is 'its optimiser step; NULL where nobody said';
comment on column lab.generalisation_distances.tested_on is 'the key of the labelled texts out of distribution';
comment on column lab.generalisation_distances.dataset is 'the key of the texts that both networks'' states are of';
comment on column lab.generalisation_distances.layer is 'depth in both: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.generalisation_distances.measure is 'the measure''s name, as in lab.measures';
comment on column lab.generalisation_distances.positions is 'tokens it is of: all or not-first';
comment on column lab.generalisation_distances.without_top is 'how many top principal components were taken out of both clouds; 0 for none';
comment on column lab.generalisation_distances.distance is 'the measure''s value, or 1 less it where larger means more alike';
comment on column lab.generalisation_distances.accuracy is 'of the model out of distribution';
comment on column lab.generalisation_distances.accuracy_gap is 'how much better the reference does out of distribution';
comment on column lab.generalisation_distances.accuracy_in_distribution is 'of the model in distribution';
comment on column lab.generalisation_distances.revision is 'the hub''s commit, or the digest of its weights';
