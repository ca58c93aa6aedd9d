create view lab.separability_scores as
select
    s.model,
    s.kind,
    s.step,
    s.dataset,
    s.tested_on,
    s.procedure,
    s.classifier,
    s.from_layer,
    s.question,
    s.condition,
    s.amount,
    s.length,
    s.layer,
    avg(s.accuracy) as accuracy,
    case when count(s.accuracy) > 1
        then greatest(0, avg(s.accuracy) - any_value(t.quantile) * stddev_samp(s.accuracy) / sqrt(count(s.accuracy)))
    end as accuracy_low,
    case when count(s.accuracy) > 1
        then least(1, avg(s.accuracy) + any_value(t.quantile) * stddev_samp(s.accuracy) / sqrt(count(s.accuracy)))
    end as accuracy_high,
    avg(s.within_one) as within_one,
    max(s.chance) as chance,
    count(*) as seeds,
    avg(s.train_texts) as train_texts,
    avg(s.test_texts) as test_texts,
    avg(s.n_tested) as n_tested,
    max(s.note) as note,
    s.revision
from (
    select
        c.model,
        m.kind,
        c.step,
        c.revision,
        f.dataset,
        f.tested_on,
        f.procedure,
        f.classifier,
        f.from_layer,
        f.question,
        f.condition,
        f.amount,
        f.length,
        f.layer,
        f.accuracy,
        f.within_one,
        f.chance,
        f.train_texts,
        f.test_texts,
        f.n_tested,
        f.note,
        count(*) over (
            partition by
                f.checkpoint_id, f.dataset, f.tested_on, f.procedure, f.classifier, f.from_layer, f.question, f.condition,
                f.amount, f.length, f.layer
        ) as seeds
    from (
        select
            n.checkpoint_id,
            n.dataset,
            n.tested_on,
            n.procedure,
            n.classifier,
            n.from_layer,
            n.question,
            n.condition,
            n.amount,
            n.length,
            n.layer,
            n.accuracy,
            n.within_one,
            n.chance,
            n.train_texts,
            n.test_texts,
            n.n_tested,
            n.note
        from main.separability_scores n
        join main.runs r on r.run_id = n.run_id
        qualify rank() over (
            partition by
                n.checkpoint_id, n.dataset, n.tested_on, n.procedure, n.classifier, n.from_layer, n.question, n.condition,
                n.amount, n.length, n.layer
            order by r.finished_at desc, n.run_id desc
        ) = 1
    ) f
    join main.checkpoints c on c.checkpoint_id = f.checkpoint_id
    join main.models m on m.model = c.model
) s
left join (
    select
        generate_subscripts(q.quantiles, 1) + 1 as seeds,
        unnest(q.quantiles) as quantile
    from (
        select [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145] as quantiles
    ) q
) t on t.seeds = least(s.seeds, 15)
group by all;

comment on view lab.separability_scores is 'How well states'' layers are told, under every condition that was asked for, newest run: one row a checkpoint, dataset, condition and layer';
comment on column lab.separability_scores.model is 'the model''s name in the store';
comment on column lab.separability_scores.kind is 'decoder or encoder';
comment on column lab.separability_scores.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.separability_scores.dataset is 'the key of the dataset that the classifier was trained on; every choice that is not the default stands in it';
comment on column lab.separability_scores.tested_on is 'the key of the dataset that it was tested on';
comment on column lab.separability_scores.procedure is 'corrected, or released: as the published study''s authors run it';
comment on column lab.separability_scores.classifier is 'logistic (multinomial logistic regression), tree (decision tree), centroid (nearest centroid) or lda (linear discriminant analysis)';
comment on column lab.separability_scores.from_layer is 'the first layer that was to be told: 0 with the input embedding, 1 without it';
comment on column lab.separability_scores.question is 'what was asked: separability, masking, norm, projection, leak, transfer or scaling';
comment on column lab.separability_scores.condition is 'what was done to the states or the classifier';
comment on column lab.separability_scores.amount is 'how much of it: dimensions masked, directions kept, texts; NULL where there is no number';
comment on column lab.separability_scores.length is 'tokens read of each text; NULL where windows were read as they are';
comment on column lab.separability_scores.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs; NULL for all layers together';
comment on column lab.separability_scores.accuracy is 'share of held-out states whose layer was told rightly, 0 to 1, mean over seeds';
comment on column lab.separability_scores.accuracy_low is 'lower end of the 95 % interval over seeds (Student''s t, each seed holding out other texts); NULL for one seed';
comment on column lab.separability_scores.accuracy_high is 'upper end of that interval';
comment on column lab.separability_scores.within_one is 'share of states that were taken for their own layer or one next to it; NULL for a single layer';
comment on column lab.separability_scores.chance is 'the accuracy of guessing: 1 / number of layers';
comment on column lab.separability_scores.seeds is 'how many choices of held-out texts';
comment on column lab.separability_scores.train_texts is 'texts trained on, mean over seeds';
comment on column lab.separability_scores.test_texts is 'texts tested on, mean over seeds';
comment on column lab.separability_scores.n_tested is 'states tested, mean over seeds';
comment on column lab.separability_scores.note is 'what to know of it';
comment on column lab.separability_scores.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
