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
        k.accuracy as network_accuracy
    from main.concept_counterfactuals k
    join main.runs r on r.run_id = k.run_id
    qualify row_number() over (
        partition by k.attribution_id, k.method, k.removal, k.removed, k.seed order by r.finished_at desc, k.run_id desc
    ) = 1
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
    from newest n
    join lab.concept_fits f on f.checkpoint_id = n.checkpoint_id and f.concept_id = n.concept_id
        and f.positions = n.positions and f.folds = n.folds and f.seed < n.probe_seeds
    where f.penalty = 'l2' and f.labels = 'real'
    group by all
),
networks as (
    select
        p.attribution_id, p.removal, p.removed, p.method, p.seed, p.layer, p.accuracy, p.auroc, p.selectivity, p.chance,
        p.share_of_weights_50, null as centroid
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
        sum(p.layer * greatest(p.selectivity, 0)) / nullif(sum(greatest(p.selectivity, 0)), 0) as centroid
    from probed p
    group by all
),
grouped as (
    select
        n.attribution_id,
        n.ensemble,
        n.concept_id,
        n.attributed_layer,
        n.method,
        n.dataset,
        n.removal,
        n.removed,
        w.layer,
        count(*) as networks,
        avg(w.accuracy) as accuracy,
        stddev_samp(w.accuracy) / sqrt(count(*)) as accuracy_std_error,
        avg(w.auroc) as auroc,
        avg(w.selectivity) as selectivity,
        stddev_samp(w.selectivity) / sqrt(count(*)) as selectivity_std_error,
        avg(w.chance) as chance,
        avg(w.share_of_weights_50) as share_of_weights_50,
        stddev_samp(w.share_of_weights_50) / sqrt(count(*)) as share_of_weights_50_std_error,
        avg(w.centroid) as centroid,
        stddev_samp(w.centroid) / sqrt(count(*)) as centroid_std_error,
        avg(n.network_accuracy) as network_accuracy,
        stddev_samp(n.network_accuracy) / sqrt(count(*)) as network_accuracy_std_error,
        avg(n.train_items) as train_items,
        -- 97.5 % quantiles of the t distribution, by degrees of freedom
        case when count(*) > 1 then coalesce(
            [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
             2.120, 2.110, 2.101, 2.093, 2.086][(count(*) - 1)::integer], 2.0
        ) end as t
    from newest n
    join networks w on w.attribution_id = n.attribution_id and w.removal = n.removal and w.removed = n.removed
        and w.method = n.method and w.seed = n.seed
    group by all
)
select
    g.ensemble,
    c.concept,
    g.dataset,
    g.method,
    g.attributed_layer,
    g.removal,
    g.removed,
    g.removed / (g.train_items + g.removed) as share_removed,
    g.layer,
    g.networks,
    g.accuracy,
    case when g.accuracy_std_error is not null then greatest(g.accuracy - g.t * g.accuracy_std_error, 0) end as accuracy_low,
    case when g.accuracy_std_error is not null then least(g.accuracy + g.t * g.accuracy_std_error, 1) end as accuracy_high,
    g.accuracy - max(g.accuracy) filter (g.removal = 'none') over alike as accuracy_change,
    g.auroc,
    g.selectivity,
    g.selectivity - g.t * g.selectivity_std_error as selectivity_low,
    g.selectivity + g.t * g.selectivity_std_error as selectivity_high,
    g.chance,
    g.share_of_weights_50,
    g.share_of_weights_50 - g.t * g.share_of_weights_50_std_error as share_of_weights_50_low,
    g.share_of_weights_50 + g.t * g.share_of_weights_50_std_error as share_of_weights_50_high,
    g.share_of_weights_50 - max(g.share_of_weights_50) filter (g.removal = 'none') over alike as share_of_weights_50_change,
    g.centroid,
    g.centroid - g.t * g.centroid_std_error as centroid_low,
    g.centroid + g.t * g.centroid_std_error as centroid_high,
    g.centroid - max(g.centroid) filter (g.removal = 'none') over alike as centroid_change,
    g.network_accuracy,
    case
        when g.network_accuracy_std_error is not null
            then greatest(g.network_accuracy - g.t * g.network_accuracy_std_error, 0)
    end as network_accuracy_low,
    case
        when g.network_accuracy_std_error is not null
            then least(g.network_accuracy + g.t * g.network_accuracy_std_error, 1)
    end as network_accuracy_high,
    c.dataset as probed_on,
    g.concept_id,
    g.attribution_id
from grouped g
join main.concepts c on c.concept_id = g.concept_id
window alike as (partition by g.attribution_id, g.method, g.layer);

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
comment on column lab.concept_counterfactuals.accuracy is 'of the concept''s probe on held-out items, 0 to 1; mean over networks, each the mean over its probes';
comment on column lab.concept_counterfactuals.accuracy_low is 'lower end of its 95 % interval over networks (Student''s t, cut at 0); NULL for one network';
comment on column lab.concept_counterfactuals.accuracy_high is 'upper end of that interval, cut at 1';
comment on column lab.concept_counterfactuals.accuracy_change is 'less that of the networks that nothing was taken from';
comment on column lab.concept_counterfactuals.auroc is 'area under the ROC curve of the probe; 0.5 is chance';
comment on column lab.concept_counterfactuals.selectivity is 'accuracy less that on shuffled labels';
comment on column lab.concept_counterfactuals.selectivity_low is 'lower end of its 95 % interval over networks';
comment on column lab.concept_counterfactuals.selectivity_high is 'upper end of that interval';
comment on column lab.concept_counterfactuals.chance is 'the accuracy of always saying what is more frequent';
comment on column lab.concept_counterfactuals.share_of_weights_50 is 'share of the probe''s weights that hold half of its norm: small where the concept is sparse';
comment on column lab.concept_counterfactuals.share_of_weights_50_low is 'lower end of its 95 % interval over networks';
comment on column lab.concept_counterfactuals.share_of_weights_50_high is 'upper end of that interval';
comment on column lab.concept_counterfactuals.share_of_weights_50_change is 'less that of the networks that nothing was taken from: did it spread out?';
comment on column lab.concept_counterfactuals.centroid is 'mean layer, weighted by selectivity above 0; where layer is NULL';
comment on column lab.concept_counterfactuals.centroid_low is 'lower end of its 95 % interval over networks';
comment on column lab.concept_counterfactuals.centroid_high is 'upper end of that interval';
comment on column lab.concept_counterfactuals.centroid_change is 'less that of the networks that nothing was taken from: did the concept move?';
comment on column lab.concept_counterfactuals.network_accuracy is 'how often the networks tell the classes that they are trained for, on the items that are probed';
comment on column lab.concept_counterfactuals.network_accuracy_low is 'lower end of its 95 % interval over networks';
comment on column lab.concept_counterfactuals.network_accuracy_high is 'upper end of that interval, cut at 1';
comment on column lab.concept_counterfactuals.probed_on is 'the key of the items that are probed';
comment on column lab.concept_counterfactuals.concept_id is 'id of the concept''s name, definition and labels';
comment on column lab.concept_counterfactuals.attribution_id is 'id of the attribution that says which items, as in lab.attributions';
