create view lab.intrinsic_dimension_by_layer as
select
    f.model,
    f.kind,
    f.step,
    f.dataset,
    f.layer,
    f.stream,
    arg_max_null(f.value, f.recency) filter (f.what = 'twonn corrected/all') as twonn,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'twonn corrected/all') as std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'twonn corrected/not-first') as twonn_not_first,
    arg_max_null(f.value, f.recency) filter (f.what = 'twonn corrected/not-special') as twonn_not_special,
    arg_max_null(f.value, f.recency) filter (f.what = 'twonn corrected/all/gaussian') as twonn_gaussian,
    arg_max_null(f.value, f.recency) filter (f.what = 'mle corrected/all') as mle,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'mle corrected/all') as mle_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'mle corrected/all/gaussian') as mle_gaussian,
    arg_max_null(f.n_used, f.recency) filter (f.what = 'twonn corrected/all') as n_used,
    arg_max_null(f.n_dropped, f.recency) filter (f.what = 'twonn corrected/all') as n_dropped,
    arg_max_null(f.note, f.recency) filter (f.what = 'twonn corrected/all') as note,
    f.revision
from (
    select
        c.model,
        m.kind,
        c.step,
        c.revision,
        a.dataset,
        a.layer,
        a.stream,
        f.site_id,
        f.measure || ' ' || f.variant as what,
        (f.version, r.finished_at, f.run_id) as recency,
        f.value,
        f.std_error,
        f.n_used,
        f.n_dropped,
        f.note
    from main.layer_metrics f
    join main.runs r on r.run_id = f.run_id
    join main.activations a on a.site_id = f.site_id
    join main.checkpoints c on c.checkpoint_id = a.checkpoint_id
    join main.models m on m.model = c.model
    where f.measure || ' ' || f.variant in (
        'twonn corrected/all',
        'twonn corrected/not-first',
        'twonn corrected/not-special',
        'twonn corrected/all/gaussian',
        'mle corrected/all',
        'mle corrected/all/gaussian'
    )
) f
group by f.model, f.kind, f.step, f.dataset, f.layer, f.stream, f.revision, f.site_id;

comment on view lab.intrinsic_dimension_by_layer is 'Intrinsic dimension of the cloud of hidden states, one row a site: all tokens, corrected procedure unless a suffix says otherwise, newest run; every estimator here is too low above about 15';
comment on column lab.intrinsic_dimension_by_layer.model is 'the model''s name in the store';
comment on column lab.intrinsic_dimension_by_layer.kind is 'decoder or encoder';
comment on column lab.intrinsic_dimension_by_layer.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.intrinsic_dimension_by_layer.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.intrinsic_dimension_by_layer.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.intrinsic_dimension_by_layer.stream is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.intrinsic_dimension_by_layer.twonn is 'TwoNN: from the ratio of the distances to the two nearest neighbours';
comment on column lab.intrinsic_dimension_by_layer.std_error is 'standard error of twonn';
comment on column lab.intrinsic_dimension_by_layer.twonn_not_first is 'twonn without each text''s first token';
comment on column lab.intrinsic_dimension_by_layer.twonn_not_special is 'twonn without special tokens';
comment on column lab.intrinsic_dimension_by_layer.twonn_gaussian is 'twonn of a Gaussian cloud with the same spectrum and number of points';
comment on column lab.intrinsic_dimension_by_layer.mle is 'Levina and Bickel''s maximum likelihood estimate';
comment on column lab.intrinsic_dimension_by_layer.mle_std_error is 'standard error of mle';
comment on column lab.intrinsic_dimension_by_layer.mle_gaussian is 'mle of a Gaussian cloud with the same spectrum and number of points';
comment on column lab.intrinsic_dimension_by_layer.n_used is 'points that twonn was computed from';
comment on column lab.intrinsic_dimension_by_layer.n_dropped is 'points that were left out of twonn, repeated ones above all';
comment on column lab.intrinsic_dimension_by_layer.note is 'why twonn is undefined, or what to know of it';
comment on column lab.intrinsic_dimension_by_layer.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
