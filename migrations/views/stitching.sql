create view lab.stitching as
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
    'first' as bottom,
    f.steps,
    f.loss,
    f.loss_of_b,
    f.penalty,
    f.penalty_std_error,
    f.accuracy,
    f.accuracy_of_b,
    f.accuracy - f.accuracy_of_b as accuracy_change,
    f.accuracy_std_error,
    f.converged,
    f.tokens,
    f.windows,
    f.note,
    f.run_id,
    r.finished_at as measured_at
from main.stitches f
join main.runs r on r.run_id = f.run_id
join main.checkpoints ca on ca.checkpoint_id = f.checkpoint_a
join main.checkpoints cb on cb.checkpoint_id = f.checkpoint_b
qualify row_number() over (
    partition by f.checkpoint_a, f.checkpoint_b, f.layer_a, f.layer_b, f.dataset, f.map
    order by r.finished_at desc, f.run_id desc
) = 1;

comment on view lab.stitching is 'Is what one network has at a layer of use to another? The loss of the second network with the first for a bottom: one row a pair of checkpoints, their layers and a map, the newest run';
comment on column lab.stitching.model_a is 'name in the store of the network whose lower blocks are run';
comment on column lab.stitching.step_a is 'its optimiser step; NULL where nobody said';
comment on column lab.stitching.revision_a is 'the hub''s commit, or the digest of its weights';
comment on column lab.stitching.layer_a is 'the last of its blocks that is run: depth, 1 to L';
comment on column lab.stitching.model_b is 'name in the store of the network whose upper blocks and head are run';
comment on column lab.stitching.step_b is 'its optimiser step; NULL where nobody said';
comment on column lab.stitching.revision_b is 'the hub''s commit, or the digest of its weights';
comment on column lab.stitching.layer_b is 'the last of its blocks that is replaced: depth, 1 to L';
comment on column lab.stitching.dataset is 'the dataset''s key; the map was trained on its texts and judged on others of them';
comment on column lab.stitching.map is 'affine, linear or orthogonal (trained from their closed form), least-squares or procrustes (the affine and the orthogonal closed form) or identity';
comment on column lab.stitching.bottom is 'which network gives the bottom: always the first, model_a up to layer_a; model_b goes on after layer_b';
comment on column lab.stitching.steps is 'optimiser steps that the map was trained for; 0 for maps that are not trained';
comment on column lab.stitching.loss is 'cross-entropy of the stitched network on held-out texts, nats a token; NULL where it is no finite number';
comment on column lab.stitching.loss_of_b is 'that of model_b alone on the same tokens';
comment on column lab.stitching.penalty is 'loss less loss_of_b, nats a token: 0 where nothing is lost, negative where the first networks features help';
comment on column lab.stitching.penalty_std_error is 'its standard error over held-out windows, of paired differences';
comment on column lab.stitching.accuracy is 'share of held-out tokens that the stitched network guesses right';
comment on column lab.stitching.accuracy_of_b is 'that of model_b alone';
comment on column lab.stitching.accuracy_change is 'accuracy less accuracy_of_b: negative where something is lost';
comment on column lab.stitching.accuracy_std_error is 'its standard error over held-out windows, of paired differences';
comment on column lab.stitching.converged is 'whether the held-out loss changed by less than 0.05 % from the third to the last quarter of the training, at each of its rates; NULL where nothing was trained';
comment on column lab.stitching.tokens is 'held-out tokens that were predicted';
comment on column lab.stitching.windows is 'held-out windows of text';
comment on column lab.stitching.note is 'why the map has not converged or a value is undefined, and how often texts were trained on';
comment on column lab.stitching.run_id is 'the run that computed it';
comment on column lab.stitching.measured_at is 'when that run ended, UTC';
