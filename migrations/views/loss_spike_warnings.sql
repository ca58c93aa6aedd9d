create view lab.loss_spike_warnings as
select
    w.model,
    w.dataset,
    min(w.step) as step,
    max(w.step) as last_step,
    arg_max(w.layer, w.excess_in_std_errors) as layer,
    arg_max(w.stream, w.excess_in_std_errors) as stream,
    max(w.excess_in_std_errors) as excess_in_std_errors,
    max(w.step) = any_value(w.newest) as is_newest
from (
    select
        h.model,
        h.dataset,
        h.step,
        h.layer,
        h.stream,
        h.excess_in_std_errors,
        h.newest,
        h.probe - row_number() over (partition by h.model, h.dataset order by h.step) as warning
    from (
        select
            g.model,
            g.dataset,
            g.step,
            arg_max(g.layer, g.excess_in_std_errors) filter (g.std_error > 0) as layer,
            arg_max(g.stream, g.excess_in_std_errors) filter (g.std_error > 0) as stream,
            max(g.excess_in_std_errors) filter (g.std_error > 0) as excess_in_std_errors,
            row_number() over (partition by g.model, g.dataset order by g.step) as probe,
            max(g.step) over (partition by g.model, g.dataset) as newest
        from lab.training_geometry g
        group by g.model, g.dataset, g.step
    ) h
    where h.excess_in_std_errors > 3
) w
group by w.model, w.dataset, w.warning;

comment on view lab.loss_spike_warnings is 'Probes that may announce a loss spike, by one rule: at some layer the intrinsic dimension exceeds its trend by more than 3 of its standard errors; probes that follow one another are one warning. A heuristic: lab.early_warning_scores says what it is worth';
comment on column lab.loss_spike_warnings.model is 'the training''s name in the store';
comment on column lab.loss_spike_warnings.dataset is 'the probe batch; its name holds the digest of its tokens';
comment on column lab.loss_spike_warnings.step is 'optimiser steps made at the first such probe';
comment on column lab.loss_spike_warnings.last_step is 'optimiser steps made at the last of them';
comment on column lab.loss_spike_warnings.layer is 'the layer with the highest excess';
comment on column lab.loss_spike_warnings.stream is 'the stream of that layer';
comment on column lab.loss_spike_warnings.excess_in_std_errors is 'that excess: twonn less the median of the 20 probes before, over its standard error';
comment on column lab.loss_spike_warnings.is_newest is 'whether no later probe is known: the warning still holds';
