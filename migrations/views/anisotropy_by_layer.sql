create view lab.anisotropy_by_layer as
select
    f.model,
    f.kind,
    f.step,
    f.dataset,
    f.layer,
    f.stream,
    arg_max_null(f.value, f.recency) filter (f.what = 'anisotropy corrected/all') as anisotropy,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'anisotropy corrected/all') as std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'anisotropy corrected/not-first') as anisotropy_not_first,
    arg_max_null(f.value, f.recency) filter (f.what = 'anisotropy corrected/not-special') as anisotropy_not_special,
    arg_max_null(f.value, f.recency) filter (f.what = 'anisotropy_uncentred corrected/all') as anisotropy_uncentred,
    arg_max_null(f.value, f.recency) filter (f.what = 'mean_cosine corrected/all') as mean_cosine,
    arg_max_null(f.value, f.recency) filter (f.what = 'mean_cosine corrected/not-first') as mean_cosine_not_first,
    arg_max_null(f.value, f.recency) filter (f.what = 'effective_rank corrected/all') as effective_rank,
    arg_max_null(f.value, f.recency) filter (f.what = 'participation_ratio corrected/all') as participation_ratio,
    arg_max_null(f.value, f.recency) filter (f.what = 'outlier_share corrected/all') as outlier_share,
    arg_max_null(f.n_used, f.recency) filter (f.what = 'anisotropy corrected/all') as n_used,
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
        f.n_used
    from main.layer_metrics f
    join main.runs r on r.run_id = f.run_id
    join main.activations a on a.site_id = f.site_id
    join main.checkpoints c on c.checkpoint_id = a.checkpoint_id
    join main.models m on m.model = c.model
    where f.measure || ' ' || f.variant in (
        'anisotropy corrected/all',
        'anisotropy corrected/not-first',
        'anisotropy corrected/not-special',
        'anisotropy_uncentred corrected/all',
        'mean_cosine corrected/all',
        'mean_cosine corrected/not-first',
        'effective_rank corrected/all',
        'participation_ratio corrected/all',
        'outlier_share corrected/all'
    )
) f
group by f.model, f.kind, f.step, f.dataset, f.layer, f.stream, f.revision, f.site_id;

comment on view lab.anisotropy_by_layer is 'How far the cloud of hidden states is drawn out, one row a site: all tokens, corrected procedure unless a suffix says otherwise, newest run';
comment on column lab.anisotropy_by_layer.model is 'the model''s name in the store';
comment on column lab.anisotropy_by_layer.kind is 'decoder or encoder';
comment on column lab.anisotropy_by_layer.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.anisotropy_by_layer.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.anisotropy_by_layer.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.anisotropy_by_layer.stream is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.anisotropy_by_layer.anisotropy is 'share of the largest eigenvalue of the centred second moment: 1 a line, 1/width isotropic';
comment on column lab.anisotropy_by_layer.std_error is 'standard error of anisotropy';
comment on column lab.anisotropy_by_layer.anisotropy_not_first is 'anisotropy without each text''s first token';
comment on column lab.anisotropy_by_layer.anisotropy_not_special is 'anisotropy without special tokens';
comment on column lab.anisotropy_by_layer.anisotropy_uncentred is 'the same share without subtracting the mean';
comment on column lab.anisotropy_by_layer.mean_cosine is 'mean cosine between two different tokens';
comment on column lab.anisotropy_by_layer.mean_cosine_not_first is 'mean cosine without each text''s first token';
comment on column lab.anisotropy_by_layer.effective_rank is 'exponential of the entropy of the normalised singular values';
comment on column lab.anisotropy_by_layer.participation_ratio is 'squared sum of the eigenvalues over the sum of their squares';
comment on column lab.anisotropy_by_layer.outlier_share is 'share of the largest eigenvalue that is owed to the top 1 % of points';
comment on column lab.anisotropy_by_layer.n_used is 'tokens that anisotropy was computed from';
comment on column lab.anisotropy_by_layer.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
