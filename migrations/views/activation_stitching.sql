create view lab.activation_stitching as
select
    a.activation as activation_a,
    b.activation as activation_b,
    a.family,
    a.width,
    a.layers as blocks,
    s.step_a as step,
    s.layer_a,
    s.layer_b,
    s.dataset,
    s.map,
    avg(s.penalty) as penalty,
    stddev_samp(s.penalty) as penalty_spread,
    min(s.penalty) as penalty_min,
    max(s.penalty) as penalty_max,
    avg(s.penalty - z.penalty) as penalty_over_self,
    avg(s.accuracy_change) as accuracy_change,
    avg(s.loss_of_b) as loss_of_b,
    avg(s.converged::integer) as converged,
    count(*) as stitchings,
    count(distinct s.model_a) as networks_a,
    count(distinct s.model_b) as networks_b
from lab.stitching s
left join lab.stitching z on z.revision_a = s.revision_b and z.revision_b = s.revision_b and z.layer_a = s.layer_b
    and z.layer_b = s.layer_b and z.dataset = s.dataset and z.map = s.map
join main.models a on a.model = s.model_a
join main.models b on b.model = s.model_b
where s.model_a <> s.model_b and s.step_a is not distinct from s.step_b and s.penalty is not null
  and a.activation is not null and b.activation is not null and a.kind = b.kind and a.family = b.family and a.layers = b.layers and a.width = b.width
group by all;

comment on view lab.activation_stitching is 'Stitching within and across activation functions, over networks that are alike but for it: one row a direction, pair of layers and map';
comment on column lab.activation_stitching.activation_a is 'activation function of the networks that give the bottom';
comment on column lab.activation_stitching.activation_b is 'activation function of the networks that give the top';
comment on column lab.activation_stitching.family is 'architecture of both, as the configuration names it';
comment on column lab.activation_stitching.width is 'size of a hidden state of both';
comment on column lab.activation_stitching.blocks is 'number of blocks of both';
comment on column lab.activation_stitching.step is 'optimiser step of both networks; NULL where nobody said';
comment on column lab.activation_stitching.layer_a is 'the last block of the bottom that is run: depth, 1 to L';
comment on column lab.activation_stitching.layer_b is 'the last block of the top that is replaced: depth, 1 to L';
comment on column lab.activation_stitching.dataset is 'the dataset''s key';
comment on column lab.activation_stitching.map is 'affine, linear or orthogonal (trained from their closed form), least-squares or procrustes (the affine and the orthogonal closed form) or identity';
comment on column lab.activation_stitching.penalty is 'loss of the stitched network less that of the second alone, nats a token, mean over pairs of networks';
comment on column lab.activation_stitching.penalty_spread is 'standard deviation over pairs of networks; pairs that share a network are not independent';
comment on column lab.activation_stitching.penalty_min is 'the smallest of them';
comment on column lab.activation_stitching.penalty_max is 'the largest of them';
comment on column lab.activation_stitching.penalty_over_self is 'penalty less that of the second network''s top on its own bottom by such a map, mean over pairs: what the other bottom costs; NULL where no network was stitched to itself';
comment on column lab.activation_stitching.accuracy_change is 'share of tokens guessed right less that of the second network alone, mean over pairs';
comment on column lab.activation_stitching.loss_of_b is 'loss of the second networks alone, nats a token, mean over pairs';
comment on column lab.activation_stitching.converged is 'share of the stitchings whose map converged; NULL for maps that are not trained';
comment on column lab.activation_stitching.stitchings is 'pairs of networks, a network with itself left out';
comment on column lab.activation_stitching.networks_a is 'networks among them that give the bottom';
comment on column lab.activation_stitching.networks_b is 'networks among them that give the top';
