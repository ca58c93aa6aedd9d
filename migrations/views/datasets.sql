create view lab.datasets as
select
    d.dataset,
    d.source,
    d.revision,
    d.split,
    d.modality,
    d.items,
    d.characters,
    d.digest,
    d.licence
from main.datasets d;

comment on view lab.datasets is 'The datasets that networks were run on';
comment on column lab.datasets.dataset is 'the dataset''s key; every choice that is not the default stands in it';
comment on column lab.datasets.source is 'where its content is from';
comment on column lab.datasets.revision is 'revision of the source';
comment on column lab.datasets.split is 'train, validation or test, where it has splits';
comment on column lab.datasets.modality is 'text or image';
comment on column lab.datasets.items is 'windows it was cut into';
comment on column lab.datasets.characters is 'characters in all windows';
comment on column lab.datasets.digest is 'digest of the windows, their order and their length';
comment on column lab.datasets.licence is 'licence of the content, where it is known';
