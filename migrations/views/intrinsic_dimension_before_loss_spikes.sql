create view lab.intrinsic_dimension_before_loss_spikes as
select
    s.model,
    s.step as spike_step,
    g.layer,
    g.stream,
    g.step,
    s.step - g.step as steps_before,
    g.twonn,
    g.std_error,
    g.median_before,
    g.excess,
    g.excess_in_std_errors,
    s.expected as expected_loss,
    s.highest_loss,
    s.not_finite,
    g.dataset
from lab.loss_spikes s
join lab.training_geometry g on g.model = s.model and g.step < s.step and g.step >= s.step - 200;

comment on view lab.intrinsic_dimension_before_loss_spikes is 'The intrinsic dimension in the 200 steps before each loss spike, one row a spike, layer and probe';
comment on column lab.intrinsic_dimension_before_loss_spikes.model is 'the training''s name in the store';
comment on column lab.intrinsic_dimension_before_loss_spikes.spike_step is 'step of the spike''s first hit, as lab.loss_spikes has it';
comment on column lab.intrinsic_dimension_before_loss_spikes.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.intrinsic_dimension_before_loss_spikes.stream is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.intrinsic_dimension_before_loss_spikes.step is 'step of the probe';
comment on column lab.intrinsic_dimension_before_loss_spikes.steps_before is 'steps from the probe to the spike';
comment on column lab.intrinsic_dimension_before_loss_spikes.twonn is 'TwoNN intrinsic dimension of the probe''s states';
comment on column lab.intrinsic_dimension_before_loss_spikes.std_error is 'standard error of twonn';
comment on column lab.intrinsic_dimension_before_loss_spikes.median_before is 'median of twonn over the 20 probes before this one: the trend';
comment on column lab.intrinsic_dimension_before_loss_spikes.excess is 'twonn less that median';
comment on column lab.intrinsic_dimension_before_loss_spikes.excess_in_std_errors is 'the excess over the standard error of twonn';
comment on column lab.intrinsic_dimension_before_loss_spikes.expected_loss is 'mean loss of the 128 logged before the spike';
comment on column lab.intrinsic_dimension_before_loss_spikes.highest_loss is 'highest finite loss of the spike';
comment on column lab.intrinsic_dimension_before_loss_spikes.not_finite is 'whether the loss was NaN or infinite in the spike';
comment on column lab.intrinsic_dimension_before_loss_spikes.dataset is 'the probe batch';
