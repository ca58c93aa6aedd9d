create view lab.layer_drift as
select
    f.model,
    f.kind,
    f.step,
    f.dataset,
    f.layer,
    f.stream,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_min corrected/all') as norm_min,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_mean corrected/all') as norm_mean,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_max corrected/all') as norm_max,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'norm_mean corrected/all') as norm_mean_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_min corrected/not-first') as norm_min_not_first,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_mean corrected/not-first') as norm_mean_not_first,
    arg_max_null(f.value, f.recency) filter (f.what = 'norm_max corrected/not-first') as norm_max_not_first,
    arg_max_null(f.value, f.recency) filter (f.what = 'drift_step corrected/all') as step_length,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'drift_step corrected/all') as step_length_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'drift_angle corrected/all') as step_angle,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'drift_angle corrected/all') as step_angle_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'drift_spread corrected/all') as spread,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'drift_spread corrected/all') as spread_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'drift_step_over_spread corrected/all') as step_over_spread,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'drift_step_over_spread corrected/all') as step_over_spread_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'drift_step corrected/not-first') as step_length_not_first,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'drift_step corrected/not-first') as step_length_not_first_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'drift_angle corrected/not-first') as step_angle_not_first,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'drift_angle corrected/not-first') as step_angle_not_first_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'drift_spread corrected/not-first') as spread_not_first,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'drift_spread corrected/not-first') as spread_not_first_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'drift_step_over_spread corrected/not-first') as step_over_spread_not_first,
    arg_max_null(f.std_error, f.recency) filter (f.what = 'drift_step_over_spread corrected/not-first') as step_over_spread_not_first_std_error,
    arg_max_null(f.value, f.recency) filter (f.what = 'drift_step released/all') as step_length_released,
    arg_max_null(f.value, f.recency) filter (f.what = 'drift_angle released/all') as step_angle_released,
    arg_max_null(f.value, f.recency) filter (f.what = 'drift_spread released/all') as spread_released,
    arg_max_null(f.value, f.recency) filter (f.what = 'drift_step_over_spread released/all') as step_over_spread_released,
    arg_max_null(f.n_used, f.recency) filter (f.what = 'drift_spread corrected/all') as n_used,
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
        'norm_min corrected/all',
        'norm_mean corrected/all',
        'norm_max corrected/all',
        'norm_min corrected/not-first',
        'norm_mean corrected/not-first',
        'norm_max corrected/not-first',
        'drift_step corrected/all',
        'drift_angle corrected/all',
        'drift_spread corrected/all',
        'drift_step_over_spread corrected/all',
        'drift_step corrected/not-first',
        'drift_angle corrected/not-first',
        'drift_spread corrected/not-first',
        'drift_step_over_spread corrected/not-first',
        'drift_step released/all',
        'drift_angle released/all',
        'drift_spread released/all',
        'drift_step_over_spread released/all'
    )
) f
group by f.model, f.kind, f.step, f.dataset, f.layer, f.stream, f.revision, f.site_id
having count(*) filter (f.what = 'drift_spread corrected/all') > 0;

comment on view lab.layer_drift is 'The path of the layers: how long their vectors are, how far and in which direction each cloud''s centroid moves to the next layer, against the spread within one; one row a site, newest run';
comment on column lab.layer_drift.model is 'the model''s name in the store';
comment on column lab.layer_drift.kind is 'decoder or encoder';
comment on column lab.layer_drift.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.layer_drift.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.layer_drift.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs';
comment on column lab.layer_drift.stream is 'embedding or residual (a block''s output)';
comment on column lab.layer_drift.norm_min is 'smallest norm of the sampled states';
comment on column lab.layer_drift.norm_mean is 'mean norm of the sampled states';
comment on column lab.layer_drift.norm_max is 'largest norm of the sampled states';
comment on column lab.layer_drift.norm_mean_std_error is 'standard error of norm_mean';
comment on column lab.layer_drift.norm_min_not_first is 'smallest norm without each text''s first token';
comment on column lab.layer_drift.norm_mean_not_first is 'mean norm without each text''s first token';
comment on column lab.layer_drift.norm_max_not_first is 'largest norm without each text''s first token';
comment on column lab.layer_drift.step_length is 'distance from this layer''s centroid to the next layer''s; NULL at the last';
comment on column lab.layer_drift.step_length_std_error is 'its standard error, over texts';
comment on column lab.layer_drift.step_angle is 'angle in degrees between the step into this layer and the step out of it: 0 straight on, 180 straight back; NULL at the first and the last layer';
comment on column lab.layer_drift.step_angle_std_error is 'its standard error, over texts';
comment on column lab.layer_drift.spread is 'root mean square distance of this layer''s points to their centroid';
comment on column lab.layer_drift.spread_std_error is 'its standard error, over texts';
comment on column lab.layer_drift.step_over_spread is 'step_length over spread: below 1 the next centroid lies within this layer''s cloud';
comment on column lab.layer_drift.step_over_spread_std_error is 'its standard error, over texts';
comment on column lab.layer_drift.step_length_not_first is 'step_length without each text''s first token';
comment on column lab.layer_drift.step_length_not_first_std_error is 'its standard error, over texts';
comment on column lab.layer_drift.step_angle_not_first is 'step_angle without each text''s first token';
comment on column lab.layer_drift.step_angle_not_first_std_error is 'its standard error, over texts';
comment on column lab.layer_drift.spread_not_first is 'spread without each text''s first token';
comment on column lab.layer_drift.spread_not_first_std_error is 'its standard error, over texts';
comment on column lab.layer_drift.step_over_spread_not_first is 'step_over_spread without each text''s first token';
comment on column lab.layer_drift.step_over_spread_not_first_std_error is 'its standard error, over texts';
comment on column lab.layer_drift.step_length_released is 'step_length of vectors scaled to length 1, first tokens included, as the published study draws them; NULL where that was not run';
comment on column lab.layer_drift.step_angle_released is 'step_angle of vectors scaled to length 1, first tokens included, as the published study draws them; NULL where that was not run';
comment on column lab.layer_drift.spread_released is 'spread of vectors scaled to length 1, first tokens included, as the published study draws them; NULL where that was not run';
comment on column lab.layer_drift.step_over_spread_released is 'step_over_spread of vectors scaled to length 1, first tokens included, as the published study draws them; NULL where that was not run';
comment on column lab.layer_drift.n_used is 'sampled tokens of the layer';
comment on column lab.layer_drift.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
