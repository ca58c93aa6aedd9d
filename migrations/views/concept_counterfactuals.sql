create view lab.concept_counterfactuals as
with newest as (
    select
        k.attribution_id,
        k.ensemble,
        k.concept_id,
        k.layer as attributed_layer,
        k.method,
        k.dataset,
        k.positions,
        k.folds,
        k.probe_seeds,
        k.removal,
        k.removed,
        k.train_items,
        k.seed,
        k.checkpoint_id,
        k.untrained_checkpoint_id,
        k.accuracy as network_accuracy
    from main.concept_counterfactuals k
    join main.runs r on r.run_id = k.run_id
    qualify row_number() over (
        partition by k.attribution_id, k.method, k.removal, k.removed, k.seed order by r.finished_at desc, k.run_id desc
    ) = 1
),
trained as (
    select
        n.attribution_id, n.method, n.removal, n.removed, n.seed, n.checkpoint_id, n.concept_id, n.positions, n.folds,
        n.probe_seeds
    from newest n
    union all
    select
        n.attribution_id, n.method, 'untrained', 0, n.seed, n.untrained_checkpoint_id, n.concept_id, n.positions, n.folds,
        n.probe_seeds
    from newest n
    where n.removal = 'none'
),
probed as (
    select
        n.attribution_id,
        n.removal,
        n.removed,
        n.method,
        n.seed,
        f.layer,
        avg(f.accuracy) as accuracy,
        avg(f.auroc) as auroc,
        avg(f.selectivity) as selectivity,
        avg(f.chance) as chance,
        avg(f.share_of_weights_50) as share_of_weights_50
    from trained n
    join lab.concept_fits f on f.checkpoint_id = n.checkpoint_id and f.concept_id = n.concept_id
        and f.positions = n.positions and f.folds = n.folds and f.seed < n.probe_seeds
    where f.penalty = 'l2' and f.labels = 'real'
    group by all
),
kept as (
    select
        m.attribution_id,
        m.method,
        arg_max(m.layer, m.accuracy - 1e-9 * m.layer) as kept_layer
    from (
        select p.attribution_id, p.method, p.layer, avg(p.accuracy) as accuracy
        from probed p
        where p.removal = 'none'
        group by all
    ) m
    group by all
),
networks as (
    select
        p.attribution_id, p.removal, p.removed, p.method, p.seed, p.layer, p.accuracy, p.auroc, p.selectivity, p.chance,
        p.share_of_weights_50, null as centroid, null as kept_layer, null as kept_layer_accuracy
    from probed p
    union all
    select
        p.attribution_id, p.removal, p.removed, p.method, p.seed,
        null as layer,
        max(p.accuracy) as accuracy,
        max(p.auroc) as auroc,
        max(p.selectivity) as selectivity,
        avg(p.chance) as chance,
        arg_max(p.share_of_weights_50, p.accuracy - 1e-9 * p.layer) as share_of_weights_50,
        sum(p.layer * greatest(p.selectivity, 0)) / nullif(sum(greatest(p.selectivity, 0)), 0) as centroid,
        k.kept_layer,
        max(p.accuracy) filter (p.layer = k.kept_layer) as kept_layer_accuracy
    from probed p
    left join kept k on k.attribution_id = p.attribution_id and k.method = p.method
    group by all
),
paired as (
    select
        -- seed s begins alike in every removal: each network is compared with that of its own seed
        n.ensemble, n.concept_id, n.attributed_layer, n.dataset,
        w.attribution_id, w.method, w.removal, w.removed, w.layer, w.kept_layer,
        n.train_items::double as train_items,
        n.network_accuracy,
        w.accuracy, w.auroc, w.selectivity, w.chance, w.share_of_weights_50, w.centroid, w.kept_layer_accuracy,
        w.accuracy - b.accuracy as accuracy_change,
        w.kept_layer_accuracy - b.kept_layer_accuracy as kept_layer_accuracy_change,
        w.share_of_weights_50 - b.share_of_weights_50 as share_of_weights_50_change,
        w.centroid - b.centroid as centroid_change,
        case when w.removal not in ('none', 'random') then w.accuracy - d.accuracy end as against_random,
        u.accuracy as untrained_accuracy,
        case when u.accuracy is not null then w.accuracy - greatest(u.accuracy, w.chance) end as above_floor
    from newest n
    join networks w on w.attribution_id = n.attribution_id and w.removal = n.removal and w.removed = n.removed
        and w.method = n.method and w.seed = n.seed
    left join networks b on b.attribution_id = w.attribution_id and b.method = w.method and b.seed = w.seed
        and b.layer is not distinct from w.layer and b.removal = 'none'
    left join networks d on d.attribution_id = w.attribution_id and d.method = w.method and d.seed = w.seed
        and d.layer is not distinct from w.layer and d.removal = 'random' and d.removed = w.removed
    left join networks u on u.attribution_id = w.attribution_id and u.method = w.method and u.seed = w.seed
        and u.layer is not distinct from w.layer and u.removal = 'untrained'
),
grouped as (
    select
        p.ensemble, p.concept_id, p.attributed_layer, p.dataset,
        p.attribution_id, p.method, p.removal, p.removed, p.layer, p.kept_layer, p.measure,
        count(*) as networks,
        avg(p.value) as value,
        -- 97.5 % quantiles of the t distribution, by degrees of freedom
        case when count(*) > 1 then coalesce(
            [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
             2.120, 2.110, 2.101, 2.093, 2.086][(count(*) - 1)::integer], 2.0
        ) end * stddev_samp(p.value) / sqrt(count(*)) as reach,
        p.measure in ('accuracy', 'kept_layer_accuracy', 'network_accuracy') as is_share
    from paired unpivot (
        value for measure in (
            train_items, network_accuracy, accuracy, auroc, selectivity, chance, share_of_weights_50, centroid,
            kept_layer_accuracy, accuracy_change, kept_layer_accuracy_change, share_of_weights_50_change, centroid_change,
            against_random, untrained_accuracy, above_floor
        )
    ) p
    group by all
),
intervals as (
    select
        g.ensemble, g.concept_id, g.attributed_layer, g.dataset,
        g.attribution_id, g.method, g.removal, g.removed, g.layer, g.kept_layer, g.measure, g.networks, g.value,
        case when g.is_share and g.reach > g.value then 0 else g.value - g.reach end as low,
        case when g.is_share and g.reach > 1 - g.value then 1 else g.value + g.reach end as high
    from grouped g
),
measured as (
    select
        i.ensemble, i.concept_id, i.attributed_layer, i.dataset, i.attribution_id, i.method, i.removal, i.removed, i.layer,
        i.kept_layer,
        max(i.networks) as networks,
        max(i.value) filter (i.measure = 'train_items') as train_items,
        max(i.value) filter (i.measure = 'auroc') as auroc,
        max(i.value) filter (i.measure = 'chance') as chance,
        max(i.value) filter (i.measure = 'untrained_accuracy') as untrained_accuracy,
        max(i.value) filter (i.measure = 'accuracy') as accuracy,
        max(i.low) filter (i.measure = 'accuracy') as accuracy_low,
        max(i.high) filter (i.measure = 'accuracy') as accuracy_high,
        max(i.value) filter (i.measure = 'accuracy_change') as accuracy_change,
        max(i.low) filter (i.measure = 'accuracy_change') as accuracy_change_low,
        max(i.high) filter (i.measure = 'accuracy_change') as accuracy_change_high,
        max(i.value) filter (i.measure = 'against_random') as against_random,
        max(i.low) filter (i.measure = 'against_random') as against_random_low,
        max(i.high) filter (i.measure = 'against_random') as against_random_high,
        max(i.value) filter (i.measure = 'above_floor') as above_floor,
        max(i.low) filter (i.measure = 'above_floor') as above_floor_low,
        max(i.high) filter (i.measure = 'above_floor') as above_floor_high,
        max(i.value) filter (i.measure = 'kept_layer_accuracy') as kept_layer_accuracy,
        max(i.low) filter (i.measure = 'kept_layer_accuracy') as kept_layer_accuracy_low,
        max(i.high) filter (i.measure = 'kept_layer_accuracy') as kept_layer_accuracy_high,
        max(i.value) filter (i.measure = 'kept_layer_accuracy_change') as kept_layer_accuracy_change,
        max(i.low) filter (i.measure = 'kept_layer_accuracy_change') as kept_layer_accuracy_change_low,
        max(i.high) filter (i.measure = 'kept_layer_accuracy_change') as kept_layer_accuracy_change_high,
        max(i.value) filter (i.measure = 'selectivity') as selectivity,
        max(i.low) filter (i.measure = 'selectivity') as selectivity_low,
        max(i.high) filter (i.measure = 'selectivity') as selectivity_high,
        max(i.value) filter (i.measure = 'share_of_weights_50') as share_of_weights_50,
        max(i.low) filter (i.measure = 'share_of_weights_50') as share_of_weights_50_low,
        max(i.high) filter (i.measure = 'share_of_weights_50') as share_of_weights_50_high,
        max(i.value) filter (i.measure = 'share_of_weights_50_change') as share_of_weights_50_change,
        max(i.low) filter (i.measure = 'share_of_weights_50_change') as share_of_weights_50_change_low,
        max(i.high) filter (i.measure = 'share_of_weights_50_change') as share_of_weights_50_change_high,
        max(i.value) filter (i.measure = 'centroid') as centroid,
        max(i.low) filter (i.measure = 'centroid') as centroid_low,
        max(i.high) filter (i.measure = 'centroid') as centroid_high,
        max(i.value) filter (i.measure = 'centroid_change') as centroid_change,
        max(i.low) filter (i.measure = 'centroid_change') as centroid_change_low,
        max(i.high) filter (i.measure = 'centroid_change') as centroid_change_high,
        max(i.value) filter (i.measure = 'network_accuracy') as network_accuracy,
        max(i.low) filter (i.measure = 'network_accuracy') as network_accuracy_low,
        max(i.high) filter (i.measure = 'network_accuracy') as network_accuracy_high
    from intervals i
    group by all
)
select
    m.ensemble,
    c.concept,
    m.dataset,
    m.method,
    m.attributed_layer,
    m.removal,
    m.removed,
    m.removed / (m.train_items + m.removed) as share_removed,
    m.layer,
    m.networks,
    case
        when m.removal = 'none' then null
        when m.centroid_change_low > 0.25 or m.centroid_change_high < -0.25 then true
        when m.centroid_change_low > -0.25 and m.centroid_change_high < 0.25 then false
    end as moved,
    case
        when m.above_floor_low > 0 then false
        when m.accuracy_change_high < 0 and m.above_floor_low <= 0 then true
    end as at_chance,
    case when m.against_random_high < -0.05 then false when m.against_random_low > -0.05 then true end as diffuse,
    case
        when m.removal = 'none' then null
        when m.share_of_weights_50_change_low > 0.05 then true
        when m.share_of_weights_50_change_high < 0.05 then false
    end as spread_out,
    m.accuracy,
    m.accuracy_low,
    m.accuracy_high,
    m.accuracy_change,
    m.accuracy_change_low,
    m.accuracy_change_high,
    m.against_random,
    m.against_random_low,
    m.against_random_high,
    m.untrained_accuracy,
    m.above_floor,
    m.above_floor_low,
    m.above_floor_high,
    m.kept_layer,
    m.kept_layer_accuracy,
    m.kept_layer_accuracy_low,
    m.kept_layer_accuracy_high,
    m.kept_layer_accuracy_change,
    m.kept_layer_accuracy_change_low,
    m.kept_layer_accuracy_change_high,
    m.auroc,
    m.selectivity,
    m.selectivity_low,
    m.selectivity_high,
    m.chance,
    m.share_of_weights_50,
    m.share_of_weights_50_low,
    m.share_of_weights_50_high,
    m.share_of_weights_50_change,
    m.share_of_weights_50_change_low,
    m.share_of_weights_50_change_high,
    m.centroid,
    m.centroid_low,
    m.centroid_high,
    m.centroid_change,
    m.centroid_change_low,
    m.centroid_change_high,
    m.network_accuracy,
    m.network_accuracy_low,
    m.network_accuracy_high,
    c.dataset as probed_on,
    m.concept_id,
    m.attribution_id
