create view lab.measures as
select
    q.measure,
    q.version,
    q.subject,
    q.unit,
    q.lower,
    q.upper,
    q.source,
    q.std_error
from main.measures q;

comment on view lab.measures is 'What can be measured, and how';
comment on column lab.measures.measure is 'the measure''s name';
comment on column lab.measures.version is 'rises whenever its values change';
comment on column lab.measures.subject is 'what it is measured of: layer, checkpoint or pair (of layers)';
comment on column lab.measures.unit is 'unit of value and std_error';
comment on column lab.measures.lower is 'smallest possible value, where there is one';
comment on column lab.measures.upper is 'largest possible value, where there is one';
comment on column lab.measures.source is 'publication that defines it';
comment on column lab.measures.std_error is 'where its standard error comes from';
