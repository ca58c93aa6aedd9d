create view lab.drift_points as
select
    c.model,
    m.kind,
    c.step,
    p.dataset,
    p.procedure,
    p.reduction,
    p.normalised,
    p.from_layer,
    p.layer,
    p.item_id,
    p.char_end,
    p.position,
    p.x,
    p.y,
    c.revision
from main.drift_points p
join main.runs r on r.run_id = p.run_id
join main.checkpoints c on c.checkpoint_id = p.checkpoint_id
join main.models m on m.model = c.model
qualify dense_rank() over (
    partition by p.checkpoint_id, p.dataset, p.procedure, p.reduction, p.normalised, p.from_layer
    order by r.finished_at desc, p.run_id desc
) = 1;

comment on view lab.drift_points is 'All layers'' points on one plane, reduced jointly, the same tokens at every layer: one row a point, newest run';
comment on column lab.drift_points.model is 'the model''s name in the store';
comment on column lab.drift_points.kind is 'decoder or encoder';
comment on column lab.drift_points.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.drift_points.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.drift_points.procedure is 'corrected (first tokens left out) or released (all tokens, by PCA of normalised vectors alone)';
comment on column lab.drift_points.reduction is 'pca, tsne or umap';
comment on column lab.drift_points.normalised is 'whether every vector was scaled to length 1 first';
comment on column lab.drift_points.from_layer is 'the least deep layer in it: 0 with the input embedding, 1 without';
comment on column lab.drift_points.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs';
comment on column lab.drift_points.item_id is 'the text that the token is from';
comment on column lab.drift_points.char_end is 'where the token ends in its text, in characters';
comment on column lab.drift_points.position is 'the token''s place in its text, 0 the first';
comment on column lab.drift_points.x is 'first coordinate';
comment on column lab.drift_points.y is 'second coordinate';
comment on column lab.drift_points.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
