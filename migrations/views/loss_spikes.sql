create view lab.loss_spikes as
select
    h.model,
    min(h.step) as step,
    max(h.step) as last_step,
    arg_min(h.expected, h.step) as expected,
    arg_min(h.sigma, h.step) as sigma,
    max(h.loss) as highest_loss,
    bool_or(h.loss is null) as not_finite
from (
    select
        s.model,
        s.step,
        s.loss,
        s.expected,
        s.sigma,
        sum(case when s.since is null or s.since > 50 then 1 else 0 end) over (partition by s.model order by s.step) as spike
    from (
        select
            o.model,
            o.step,
            o.loss,
            o.expected,
            o.sigma,
            o.step - lag(o.step) over (partition by o.model order by o.step) as since
        from (
            select
                l.model,
                l.step,
                l.loss,
                avg(l.loss) over before as expected,
                stddev_samp(l.loss) over before as sigma,
                count(l.loss) over before as seen
            from lab.training_losses l
            window before as (partition by l.model order by l.step rows between 128 preceding and 1 preceding)
        ) o
        where o.seen >= 32 and (o.loss is null or o.loss > o.expected + 6 * o.sigma)
    ) s
) h
group by h.model, h.spike;

comment on view lab.loss_spikes is 'Loss spikes by one rule: a loss above mean + 6 standard deviations of the 128 logged before it (32 at least), or not finite; hits at most 50 steps apart are one spike';
comment on column lab.loss_spikes.model is 'the training''s name in the store';
comment on column lab.loss_spikes.step is 'step of the spike''s first hit';
comment on column lab.loss_spikes.last_step is 'step of its last hit';
comment on column lab.loss_spikes.expected is 'mean loss of the 128 logged before the first hit';
comment on column lab.loss_spikes.sigma is 'their standard deviation';
comment on column lab.loss_spikes.highest_loss is 'highest finite loss among the hits; NULL where none is finite';
comment on column lab.loss_spikes.not_finite is 'whether the loss was NaN or infinite at some hit';
