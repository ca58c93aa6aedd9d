create view lab.concepts as
select
    c.concept,
    c.definition,
    c.dataset,
    c.items,
    c.positives,
    c.labels_digest,
    c.concept_id
from main.concepts c;

comment on view lab.concepts is 'What was called a concept: a named yes or no over the items of a dataset, or over places in its texts';
comment on column lab.concepts.concept is 'the concept''s name';
comment on column lab.concepts.definition is 'how its labels were asked for, such as column:even';
comment on column lab.concepts.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.concepts.items is 'items that have a label';
comment on column lab.concepts.positives is 'of them those that are positive, or hold a positive place';
comment on column lab.concepts.labels_digest is '16 hex digits of the labels, or of the texts and the pattern that decide them';
comment on column lab.concepts.concept_id is 'identity of the concept: its definition and labels on this dataset';