from measured m
join main.concepts c on c.concept_id = m.concept_id;

comment on view lab.concept_counterfactuals is 'What becomes of a concept in networks trained anew without some items: those that it is owed to, as many at random, of the other end, of its own exemplars, of the same classes; means over networks';
comment on column lab.concept_counterfactuals.ensemble is 'the ensemble that was attributed, as it was called';
comment on column lab.concept_counterfactuals.concept is 'the concept''s name';
comment on column lab.concept_counterfactuals.dataset is 'the key of the training items';
comment on column lab.concept_counterfactuals.method is 'the method of attribution by whose scores'' size items are taken away; by the scores with their sign where it says so';
comment on column lab.concept_counterfactuals.attributed_layer is 'the layer whose probe was attributed';
comment on column lab.concept_counterfactuals.removal is 'none; top or bottom of the ranking by attribution; random; exemplars, of the concept itself; class-matched, of each class (of texts: with and without the concept) as many as the top has, and none of these where there are others';
comment on column lab.concept_counterfactuals.removed is 'how many training items were taken away';
comment on column lab.concept_counterfactuals.share_removed is 'of all training items';
comment on column lab.concept_counterfactuals.layer is 'the layer that was probed; NULL for the best of all layers, and there the centroid stands';
comment on column lab.concept_counterfactuals.networks is 'how many networks were trained so, each from a seed of its own';
comment on column lab.concept_counterfactuals.moved is 'does the concept move? true where centroid_change is surely more than a quarter of a layer either way, false where it is surely less, NULL where neither is sure, where layer is given, and for none';
comment on column lab.concept_counterfactuals.at_chance is 'does the concept fall to chance? true where it surely fell (accuracy_change) and is not surely above the floor, false where it surely is (above_floor), NULL where neither is sure';
comment on column lab.concept_counterfactuals.diffuse is 'is the concept spread over other training items too? true where the accuracy is surely less than 0.05 below that without as many at random (against_random), false where it is surely more, NULL where neither is sure';
comment on column lab.concept_counterfactuals.spread_out is 'does the probe spread over more dimensions? true where share_of_weights_50 surely grew by more than 0.05, false where it surely did not, NULL where neither is sure, and for none';
comment on column lab.concept_counterfactuals.accuracy is 'of the concept''s probe on held-out items, 0 to 1; mean over networks, each the mean over its probes';
comment on column lab.concept_counterfactuals.accuracy_low is 'lower end of its 95 % interval over networks (Student''s t, cut at 0); NULL for one network';
comment on column lab.concept_counterfactuals.accuracy_high is 'upper end of that interval, cut at 1';
comment on column lab.concept_counterfactuals.accuracy_change is 'less that of the networks that nothing was taken from';
comment on column lab.concept_counterfactuals.accuracy_change_low is 'lower end of its 95 % interval over networks, each less its own seed''s; NULL for one network';
comment on column lab.concept_counterfactuals.accuracy_change_high is 'upper end of that interval';
comment on column lab.concept_counterfactuals.against_random is 'accuracy less that of the same seeds without as many items at random; NULL where there are none';
comment on column lab.concept_counterfactuals.against_random_low is 'lower end of its 95 % interval over networks, each less its own seed''s; NULL for one network';
comment on column lab.concept_counterfactuals.against_random_high is 'upper end of that interval';
comment on column lab.concept_counterfactuals.untrained_accuracy is 'accuracy of probes on the same seeds'' networks before their first step; where layer is NULL the best of their layers';
comment on column lab.concept_counterfactuals.above_floor is 'accuracy less the floor, network by network: that of the untrained network or chance, whichever is greater; NULL where no untrained network was probed';
comment on column lab.concept_counterfactuals.above_floor_low is 'lower end of its 95 % interval over networks, each less its own seed''s; NULL for one network';
comment on column lab.concept_counterfactuals.above_floor_high is 'upper end of that interval';
comment on column lab.concept_counterfactuals.kept_layer is 'where layer is NULL: the layer at which the networks that nothing was taken from tell the concept best, in the mean';
comment on column lab.concept_counterfactuals.kept_layer_accuracy is 'accuracy at that layer, which no network but those that nothing was taken from chose for itself: the best of several layers is above chance by luck';
comment on column lab.concept_counterfactuals.kept_layer_accuracy_low is 'lower end of its 95 % interval over networks, cut at 0';
comment on column lab.concept_counterfactuals.kept_layer_accuracy_high is 'upper end of that interval, cut at 1';
comment on column lab.concept_counterfactuals.kept_layer_accuracy_change is 'less that of the networks that nothing was taken from';
comment on column lab.concept_counterfactuals.kept_layer_accuracy_change_low is 'lower end of its 95 % interval over networks, each less its own seed''s; NULL for one network';
comment on column lab.concept_counterfactuals.kept_layer_accuracy_change_high is 'upper end of that interval';
comment on column lab.concept_counterfactuals.auroc is 'area under the ROC curve of the probe; 0.5 is chance';
comment on column lab.concept_counterfactuals.selectivity is 'accuracy less that on shuffled labels';
comment on column lab.concept_counterfactuals.selectivity_low is 'lower end of its 95 % interval over networks';
comment on column lab.concept_counterfactuals.selectivity_high is 'upper end of that interval';
comment on column lab.concept_counterfactuals.chance is 'the accuracy of always saying what is more frequent';
comment on column lab.concept_counterfactuals.share_of_weights_50 is 'share of the probe''s weights that hold half of its norm: small where the concept is sparse';
comment on column lab.concept_counterfactuals.share_of_weights_50_low is 'lower end of its 95 % interval over networks';
comment on column lab.concept_counterfactuals.share_of_weights_50_high is 'upper end of that interval';
comment on column lab.concept_counterfactuals.share_of_weights_50_change is 'less that of the networks that nothing was taken from: did it spread out?';
comment on column lab.concept_counterfactuals.share_of_weights_50_change_low is 'lower end of its 95 % interval over networks, each less its own seed''s; NULL for one network';
comment on column lab.concept_counterfactuals.share_of_weights_50_change_high is 'upper end of that interval';
comment on column lab.concept_counterfactuals.centroid is 'mean layer, weighted by selectivity above 0; where layer is NULL';
comment on column lab.concept_counterfactuals.centroid_low is 'lower end of its 95 % interval over networks';
comment on column lab.concept_counterfactuals.centroid_high is 'upper end of that interval';
comment on column lab.concept_counterfactuals.centroid_change is 'less that of the networks that nothing was taken from: did the concept move?';
comment on column lab.concept_counterfactuals.centroid_change_low is 'lower end of its 95 % interval over networks, each less its own seed''s; NULL for one network';
comment on column lab.concept_counterfactuals.centroid_change_high is 'upper end of that interval';
comment on column lab.concept_counterfactuals.network_accuracy is 'how often the networks tell the classes that they are trained for, on the items that are probed';
comment on column lab.concept_counterfactuals.network_accuracy_low is 'lower end of its 95 % interval over networks';
comment on column lab.concept_counterfactuals.network_accuracy_high is 'upper end of that interval, cut at 1';
comment on column lab.concept_counterfactuals.probed_on is 'the key of the items that are probed';
comment on column lab.concept_counterfactuals.concept_id is 'id of the concept''s name, definition and labels';
comment on column lab.concept_counterfactuals.attribution_id is 'id of the attribution that says which items, as in lab.attributions';
