create view lab.network_dissimilarity as
select
    f.model_a,
    f.step_a,
    f.layer_a,
    f.stream_a,
    f.model_b,
    f.step_b,
    f.layer_b,
    f.stream_b,
    f.dataset,
    f.measure,
    f.positions,
    f.without_top,
    f.value,
    f.null_mean,
    f.value - f.null_mean as above_null,
    f.z,
    f.p,
    f.permuted,
    f.pairs,
    q.larger_is_more_alike,
    q.symmetric,
    f.note,
    f.revision_a,
    f.revision_b
from lab.pair_metrics f
join main.measures q on q.measure = f.measure and q.version = f.version
qualify f.version = max(f.version) over (partition by f.measure)
    and row_number() over (
        partition by f.site_a, f.site_b, f.measure, f.version, f.positions, f.without_top order by f.permuted
    ) = 1;

comment on view lab.network_dissimilarity is 'How alike are two networks? One row a pair of layers and a measure, with what chance would give';
comment on column lab.network_dissimilarity.model_a is 'the first network''s name in the store';
comment on column lab.network_dissimilarity.step_a is 'its optimiser step; NULL where nobody said';
comment on column lab.network_dissimilarity.layer_a is 'depth in the first network: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.network_dissimilarity.stream_a is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.network_dissimilarity.model_b is 'the second network''s name in the store';
comment on column lab.network_dissimilarity.step_b is 'its optimiser step; NULL where nobody said';
comment on column lab.network_dissimilarity.layer_b is 'depth in the second network: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.network_dissimilarity.stream_b is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.network_dissimilarity.dataset is 'the dataset''s key; both networks read the same texts';
comment on column lab.network_dissimilarity.measure is 'the measure''s name, as in lab.measures';
comment on column lab.network_dissimilarity.positions is 'tokens it is of: all or not-first';
comment on column lab.network_dissimilarity.without_top is 'how many top principal components were taken out of both clouds; 0 for none';
comment on column lab.network_dissimilarity.value is 'the estimate in the measure''s unit; NULL where it is undefined, and then note says why';
comment on column lab.network_dissimilarity.null_mean is 'mean of the value over random pairings of the same points';
comment on column lab.network_dissimilarity.above_null is 'value less null_mean: what the pairing adds; below 0 for distances that are smaller than by chance';
comment on column lab.network_dissimilarity.z is 'standard deviations between value and null_mean, positive where more alike than chance; NULL where the null does not vary';
comment on column lab.network_dissimilarity.p is '(1 + random pairings at least as alike) / (1 + random pairings)';
comment on column lab.network_dissimilarity.permuted is 'what a random pairing puts in another order, as in lab.pair_metrics: items (whole texts) where the pair was set against that, else points';
comment on column lab.network_dissimilarity.pairs is 'places in the texts where both networks have a state';
comment on column lab.network_dissimilarity.larger_is_more_alike is 'whether a larger value means more alike; where not, it is a distance';
comment on column lab.network_dissimilarity.symmetric is 'whether the two networks may be exchanged';
comment on column lab.network_dissimilarity.note is 'why the value is undefined, or what to know of it, such as too few points for the width';
comment on column lab.network_dissimilarity.revision_a is 'the hub''s commit, or the digest of its weights';
comment on column lab.network_dissimilarity.revision_b is 'the hub''s commit, or the digest of its weights';
