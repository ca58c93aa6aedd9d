create view lab.separability_weight_rank as
select
    c.model,
    m.kind,
    c.step,
    f.dataset,
    split_part(f.variant, 'from-', 2)::integer as from_layer,
    m.width,
    arg_max_null(f.value, (r.finished_at, f.run_id)) filter (f.measure = 'separability_weight_rank') as rank,
    arg_max_null(f.value, (r.finished_at, f.run_id)) filter (
        f.measure = 'separability_weight_effective_rank'
    ) as effective_rank,
    arg_max_null(f.std_error, (r.finished_at, f.run_id)) filter (
        f.measure = 'separability_weight_effective_rank'
    ) as effective_rank_std_error,
    c.revision
from main.checkpoint_metrics f
join main.runs r on r.run_id = f.run_id
join main.checkpoints c on c.checkpoint_id = f.checkpoint_id
join main.models m on m.model = c.model
where f.measure in ('separability_weight_rank', 'separability_weight_effective_rank')
group by c.model, m.kind, c.step, f.dataset, f.variant, m.width, c.revision;

comment on view lab.separability_weight_rank is 'How much of the space the classifier uses: the rank of its weights, newest run';
comment on column lab.separability_weight_rank.model is 'the model''s name in the store';
comment on column lab.separability_weight_rank.kind is 'decoder or encoder';
comment on column lab.separability_weight_rank.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.separability_weight_rank.dataset is 'the key of the dataset that the classifier was trained on; every choice that is not the default stands in it';
comment on column lab.separability_weight_rank.from_layer is 'the first layer that was to be told: 0 with the input embedding, 1 without it';
comment on column lab.separability_weight_rank.width is 'dimensions of a hidden state';
comment on column lab.separability_weight_rank.rank is 'numerical rank of the classes'' weights, what they share left out: at most number of layers - 1';
comment on column lab.separability_weight_rank.effective_rank is 'exponential of the entropy of their squared singular values: 1 for one direction';
comment on column lab.separability_weight_rank.effective_rank_std_error is 'its standard error over seeds';
comment on column lab.separability_weight_rank.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
