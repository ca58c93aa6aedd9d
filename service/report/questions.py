"""The SQL that the claims are judged on: each statement runs as it stands in any client that reads schema ``lab``."""

from __future__ import annotations

from service.subjects import Positions

MODELS = "select model, kind from lab.models order by model"


def anisotropy_by_layer(model: str, dataset: str, positions: Positions) -> str:
    """Rows (layer, revision, anisotropy, std_error) of the last step, over embedding and residual stream."""
    return f"""\
select layer, revision, value as anisotropy, std_error
from lab.layer_metrics
where model = {_text(model)} and dataset = {_text(dataset)} and {_anisotropy(positions)}
  and stream in ('embedding', 'residual')
qualify step is not distinct from max(step) over ()
order by layer"""


def anisotropy_by_step(model: str, dataset: str, positions: Positions) -> str:
    """Rows (step, revision, anisotropy, std_error): the mean over residual layers, where all have a value."""
    return f"""\
select step, revision, avg(value) as anisotropy, avg(std_error) as std_error
from lab.layer_metrics
where model = {_text(model)} and dataset = {_text(dataset)} and {_anisotropy(positions)}
  and stream = 'residual' and step is not null
group by step, revision
having count(value) = count(*)
order by step"""


def dimension_by_step(model: str, dataset: str) -> str:
    """Rows (step, revision, twonn, std_error): the mean over residual layers, where all have a value."""
    return f"""\
select step, revision, avg(twonn) as twonn, avg(std_error) as std_error
from lab.intrinsic_dimension_by_layer
where model = {_text(model)} and dataset = {_text(dataset)} and stream = 'residual' and step is not null
group by step, revision
having count(twonn) = count(*)
order by step"""


def spread_over_layers(encoder: str, dataset: str, positions: Positions) -> str:
    """Rows (model, kind, step, spread, std_error) of one encoder and every decoder, each at its last step.

    The spread is the greatest less the least anisotropy over embedding and residual stream.
    """
    return f"""\
with last_step as (
  select model, kind, step, revision, value, std_error
  from lab.layer_metrics
  where (model = {_text(encoder)} or kind = 'decoder') and dataset = {_text(dataset)} and {_anisotropy(positions)}
    and stream in ('embedding', 'residual')
  qualify step is not distinct from max(step) over (partition by model)
)
select model, kind, step, case when count(value) = count(*) then max(value) - min(value) end as spread,
       sqrt(pow(arg_max(std_error, value), 2) + pow(arg_min(std_error, value), 2)) as std_error
from last_step
group by model, kind, step, revision
order by kind desc, model"""


def _anisotropy(positions: Positions) -> str:
    return (
        f"measure = 'anisotropy' and procedure = 'corrected' and positions = {_text(positions)}"
        " and coalesce(detail, '') = ''"
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
