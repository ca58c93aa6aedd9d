create view lab.activations as
select
    c.model,
    c.step,
    c.revision,
    a.dataset,
    a.layer,
    a.stream,
    a.hidden_state_index,
    a.points,
    a.width,
    a.dtype,
    a.attention,
    a.tokens_seen,
    a.non_finite,
    a.path,
    a.digest,
    a.site_id,
    a.layer_name
from main.activations a
join main.checkpoints c on c.checkpoint_id = a.checkpoint_id;

comment on view lab.activations is 'The activation summaries: one Parquet file a site, under the store''s activations folder';
comment on column lab.activations.model is 'the model''s name in the store';
comment on column lab.activations.step is 'optimiser step of the checkpoint; NULL where nobody said';
comment on column lab.activations.revision is 'the hub''s commit, or the digest of a local checkpoint''s weights';
comment on column lab.activations.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.activations.layer is 'depth: 0 the embedding, 1 to L the blocks'' outputs, L + 1 after the last norm';
comment on column lab.activations.stream is 'embedding, residual (a block''s output) or final (after the last norm)';
comment on column lab.activations.hidden_state_index is 'entry of Hugging Face''s hidden_states that equals this site; NULL where none does';
comment on column lab.activations.points is 'tokens in the sample';
comment on column lab.activations.width is 'size of a hidden state';
comment on column lab.activations.dtype is 'number format the network computed in';
comment on column lab.activations.attention is 'attention implementation';
comment on column lab.activations.tokens_seen is 'tokens that ran through the network';
comment on column lab.activations.non_finite is 'how many of them had a state that is NaN or infinite';
comment on column lab.activations.path is 'the file, under the activations folder';
comment on column lab.activations.digest is 'digest of the file''s bytes';
comment on column lab.activations.site_id is 'checkpoint, dataset, layer and stream in 16 hex digits';
comment on column lab.activations.layer_name is 'the module''s name in a vision network; NULL in others';
