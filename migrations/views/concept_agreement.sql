create view lab.concept_agreement as
select
    f.ensemble,
    case when f.between in ('seeds', 'steps', 'concepts') then ca.model end as model,
    ca.step,
    case when f.between = 'steps' then cb.step end as other_step,
    k.dataset,
    k.concept,
    o.concept as other_concept,
    f.layer,
    f.between,
    f.positions,
    f.folds,
    avg(f.cosine) as cosine,
    stddev_samp(f.cosine) as cosine_std,
    min(f.cosine) as cosine_min,
    max(f.cosine) as cosine_max,
    1 / sqrt(max(f.width)) as chance_cosine,
    avg(f.margin_correlation) as margin_correlation,
    stddev_samp(f.margin_correlation) as margin_correlation_std,
    min(f.margin_correlation) as margin_correlation_min,
    max(f.margin_correlation) as margin_correlation_max,
    count(*) as pairs,
    min(f.places) as places,
    case when f.between in ('seeds', 'steps', 'concepts') then ca.revision end as revision,
    f.concept_id
from (
    select
        n.concept_id,
        n.other_concept_id,
        n.ensemble,
        n.between,
        n.checkpoint_a,
        n.checkpoint_b,
        n.layer,
        n.positions,
        n.folds,
        n.cosine,
        n.width,
        n.margin_correlation,
        n.places
    from main.concept_agreements n
    join main.runs r on r.run_id = n.run_id
    qualify row_number() over (
        partition by
            n.concept_id, n.other_concept_id, n.between, n.ensemble, n.checkpoint_a, n.checkpoint_b, n.layer, n.seed_a, n.seed_b,
            n.positions, n.folds
        order by r.finished_at desc, n.run_id desc
    ) = 1
) f
join main.checkpoints ca on ca.checkpoint_id = f.checkpoint_a
join main.checkpoints cb on cb.checkpoint_id = f.checkpoint_b
join main.concepts k on k.concept_id = f.concept_id
left join main.concepts o on o.concept_id = f.other_concept_id
group by all;

comment on view lab.concept_agreement is 'Do L2 probes agree? One row a layer: between the seeds of a checkpoint, the members of an ensemble at a step, two checkpoints of a model, two concepts at a checkpoint, or networks of the same seeds trained with all items and without some';
comment on column lab.concept_agreement.ensemble is 'the ensemble whose members are compared, or that was trained without some items; NULL where one model is compared with itself';
comment on column lab.concept_agreement.model is 'the model whose seeds, checkpoints or concepts are compared; NULL between networks';
comment on column lab.concept_agreement.step is 'optimiser step; NULL where nobody said';
comment on column lab.concept_agreement.other_step is 'the later step that it is compared with: the next and the last; between steps alone';
comment on column lab.concept_agreement.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.concept_agreement.concept is 'the concept''s name';
comment on column lab.concept_agreement.other_concept is 'the concept that it is compared with; between concepts alone';
comment on column lab.concept_agreement.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 the state after the last norm';
comment on column lab.concept_agreement.between is 'seeds of one checkpoint; with the same items held out: members of an ensemble, steps of one model, concepts of one checkpoint, or retrained: networks that began alike, of which one was trained without some items';
comment on column lab.concept_agreement.positions is 'which tokens were probed: all, not-first or not-special';
comment on column lab.concept_agreement.folds is 'one part in so many of the items is held out, whole';
comment on column lab.concept_agreement.cosine is 'cosine between two probes'' directions in the states as they are, not standardised, mean over pairs; NULL between networks of unlike width. Different networks share no basis: between members it is that of chance unless they began alike; steps, concepts and seeds of one model share theirs, and retrained networks began with one';
comment on column lab.concept_agreement.cosine_std is 'its standard deviation over pairs';
comment on column lab.concept_agreement.cosine_min is 'the smallest';
comment on column lab.concept_agreement.cosine_max is 'the largest';
comment on column lab.concept_agreement.chance_cosine is 'standard deviation of the cosine of random directions, whose mean is 0';
comment on column lab.concept_agreement.margin_correlation is 'Pearson''s correlation of both probes'' margins, mean over pairs: on all places between seeds, most of which both were trained on; elsewhere on places that both held out';
comment on column lab.concept_agreement.margin_correlation_std is 'its standard deviation over pairs';
comment on column lab.concept_agreement.margin_correlation_min is 'the smallest';
comment on column lab.concept_agreement.margin_correlation_max is 'the largest';
comment on column lab.concept_agreement.pairs is 'pairs of probes';
comment on column lab.concept_agreement.places is 'places that the margins were compared on, the fewest of a pair';
comment on column lab.concept_agreement.revision is 'the weights whose seeds are compared; NULL between networks';
comment on column lab.concept_agreement.concept_id is 'identity of the concept: its definition and labels on this dataset';
