create view lab.activation_asymmetry as
with paired as (
    select
        struct_pack(
            activation_a := a.activation, activation_b := b.activation, family := a.family, width := a.width,
            blocks := a.layers, step := f.step_a, layer_a := f.layer_a, layer_b := f.layer_b, dataset := f.dataset, map := f.map
        ) as about,
        f.model_a,
        f.model_b,
        f.penalty as forth,
        g.penalty as back,
        f.penalty - g.penalty as gap,
        f.penalty - of_b.penalty - (g.penalty - of_a.penalty) as gap_over_self,
        (f.converged::integer + g.converged::integer) / 2 as converged
    from lab.stitching f
    join lab.stitching g on g.model_a = f.model_b and g.model_b = f.model_a and g.revision_a = f.revision_b
        and g.revision_b = f.revision_a and g.layer_a = f.layer_b and g.layer_b = f.layer_a
        and g.dataset = f.dataset and g.map = f.map
    left join lab.stitching of_a on of_a.revision_a = f.revision_a and of_a.revision_b = f.revision_a
        and of_a.layer_a = f.layer_a and of_a.layer_b = f.layer_a and of_a.dataset = f.dataset and of_a.map = f.map
    left join lab.stitching of_b on of_b.revision_a = f.revision_b and of_b.revision_b = f.revision_b
        and of_b.layer_a = f.layer_b and of_b.layer_b = f.layer_b and of_b.dataset = f.dataset and of_b.map = f.map
    join main.models a on a.model = f.model_a
    join main.models b on b.model = f.model_b
    where a.activation < b.activation and f.step_a is not distinct from f.step_b and f.penalty is not null
      and g.penalty is not null and a.kind = b.kind and a.family = b.family and a.layers = b.layers and a.width = b.width
),
of_first as (
    select o.about, var_samp(o.gap) / count(*) as variance, var_samp(o.over_self) / count(*) as variance_over_self
    from (select p.about, avg(p.gap) as gap, avg(p.gap_over_self) as over_self from paired p group by p.about, p.model_a) o
    group by o.about
),
of_second as (
    select o.about, var_samp(o.gap) / count(*) as variance, var_samp(o.over_self) / count(*) as variance_over_self
    from (select p.about, avg(p.gap) as gap, avg(p.gap_over_self) as over_self from paired p group by p.about, p.model_b) o
    group by o.about
),
meant as (
    select
        p.about,
        avg(p.forth) as forth,
        avg(p.back) as back,
        avg(p.gap) as gap,
        avg(p.gap_over_self) as over_self,
        avg(p.converged) as converged,
        count(*) as pairs,
        count(distinct p.model_a) as networks_a,
        count(distinct p.model_b) as networks_b
    from paired p
    group by p.about
)
select
    m.about.activation_a as activation_a,
    m.about.activation_b as activation_b,
    m.about.family as family,
    m.about.width as width,
    m.about.blocks as blocks,
    m.about.step as step,
    m.about.layer_a as layer_a,
    m.about.layer_b as layer_b,
    m.about.dataset as dataset,
    m.about.map as map,
    m.forth as penalty_a_to_b,
    m.back as penalty_b_to_a,
    m.gap as asymmetry,
    sqrt(x.variance + y.variance) as asymmetry_std_error,
    m.over_self as asymmetry_over_self,
    sqrt(x.variance_over_self + y.variance_over_self) as asymmetry_over_self_std_error,
    m.converged,
    m.pairs,
    m.networks_a,
    m.networks_b
from meant m
join of_first x on x.about = m.about
join of_second y on y.about = m.about;

comment on view lab.activation_asymmetry is 'Whose features are the more useful? Two activation functions stitched both ways round, over the same pairs of networks';
comment on column lab.activation_asymmetry.activation_a is 'the activation function that comes first in the alphabet';
comment on column lab.activation_asymmetry.activation_b is 'the other one';
comment on column lab.activation_asymmetry.family is 'architecture of both, as the configuration names it';
comment on column lab.activation_asymmetry.width is 'size of a hidden state of both';
comment on column lab.activation_asymmetry.blocks is 'number of blocks of both';
comment on column lab.activation_asymmetry.step is 'optimiser step of both networks; NULL where nobody said';
comment on column lab.activation_asymmetry.layer_a is 'depth in the networks of activation_a';
comment on column lab.activation_asymmetry.layer_b is 'depth in the networks of activation_b';
comment on column lab.activation_asymmetry.dataset is 'the dataset''s key';
comment on column lab.activation_asymmetry.map is 'affine, linear or orthogonal (trained from their closed form), least-squares or procrustes (the affine and the orthogonal closed form) or identity';
comment on column lab.activation_asymmetry.penalty_a_to_b is 'nats a token that networks of activation_b lose on a bottom of activation_a, mean over pairs';
comment on column lab.activation_asymmetry.penalty_b_to_a is 'nats a token that networks of activation_a lose on a bottom of activation_b, mean over pairs';
comment on column lab.activation_asymmetry.asymmetry is 'penalty_a_to_b less penalty_b_to_a: below 0 where the features of activation_a are the more useful';
comment on column lab.activation_asymmetry.asymmetry_std_error is 'its standard error over networks of both sides, each network''s pairs taken together; NULL with one network on a side';
comment on column lab.activation_asymmetry.asymmetry_over_self is 'the same with what each top loses or wins by such a map on its own bottom taken off first; NULL where no network was stitched to itself';
comment on column lab.activation_asymmetry.asymmetry_over_self_std_error is 'its standard error over networks of both sides';
comment on column lab.activation_asymmetry.converged is 'share of the maps of these pairs, both ways, whose training had converged; NULL where nothing was trained';
comment on column lab.activation_asymmetry.pairs is 'pairs of networks, each stitched both ways';
comment on column lab.activation_asymmetry.networks_a is 'networks of activation_a';
comment on column lab.activation_asymmetry.networks_b is 'networks of activation_b';
