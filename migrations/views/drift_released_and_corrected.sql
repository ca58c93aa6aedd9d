create view lab.drift_released_and_corrected as
select
    d.model,
    d.step,
    d.dataset,
    d.layer,
    d.stream,
    d.step_over_spread_released,
    d.step_over_spread as step_over_spread_corrected,
    d.step_over_spread_std_error as step_over_spread_corrected_std_error,
    d.step_angle_released,
    d.step_angle as step_angle_corrected,
    d.step_angle_std_error as step_angle_corrected_std_error,
    v.plane_released,
    v.plane_corrected,
    d.revision
from lab.layer_drift d
left join (
    select
        e.model,
        e.step,
        e.dataset,
        e.revision,
        sum(e.explained_variance) filter (e.procedure = 'released') as plane_released,
        sum(e.explained_variance) filter (e.procedure = 'corrected') as plane_corrected
    from lab.drift_explained_variance e
    where e.normalised and e.from_layer = 0
    group by e.model, e.step, e.dataset, e.revision
) v on v.model = d.model and coalesce(v.step, -1) = coalesce(d.step, -1) and v.dataset = d.dataset and v.revision = d.revision
where d.spread_released is not null;

comment on view lab.drift_released_and_corrected is 'The path of the layers by the published study''s own procedure (vectors scaled to length 1, first tokens included) beside the corrected one: one row a site for which both were run';
comment on column lab.drift_released_and_corrected.model is 'the model''s name in the store';
comment on column lab.drift_released_and_corrected.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.drift_released_and_corrected.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.drift_released_and_corrected.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs';
comment on column lab.drift_released_and_corrected.stream is 'embedding or residual (a block''s output)';
comment on column lab.drift_released_and_corrected.step_over_spread_released is 'distance to the next centroid over the spread within, of vectors scaled to length 1';
comment on column lab.drift_released_and_corrected.step_over_spread_corrected is 'the same of the states as they are';
comment on column lab.drift_released_and_corrected.step_over_spread_corrected_std_error is 'its standard error';
comment on column lab.drift_released_and_corrected.step_angle_released is 'angle in degrees between the steps into and out of the layer, of vectors scaled to length 1';
comment on column lab.drift_released_and_corrected.step_angle_corrected is 'the same of the states as they are';
comment on column lab.drift_released_and_corrected.step_angle_corrected_std_error is 'its standard error';
comment on column lab.drift_released_and_corrected.plane_released is 'share of the variance of all layers'' normalised points on the plane of PCA, first tokens included; the same at every layer';
comment on column lab.drift_released_and_corrected.plane_corrected is 'the same without first tokens';
comment on column lab.drift_released_and_corrected.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
