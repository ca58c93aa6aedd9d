create view lab.nearest_layer as
select
    n.model_a,
    n.step_a,
    n.layer_a,
    n.stream_a,
    n.model_b,
    n.step_b,
    n.layer_b,
    n.stream_b,
    n.dataset,
    n.measure,
    n.positions,
    n.without_top,
    n.value,
    n.null_mean,
    n.z,
    n.margin,
    n.goes_up,
    bool_and(n.goes_up) over pair as monotone,
    corr(n.layer_a, n.layer_b) over pair as depth_correlation,
    n.pairs,
    n.revision_a,
    n.revision_b
from (
    select
        d.model_a,
        d.step_a,
        d.layer_a,
        d.stream_a,
        d.model_b,
        d.step_b,
        d.layer_b,
        d.stream_b,
        d.dataset,
        d.measure,
        d.positions,
        d.without_top,
        d.value,
        d.null_mean,
        d.z,
        abs(d.value - d.runner_up) as margin,
        coalesce(d.layer_b >= lag(d.layer_b) over (
            partition by d.model_a, d.step_a, d.revision_a, d.model_b, d.step_b, d.revision_b, d.dataset, d.measure,
            d.positions, d.without_top order by d.layer_a
        ), true) as goes_up,
        d.pairs,
        d.revision_a,
        d.revision_b
    from (
        select
            s.model_a,
            s.step_a,
            s.layer_a,
            s.stream_a,
            s.model_b,
            s.step_b,
            s.layer_b,
            s.stream_b,
            s.dataset,
            s.measure,
            s.positions,
            s.without_top,
            s.value,
            s.null_mean,
            s.z,
            s.pairs,
            s.revision_a,
            s.revision_b,
            lead(s.value) over layer as runner_up,
            row_number() over layer as place
        from lab.network_dissimilarity s
        where s.value is not null
        window layer as (
            partition by s.model_a, s.step_a, s.revision_a, s.layer_a, s.model_b, s.step_b, s.revision_b, s.dataset,
            s.measure, s.positions, s.without_top
            order by if(s.larger_is_more_alike, -s.value, s.value), s.layer_b
        )
    ) d
    where d.place = 1
) n
window pair as (
    partition by n.model_a, n.step_a, n.revision_a, n.model_b, n.step_b, n.revision_b, n.dataset, n.measure, n.positions,
    n.without_top
);

comment on view lab.nearest_layer is 'For each layer of the first network, the layer of the second that is most like it, by each measure';
comment on column lab.nearest_layer.model_a is 'the first network''s name in the store';
comment on column lab.nearest_layer.step_a is 'its optimiser step; NULL where nobody said';
comment on column lab.nearest_layer.layer_a is 'depth in the first network: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.nearest_layer.stream_a is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.nearest_layer.model_b is 'the second network''s name in the store';
comment on column lab.nearest_layer.step_b is 'its optimiser step; NULL where nobody said';
comment on column lab.nearest_layer.layer_b is 'the layer of the second network that is most like layer_a; the shallower of two that are equally like it';
comment on column lab.nearest_layer.stream_b is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.nearest_layer.dataset is 'the dataset''s key; both networks read the same texts';
comment on column lab.nearest_layer.measure is 'the measure''s name, as in lab.measures';
comment on column lab.nearest_layer.positions is 'tokens it is of: all or not-first';
comment on column lab.nearest_layer.without_top is 'how many top principal components were taken out of both clouds; 0 for none';
comment on column lab.nearest_layer.value is 'how alike the two are, in the measure''s unit';
comment on column lab.nearest_layer.null_mean is 'mean of the value over random pairings of the same points';
comment on column lab.nearest_layer.z is 'standard deviations between value and null_mean, positive where more alike than chance; NULL where the null does not vary';
comment on column lab.nearest_layer.margin is 'by how much the next best layer is less alike; NULL where there is none';
comment on column lab.nearest_layer.goes_up is 'whether the match is at least as deep as that of the layer before';
comment on column lab.nearest_layer.monotone is 'whether all matches of the two networks go up with depth';
comment on column lab.nearest_layer.depth_correlation is 'correlation of layer_a and layer_b over the layers of the first network; NULL where all match the same layer';
comment on column lab.nearest_layer.pairs is 'places in the texts where both networks have a state';
comment on column lab.nearest_layer.revision_a is 'the hub''s commit, or the digest of its weights';
comment on column lab.nearest_layer.revision_b is 'the hub''s commit, or the digest of its weights';
