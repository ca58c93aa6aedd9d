create view lab.concept_location as
with members as (
    select
        p.ensemble,
        p.model,
        p.step,
        p.revision,
        p.dataset,
        p.concept,
        p.positions,
        p.folds,
        p.concept_id,
        arg_min(p.layer, p.place)::double as best_layer,
        max(p.accuracy) as best_accuracy,
        arg_min(p.accuracy_std, p.place) as best_accuracy_std,
        arg_min(p.selectivity, p.place) as best_selectivity
    from (
        select
            q.ensemble,
            q.model,
            q.step,
            q.revision,
            q.dataset,
            q.concept,
            q.positions,
            q.folds,
            q.concept_id,
            q.layer,
            q.accuracy,
            q.accuracy_std,
            q.selectivity,
            row_number() over (
                partition by q.ensemble, q.model, q.revision, q.concept_id, q.positions, q.folds
                order by q.accuracy desc, q.layer
            ) as place
        from lab.concept_probes q
        where q.penalty = 'l2' and q.labels = 'real' and q.model is not null
    ) p
    group by all
),
seeds as (
    select
        s.model,
        s.revision,
        s.concept_id,
        s.positions,
        s.folds,
        avg(s.best_layer) as mean_best_layer,
        stddev_samp(s.best_layer) as best_layer_std,
        avg(s.centroid) as centroid,
        stddev_samp(s.centroid) as centroid_std,
        avg(s.centroid / s.depth) as relative_centroid,
        stddev_samp(s.centroid / s.depth) as relative_centroid_std,
        count(*) as seeds
    from (
        select
            f.model,
            f.revision,
            f.concept_id,
            f.positions,
            f.folds,
            f.seed,
            d.depth,
            min(f.layer) filter (f.accuracy = f.highest) as best_layer,
            sum(f.layer * greatest(f.selectivity, 0)) / nullif(sum(greatest(f.selectivity, 0)), 0) as centroid
        from (
            select
                g.model,
                g.revision,
                g.concept_id,
                g.checkpoint_id,
                g.dataset,
                g.positions,
                g.folds,
                g.seed,
                g.layer,
                g.accuracy,
                g.selectivity,
                max(g.accuracy) over (
                    partition by g.checkpoint_id, g.concept_id, g.positions, g.folds, g.seed
                ) as highest
            from lab.concept_fits g
            where g.penalty = 'l2' and g.labels = 'real'
        ) f
        join (
            select a.checkpoint_id, a.dataset, nullif(max(a.layer), 0) as depth from main.activations a group by all
        ) d on d.checkpoint_id = f.checkpoint_id and d.dataset = f.dataset
        group by all
    ) s
    group by all
),
located as (
    select
        m.ensemble,
        m.model,
        m.step,
        m.revision,
        m.dataset,
        m.concept,
        m.positions,
        m.folds,
        m.concept_id,
        m.best_layer,
        s.best_layer_std,
        m.best_accuracy,
        m.best_accuracy_std,
        m.best_selectivity,
        s.centroid,
        s.centroid_std,
        s.relative_centroid,
        s.relative_centroid_std,
        s.seeds
    from members m
    join seeds s on s.model = m.model and s.revision = m.revision and s.concept_id = m.concept_id
        and s.positions = m.positions and s.folds = m.folds
)
select
    l.ensemble,
    l.model,
    l.step,
    l.revision,
    l.dataset,
    l.concept,
    l.positions,
    l.folds,
    l.best_layer,
    l.best_layer_std,
    l.best_accuracy,
    l.best_accuracy_std,
    l.best_selectivity,
    l.centroid,
    l.centroid_std,
    l.relative_centroid,
    l.relative_centroid_std,
    l.seeds,
    1 as members,
    l.concept_id
from located l
union all
select
    l.ensemble,
    null,
    l.step,
    null,
    l.dataset,
    l.concept,
    l.positions,
    l.folds,
    avg(l.best_layer),
    stddev_samp(l.best_layer),
    avg(l.best_accuracy),
    stddev_samp(l.best_accuracy),
    avg(l.best_selectivity),
    avg(l.centroid),
    stddev_samp(l.centroid),
    avg(l.relative_centroid),
    stddev_samp(l.relative_centroid),
    min(l.seeds),
    count(*),
    l.concept_id
from located l
group by l.ensemble, l.step, l.dataset, l.concept, l.positions, l.folds, l.concept_id
having count(*) > 1;

comment on view lab.concept_location is 'Where in a network a concept sits, by its L2 probes: one row an ensemble, checkpoint and concept with the mean and spread over seeds, and one for each ensemble of several (model NULL) with those over its members at that step';
comment on column lab.concept_location.ensemble is 'the ensemble of networks; a model''s own name where it was probed alone';
comment on column lab.concept_location.model is 'the member''s name in the store; NULL for the whole ensemble';
comment on column lab.concept_location.step is 'optimiser step; NULL where nobody said';
comment on column lab.concept_location.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights; NULL for the whole ensemble';
comment on column lab.concept_location.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.concept_location.concept is 'the concept''s name';
comment on column lab.concept_location.positions is 'which tokens were probed: all, not-first or not-special';
comment on column lab.concept_location.folds is 'one part in so many of the items is held out, whole';
comment on column lab.concept_location.best_layer is 'the layer of the highest mean accuracy, the lowest such layer; for the whole ensemble the mean over members';
comment on column lab.concept_location.best_layer_std is 'standard deviation over the seeds'' own best layers; for the whole ensemble over members';
comment on column lab.concept_location.best_accuracy is 'mean accuracy at the best layer, a share of held-out states';
comment on column lab.concept_location.best_accuracy_std is 'its standard deviation over seeds, or members';
comment on column lab.concept_location.best_selectivity is 'that accuracy less the control task''s';
comment on column lab.concept_location.centroid is 'sum of layer x selectivity over sum of selectivity, those below 0 taken as 0: a depth, mean over seeds; NULL where no layer is selective';
comment on column lab.concept_location.centroid_std is 'its standard deviation over seeds, or members';
comment on column lab.concept_location.relative_centroid is 'the centroid as a share of the network''s depth: 0 the embedding, 1 the last layer';
comment on column lab.concept_location.relative_centroid_std is 'its standard deviation over seeds, or members';
comment on column lab.concept_location.seeds is 'choices of held-out items; of the whole ensemble the fewest';
comment on column lab.concept_location.members is 'networks that the row is of: 1, or all of the ensemble at that step';
comment on column lab.concept_location.concept_id is 'identity of the concept: its definition and labels on this dataset';
