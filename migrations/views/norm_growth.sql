create view lab.norm_growth as
select
    f.model,
    f.kind,
    f.step,
    f.dataset,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_growth_rate corrected/all') as rate,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'norm_growth_rate corrected/all') as rate_std_error,
    ln(2) / nullif(arg_max_null(f.value, f.recency) filter (f.what = 'norm_growth_rate corrected/all'), 0) as doubling_layers,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_growth_r_squared corrected/all') as r_squared_exponential,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'norm_growth_r_squared corrected/all') as r_squared_exponential_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_linear_r_squared corrected/all') as r_squared_linear,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'norm_linear_r_squared corrected/all') as r_squared_linear_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_growth_rate corrected/not-first') as rate_not_first,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'norm_growth_rate corrected/not-first') as rate_not_first_std_error,
    ln(2) / nullif(arg_max_null(f.value, f.recency) filter (f.what = 'norm_growth_rate corrected/not-first'), 0) as doubling_layers_not_first,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_growth_r_squared corrected/not-first') as r_squared_exponential_not_first,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'norm_growth_r_squared corrected/not-first') as r_squared_exponential_not_first_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_linear_r_squared corrected/not-first') as r_squared_linear_not_first,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'norm_linear_r_squared corrected/not-first') as r_squared_linear_not_first_std_error,
    arg_max_null(f.n_used, f.recency) filter (f.what = 'norm_growth_rate corrected/all') as n_used,
    arg_max_null(f.note, f.recency) filter (f.what = 'norm_growth_rate corrected/all') as note,
    f.revision
from (
    select
        c.model,
        m.kind,
        c.step,
        c.revision,
        f.checkpoint_id,
        f.dataset,
        f.measure || ' ' || f.variant as what,
        (f.version, r.finished_at, f.run_id) as recency,
        f.value,
        f.std_error,
        f.n_used,
        f.note
    from main.checkpoint_metrics f
    join main.runs r on r.run_id = f.run_id
    join main.checkpoints c on c.checkpoint_id = f.checkpoint_id
    join main.models m on m.model = c.model
    where f.measure || ' ' || f.variant in (
        'norm_growth_rate corrected/all',
        'norm_growth_rate corrected/not-first',
        'norm_growth_r_squared corrected/all',
        'norm_growth_r_squared corrected/not-first',
        'norm_linear_r_squared corrected/all',
        'norm_linear_r_squared corrected/not-first'
    )
) f
group by f.model, f.kind, f.step, f.dataset, f.revision, f.checkpoint_id;

comment on view lab.norm_growth is 'Does the norm grow exponentially with depth? The fitted rate, and how well an exponential and a straight line fit, one row a checkpoint and dataset, newest run';
comment on column lab.norm_growth.model is 'the model''s name in the store';
comment on column lab.norm_growth.kind is 'decoder or encoder';
comment on column lab.norm_growth.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.norm_growth.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.norm_growth.rate is 'nats a layer by which the mean norm of the blocks'' outputs grows: least squares of its logarithm over depth';
comment on column lab.norm_growth.rate_std_error is 'its standard error, by the jackknife over texts';
comment on column lab.norm_growth.doubling_layers is 'layers in which the norm doubles at that rate, ln 2 / rate; negative where it shrinks';
comment on column lab.norm_growth.r_squared_exponential is 'share of the variance of the log norm over depth that the exponential explains: 1 is exponential growth';
comment on column lab.norm_growth.r_squared_exponential_std_error is 'its standard error';
comment on column lab.norm_growth.r_squared_linear is 'share of the variance of the norm over depth that a straight line explains';
comment on column lab.norm_growth.r_squared_linear_std_error is 'its standard error';
comment on column lab.norm_growth.rate_not_first is 'rate without each text''s first token';
comment on column lab.norm_growth.rate_not_first_std_error is 'its standard error, by the jackknife over texts';
comment on column lab.norm_growth.doubling_layers_not_first is 'layers in which the norm doubles at that rate, ln 2 / rate; negative where it shrinks';
comment on column lab.norm_growth.r_squared_exponential_not_first is 'share of the variance of the log norm over depth that the exponential explains: 1 is exponential growth';
comment on column lab.norm_growth.r_squared_exponential_not_first_std_error is 'its standard error';
comment on column lab.norm_growth.r_squared_linear_not_first is 'share of the variance of the norm over depth that a straight line explains';
comment on column lab.norm_growth.r_squared_linear_not_first_std_error is 'its standard error';
comment on column lab.norm_growth.n_used is 'sampled tokens';
comment on column lab.norm_growth.note is 'why a value is undefined';
comment on column lab.norm_growth.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
