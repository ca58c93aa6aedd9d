create view lab.attributions as
select
    a.ensemble,
    a.members,
    c.concept,
    a.output,
    a.layer,
    a.method,
    a.dataset,
    a.targets,
    e.target_item,
    e.side,
    e.rank,
    e.train_item,
    e.score,
    e.preview,
    a.train_items,
    a.target_items,
    a.dimensions,
    a.projection,
    a.ridge,
    a.path,
    a.attribution_id,
    a.run_id,
    r.finished_at as measured_at
from main.attribution_runs a
join main.attributions e on e.run_id = a.run_id and e.attribution_id = a.attribution_id
join main.runs r on r.run_id = a.run_id
left join main.concepts c on c.concept_id = a.concept_id
qualify a.run_id = first_value(a.run_id) over (
    partition by a.attribution_id order by r.finished_at desc, a.run_id desc
);

comment on view lab.attributions is 'The training items that count most and least for what networks say of target items, newest run of each attribution';
comment on column lab.attributions.ensemble is 'the network or the ensemble of networks, as it was called';
comment on column lab.attributions.members is 'how many networks it has';
comment on column lab.attributions.concept is 'the concept whose probe is attributed; NULL for the network''s own output';
comment on column lab.attributions.output is 'what is attributed: probe, a concept probe''s margin; class, that of the true class; next-token, the mean margin of the tokens';
comment on column lab.attributions.layer is 'the layer whose probe is attributed; NULL for the network''s own output';
comment on column lab.attributions.method is 'trak, trak-kernel (without the doubts of the training items), trak-released (as published: gradients of the probe''s margin on both sides, no ridge, the library''s projection and scaling), gradient-cosine, representation or random';
comment on column lab.attributions.dataset is 'the key of the training items';
comment on column lab.attributions.targets is 'the key of the target items';
comment on column lab.attributions.target_item is 'the target item, of which the first eight have rows of their own; NULL for the mean over all of them. The scores of all targets are in the file at path';
comment on column lab.attributions.side is 'most, the items that count for it; least, those that count against it; either, those that count the most whatever their sign, where the score is the mean of the scores'' sizes';
comment on column lab.attributions.rank is '1 is the first of its side';
comment on column lab.attributions.train_item is 'the training item''s number in its dataset';
comment on column lab.attributions.score is 'its score, on the method''s own scale';
comment on column lab.attributions.preview is 'the beginning of its text, or its picture as a data: URI';
comment on column lab.attributions.train_items is 'how many training items were scored';
comment on column lab.attributions.target_items is 'how many target items';
comment on column lab.attributions.dimensions is 'dimensions that gradients were projected to; NULL where none were';
comment on column lab.attributions.projection is 'the random projection: sparse, or rademacher, of signs; NULL where there was none';
comment on column lab.attributions.ridge is 'what was added to the diagonal of the kernel of gradients, as a share of its mean eigenvalue: 0 is as released; NULL where there is no kernel';
comment on column lab.attributions.path is 'the Parquet file of all scores, below the store''s folder attributions';
comment on column lab.attributions.attribution_id is 'id of the networks, output, method, training items and targets';
comment on column lab.attributions.run_id is 'the run that computed it';
comment on column lab.attributions.measured_at is 'when that run ended, UTC';
