create view lab.models as
select
    m.model,
    m.family,
    m.kind,
    m.layers,
    m.width,
    m.parameters,
    m.seed,
    m.activation
from main.models m;

comment on view lab.models is 'The models that were measured';
comment on column lab.models.model is 'the model''s name in the store';
comment on column lab.models.family is 'architecture, as the configuration names it';
comment on column lab.models.kind is 'decoder or encoder';
comment on column lab.models.layers is 'number of blocks';
comment on column lab.models.width is 'size of a hidden state';
comment on column lab.models.parameters is 'number of parameters';
comment on column lab.models.seed is 'seed of its training, where it is known';
comment on column lab.models.activation is 'activation function between the linear layers of a block, as the configuration names it; NULL where it was recorded before this was noted';
