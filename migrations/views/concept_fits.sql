create view lab.concept_fits as
select
    c.model,
    c.step,
    c.revision,
    k.dataset,
    k.concept,
    f.layer,
    f.stream,
    f.positions,
    f.penalty,
    f.strength,
    f.folds,
    f.seed,
    f.labels,
    f.accuracy,
    f.balanced_accuracy,
    f.auroc,
    case when f.labels = 'real' then f.accuracy - f.control end as selectivity,
    f.chance,
    f.positives,
    f.n_train,
    f.n_test,
    f.share_of_weights_50,
    f.share_of_weights_90,
    f.nonzero,
    f.width,
    f.converged,
    f.note,
    f.concept_id,
    f.checkpoint_id,
    f.run_id
from (
    select
        n.checkpoint_id,
        n.concept_id,
        a.layer,
        a.stream,
        a.width,
        n.positions,
        n.penalty,
        n.strength,
        n.folds,
        n.seed,
        n.labels,
        n.accuracy,
        max(n.accuracy) filter (n.labels = 'shuffled') over (
            partition by n.site_id, n.concept_id, n.positions, n.penalty, n.strength, n.folds, n.seed, n.run_id
        ) as control,
        n.balanced_accuracy,
        n.auroc,
        n.chance,
        n.positives,
        n.n_train,
        n.n_test,
        n.share_of_weights_50,
        n.share_of_weights_90,
        n.nonzero,
        n.converged,
        n.note,
        n.run_id
    from main.concept_probes n
    join main.runs r on r.run_id = n.run_id
    join main.activations a on a.site_id = n.site_id
    qualify row_number() over (
        partition by n.site_id, n.concept_id, n.positions, n.penalty, n.strength, n.folds, n.seed, n.labels
        order by r.finished_at desc, n.run_id desc
    ) = 1
) f
join main.checkpoints c on c.checkpoint_id = f.checkpoint_id
join main.concepts k on k.concept_id = f.concept_id;

comment on view lab.concept_fits is 'Every linear probe of a concept, and of its control task: one row a checkpoint, layer, penalty, strength, choice of held-out items and kind of labels, the newest run';
comment on column lab.concept_fits.model is 'the model''s name in the store';
comment on column lab.concept_fits.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.concept_fits.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
comment on column lab.concept_fits.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.concept_fits.concept is 'the concept''s name';
comment on column lab.concept_fits.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 the state after the last norm';
comment on column lab.concept_fits.stream is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.concept_fits.positions is 'which tokens were probed: all, not-first or not-special';
comment on column lab.concept_fits.penalty is 'l2, or l1 along a path of strengths';
comment on column lab.concept_fits.strength is 'of l2 the factor of |w|^2 / 2 beside the sum of losses; of l1 a share of the smallest penalty that leaves no weight';
comment on column lab.concept_fits.folds is 'one part in so many of the items is held out, whole';
comment on column lab.concept_fits.seed is 'which items are held out: seeds 0 to folds - 1 are the parts of one shuffle';
comment on column lab.concept_fits.labels is 'real, or shuffled over the items: the control task';
comment on column lab.concept_fits.accuracy is 'share of held-out states whose label was told rightly, 0 to 1';
comment on column lab.concept_fits.balanced_accuracy is 'mean of that of the positive and of the negative ones: 0.5 at chance; NULL where only one kind was held out';
comment on column lab.concept_fits.auroc is 'share of pairs of a positive and a negative held-out state of which the positive has the larger margin: 0.5 at chance; NULL where only one kind was held out';
comment on column lab.concept_fits.selectivity is 'accuracy less that of the control task on the same split (Hewitt and Liang 2019); NULL for the control itself';
comment on column lab.concept_fits.chance is 'accuracy of always naming the commoner class of the held-out states';
comment on column lab.concept_fits.positives is 'share of positive states among those held out';
comment on column lab.concept_fits.n_train is 'states trained on';
comment on column lab.concept_fits.n_test is 'states held out';
comment on column lab.concept_fits.share_of_weights_50 is 'smallest share of dimensions whose weights make half of the sum of |w|, points standardised; independent Gaussian weights need 0.239; NULL where no weight is left';
comment on column lab.concept_fits.share_of_weights_90 is 'the same for nine tenths of it; independent Gaussian weights need 0.646';
comment on column lab.concept_fits.nonzero is 'weights that are not 0';
comment on column lab.concept_fits.width is 'dimensions of a state';
comment on column lab.concept_fits.converged is 'whether the optimum was reached';
comment on column lab.concept_fits.note is 'what to know of it';
comment on column lab.concept_fits.concept_id is 'identity of the concept: its definition and labels on this dataset';
comment on column lab.concept_fits.checkpoint_id is 'identity of the checkpoint';
comment on column lab.concept_fits.run_id is 'the run that computed it';
