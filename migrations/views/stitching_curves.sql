create view lab.stitching_curves as
select
    ca.model as model_a,
    ca.step as step_a,
    ca.revision as revision_a,
    f.layer_a,
    cb.model as model_b,
    cb.step as step_b,
    cb.revision as revision_b,
    f.layer_b,
    f.dataset,
    f.map,
    f.texts,
    f.step,
    f.loss,
    f.run_id
from main.stitch_curves f
join main.runs r on r.run_id = f.run_id
join main.checkpoints ca on ca.checkpoint_id = f.checkpoint_a
join main.checkpoints cb on cb.checkpoint_id = f.checkpoint_b
qualify rank() over (
    partition by f.checkpoint_a, f.checkpoint_b, f.layer_a, f.layer_b, f.dataset, f.map
    order by r.finished_at desc, f.run_id desc
) = 1;

comment on view lab.stitching_curves is 'How the maps of lab.stitching were trained: loss of the stitched network by step, the newest run';
comment on column lab.stitching_curves.model_a is 'name in the store of the network whose lower blocks are run';
comment on column lab.stitching_curves.step_a is 'its optimiser step; NULL where nobody said';
comment on column lab.stitching_curves.revision_a is 'the hub''s commit, or the digest of its weights';
comment on column lab.stitching_curves.layer_a is 'the last of its blocks that is run: depth, 1 to L';
comment on column lab.stitching_curves.model_b is 'name in the store of the network whose upper blocks and head are run';
comment on column lab.stitching_curves.step_b is 'its optimiser step; NULL where nobody said';
comment on column lab.stitching_curves.revision_b is 'the hub''s commit, or the digest of its weights';
comment on column lab.stitching_curves.layer_b is 'the last of its blocks that is replaced: depth, 1 to L';
comment on column lab.stitching_curves.dataset is 'the dataset''s key; the map was trained on its texts and judged on others of them';
comment on column lab.stitching_curves.map is 'affine, linear or orthogonal (trained from their closed form), least-squares (the affine closed form) or identity';
comment on column lab.stitching_curves.texts is 'training (the batch of that step) or held-out';
comment on column lab.stitching_curves.step is 'optimiser steps made before the loss was taken';
comment on column lab.stitching_curves.loss is 'cross-entropy of the stitched network, nats a token; NULL where it is no finite number';
comment on column lab.stitching_curves.run_id is 'the run that computed it';
