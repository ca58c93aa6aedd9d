create view lab.concept_probes as
with probed as (
    select
        e.ensemble,
        f.model,
        f.step,
        f.revision,
        f.dataset,
        f.concept,
        f.layer,
        f.stream,
        f.positions,
        f.penalty,
        f.strength,
        f.folds,
        f.labels,
        avg(f.accuracy) as accuracy,
        stddev_samp(f.accuracy) as accuracy_std,
        min(f.accuracy) as accuracy_min,
        max(f.accuracy) as accuracy_max,
        avg(f.auroc) as auroc,
        stddev_samp(f.auroc) as auroc_std,
        min(f.auroc) as auroc_min,
        max(f.auroc) as auroc_max,
        avg(f.selectivity) as selectivity,
        stddev_samp(f.selectivity) as selectivity_std,
        min(f.selectivity) as selectivity_min,
        max(f.selectivity) as selectivity_max,
        avg(f.share_of_weights_50) as share_of_weights_50,
        stddev_samp(f.share_of_weights_50) as share_of_weights_50_std,
        min(f.share_of_weights_50) as share_of_weights_50_min,
        max(f.share_of_weights_50) as share_of_weights_50_max,
        avg(f.share_of_weights_90) as share_of_weights_90,
        stddev_samp(f.share_of_weights_90) as share_of_weights_90_std,
        min(f.share_of_weights_90) as share_of_weights_90_min,
        max(f.share_of_weights_90) as share_of_weights_90_max,
        avg(f.nonzero) as nonzero,
        stddev_samp(f.nonzero) as nonzero_std,
        min(f.nonzero) as nonzero_min,
        max(f.nonzero) as nonzero_max,
        avg(f.balanced_accuracy) as balanced_accuracy,
        avg(f.chance) as chance,
        avg(f.positives) as positives,
        0.2390::double as gaussian_50,
        0.6462::double as gaussian_90,
        f.width,
        count(*) as seeds,
        avg(f.converged::integer) as converged,
        avg(f.n_train) as n_train,
        avg(f.n_test) as n_test,
        max(f.note) as note,
        f.concept_id
    from lab.concept_fits f
    join (
        select distinct m.ensemble, m.concept_id, m.checkpoint_id from main.concept_ensembles m
    ) e on e.concept_id = f.concept_id and e.checkpoint_id = f.checkpoint_id
    group by all
)
select
    p.ensemble,
    p.model,
    p.step,
    p.revision,
    p.dataset,
    p.concept,
    p.layer,
    p.stream,
    p.positions,
    p.penalty,
    p.strength,
    p.folds,
    p.labels,
    p.accuracy,
    p.accuracy_std,
    p.accuracy_min,
    p.accuracy_max,
    p.auroc,
    p.auroc_std,
    p.auroc_min,
    p.auroc_max,
    p.selectivity,
    p.selectivity_std,
    p.selectivity_min,
    p.selectivity_max,
    p.share_of_weights_50,
    p.share_of_weights_50_std,
    p.share_of_weights_50_min,
    p.share_of_weights_50_max,
    p.share_of_weights_90,
    p.share_of_weights_90_std,
    p.share_of_weights_90_min,
    p.share_of_weights_90_max,
    p.nonzero,
    p.nonzero_std,
    p.nonzero_min,
    p.nonzero_max,
    p.balanced_accuracy,
    p.chance,
    p.positives,
    p.gaussian_50,
    p.gaussian_90,
    p.width,
    p.seeds,
    1 as members,
    p.converged,
    p.n_train,
    p.n_test,
    p.note,
    p.concept_id
from probed p
union all
select
    p.ensemble,
    null,
    p.step,
    null,
    p.dataset,
    p.concept,
    p.layer,
    p.stream,
    p.positions,
    p.penalty,
    p.strength,
    p.folds,
    p.labels,
    avg(p.accuracy),
    stddev_samp(p.accuracy),
    min(p.accuracy),
    max(p.accuracy),
    avg(p.auroc),
    stddev_samp(p.auroc),
    min(p.auroc),
    max(p.auroc),
    avg(p.selectivity),
    stddev_samp(p.selectivity),
    min(p.selectivity),
    max(p.selectivity),
    avg(p.share_of_weights_50),
    stddev_samp(p.share_of_weights_50),
    min(p.share_of_weights_50),
    max(p.share_of_weights_50),
    avg(p.share_of_weights_90),
    stddev_samp(p.share_of_weights_90),
    min(p.share_of_weights_90),
    max(p.share_of_weights_90),
    avg(p.nonzero),
    stddev_samp(p.nonzero),
    round(min(p.nonzero))::integer,
    round(max(p.nonzero))::integer,
    avg(p.balanced_accuracy),
    avg(p.chance),
    avg(p.positives),
    any_value(p.gaussian_50),
    any_value(p.gaussian_90),
    case when min(p.width) = max(p.width) then min(p.width) end,
    min(p.seeds),
    count(*),
    avg(p.converged),
    avg(p.n_train),
    avg(p.n_test),
    max(p.note),
    p.concept_id
from probed p
group by
    p.ensemble, p.step, p.dataset, p.concept, p.layer, p.stream, p.positions, p.penalty, p.strength, p.folds, p.labels,
    p.concept_id
