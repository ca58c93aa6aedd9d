create view lab.t_quantiles as
select
    s.n,
    -- where values are many by a series in the inverse degrees of freedom
    coalesce(
        [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228][s.n - 1],
        1.959964 + 2.372271 / (s.n - 1) + 2.822541 / (s.n - 1) ** 2 + 2.555897 / (s.n - 1) ** 3
    ) as quantile
from (select unnest(range(2, 10001)) as n) s;

comment on view lab.t_quantiles is 'Student''s t at 97.5 %: how many standard errors a 95 % interval of a mean of so few values reaches to each side';
comment on column lab.t_quantiles.n is 'of how many values the mean is, 2 to 10,000';
comment on column lab.t_quantiles.quantile is 'of the t distribution with n - 1 degrees of freedom';
