create view lab.training_geometry as
select
    g.model,
    g.step,
    g.dataset,
    g.layer,
    g.stream,
    g.twonn,
    g.std_error,
    g.median_before,
    g.twonn - g.median_before as excess,
    (g.twonn - g.median_before) / g.std_error as excess_in_std_errors,
    g.anisotropy,
    g.norm_mean,
    g.norm_max,
    g.n_used,
    g.n_dropped,
    g.note
from (
    select
        n.model,
        n.step,
        n.dataset,
        n.layer,
        n.stream,
        n.twonn,
        n.std_error,
        n.anisotropy,
        n.norm_mean,
        n.norm_max,
        n.n_used,
        n.n_dropped,
        n.note,
        case when count(n.twonn) over before >= 5 then median(n.twonn) over before end as median_before
    from (
        select
            m.model,
            m.step,
            m.dataset,
            m.layer,
            m.stream,
            arg_max_null(m.value, m.recency) filter (m.measure = 'twonn') as twonn,
            arg_max_null(m.std_error, m.recency) filter (m.measure = 'twonn') as std_error,
            arg_max_null(m.value, m.recency) filter (m.measure = 'anisotropy') as anisotropy,
            arg_max_null(m.value, m.recency) filter (m.measure = 'norm_mean') as norm_mean,
            arg_max_null(m.value, m.recency) filter (m.measure = 'norm_max') as norm_max,
            arg_max_null(m.n_used, m.recency) filter (m.measure = 'twonn') as n_used,
            arg_max_null(m.n_dropped, m.recency) filter (m.measure = 'twonn') as n_dropped,
            arg_max_null(m.note, m.recency) filter (m.measure = 'twonn') as note
        from (
            select
                t.model,
                t.step,
                t.dataset,
                t.layer,
                t.stream,
                t.measure,
                t.value,
                t.std_error,
                t.n_used,
                t.n_dropped,
                t.note,
                (t.version, r.finished_at, t.run_id) as recency
            from main.training_metrics t
            join main.runs r on r.run_id = t.run_id
            where t.variant = 'corrected/all'
        ) m
        group by m.model, m.step, m.dataset, m.layer, m.stream
    ) n
    window before as (
        partition by n.model, n.dataset, n.layer, n.stream order by n.step rows between 20 preceding and 1 preceding
    )
) g;

comment on view lab.training_geometry is 'What was measured inside running trainings on a fixed probe batch, one row a step and layer';
comment on column lab.training_geometry.model is 'the training''s name in the store';
comment on column lab.training_geometry.step is 'optimiser steps made when the probe was taken';
comment on column lab.training_geometry.dataset is 'the probe batch; its name holds the digest of its tokens';
comment on column lab.training_geometry.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.training_geometry.stream is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.training_geometry.twonn is 'TwoNN intrinsic dimension of the probe''s states';
comment on column lab.training_geometry.std_error is 'standard error of twonn';
comment on column lab.training_geometry.median_before is 'median of twonn over the 20 probes before this one: the trend; NULL before the sixth probe';
comment on column lab.training_geometry.excess is 'twonn less that median: the detrended intrinsic dimension';
comment on column lab.training_geometry.excess_in_std_errors is 'the excess over the standard error of twonn';
comment on column lab.training_geometry.anisotropy is 'share of the largest eigenvalue of the centred second moment';
comment on column lab.training_geometry.norm_mean is 'mean norm of the states';
comment on column lab.training_geometry.norm_max is 'largest norm of the states';
comment on column lab.training_geometry.n_used is 'points that twonn was computed from';
comment on column lab.training_geometry.n_dropped is 'points that were left out of twonn, repeated ones above all';
comment on column lab.training_geometry.note is 'why twonn is undefined, or what to know of it';