having count(*) > 1;

comment on view lab.concept_probes is 'How well a layer''s states tell a concept: linear probes over choices of held-out items, one row an ensemble, checkpoint, layer, penalty, strength and kind of labels, and one for each ensemble of several (model NULL) with means and spread over its members at that step. A model in several ensembles has rows in each';
comment on column lab.concept_probes.ensemble is 'the ensemble of networks that the model was probed in; the model''s own name where alone';
comment on column lab.concept_probes.model is 'the member''s name in the store; NULL for the whole ensemble';
comment on column lab.concept_probes.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.concept_probes.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights; NULL for the whole ensemble';
comment on column lab.concept_probes.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.concept_probes.concept is 'the concept''s name';
comment on column lab.concept_probes.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 the state after the last norm';
comment on column lab.concept_probes.stream is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.concept_probes.positions is 'which tokens were probed: all, not-first or not-special';
comment on column lab.concept_probes.penalty is 'l2, or l1 along a path of strengths';
comment on column lab.concept_probes.strength is 'of l2 the factor of |w|^2 / 2 beside the sum of losses; of l1 a share of the smallest penalty that leaves no weight';
comment on column lab.concept_probes.folds is 'one part in so many of the items is held out, whole';
comment on column lab.concept_probes.labels is 'real, or shuffled over the items: the control task';
comment on column lab.concept_probes.accuracy is 'share of held-out states whose label was told rightly, 0 to 1, mean over seeds, or members';
comment on column lab.concept_probes.accuracy_std is 'its standard deviation over seeds, NULL for one seed; for the whole ensemble over members';
comment on column lab.concept_probes.accuracy_min is 'the smallest of them';
comment on column lab.concept_probes.accuracy_max is 'the largest of them';
comment on column lab.concept_probes.auroc is 'area under the ROC curve of held-out states, 0.5 at chance, mean over seeds, or members';
comment on column lab.concept_probes.auroc_std is 'its standard deviation over seeds, NULL for one seed; for the whole ensemble over members';
comment on column lab.concept_probes.auroc_min is 'the smallest of them';
comment on column lab.concept_probes.auroc_max is 'the largest of them';
comment on column lab.concept_probes.selectivity is 'accuracy less that of the control task on the same split, mean over seeds, or members; NULL for the control itself';
comment on column lab.concept_probes.selectivity_std is 'its standard deviation over seeds, NULL for one seed; for the whole ensemble over members';
comment on column lab.concept_probes.selectivity_min is 'the smallest of them';
comment on column lab.concept_probes.selectivity_max is 'the largest of them';
comment on column lab.concept_probes.share_of_weights_50 is 'smallest share of dimensions whose weights make half of the sum of |w|, points standardised, mean over seeds, or members; NULL where no weight is left';
comment on column lab.concept_probes.share_of_weights_50_std is 'its standard deviation over seeds, NULL for one seed; for the whole ensemble over members';
comment on column lab.concept_probes.share_of_weights_50_min is 'the smallest of them';
comment on column lab.concept_probes.share_of_weights_50_max is 'the largest of them';
comment on column lab.concept_probes.share_of_weights_90 is 'the same for nine tenths of it';
comment on column lab.concept_probes.share_of_weights_90_std is 'its standard deviation over seeds, NULL for one seed; for the whole ensemble over members';
comment on column lab.concept_probes.share_of_weights_90_min is 'the smallest of them';
comment on column lab.concept_probes.share_of_weights_90_max is 'the largest of them';
comment on column lab.concept_probes.nonzero is 'weights that are not 0, mean over seeds, or members';
comment on column lab.concept_probes.nonzero_std is 'its standard deviation over seeds, NULL for one seed; for the whole ensemble over members';
comment on column lab.concept_probes.nonzero_min is 'the smallest of them; of members'' means rounded';
comment on column lab.concept_probes.nonzero_max is 'the largest of them; of members'' means rounded';
comment on column lab.concept_probes.balanced_accuracy is 'mean of the accuracies of positive and negative states, mean over seeds, or members';
comment on column lab.concept_probes.chance is 'accuracy of always naming the commoner class, mean over seeds, or members';
comment on column lab.concept_probes.positives is 'share of positive states, mean over seeds, or members';
comment on column lab.concept_probes.gaussian_50 is 'share_of_weights_50 of independent Gaussian weights';
comment on column lab.concept_probes.gaussian_90 is 'share_of_weights_90 of independent Gaussian weights';
comment on column lab.concept_probes.width is 'dimensions of a state; NULL where members differ';
comment on column lab.concept_probes.seeds is 'how many choices of held-out items; of the whole ensemble the fewest';
comment on column lab.concept_probes.members is 'networks that the row is of: 1, or all of the ensemble at that step';
comment on column lab.concept_probes.converged is 'share of the probes that reached their optimum';
comment on column lab.concept_probes.n_train is 'states trained on, mean over seeds, or members';
comment on column lab.concept_probes.n_test is 'states held out, mean over seeds, or members';
comment on column lab.concept_probes.note is 'what to know of one of them';
comment on column lab.concept_probes.concept_id is 'identity of the concept: its definition and labels on this dataset';
