"""How far the layers of many networks lie from each other: the newest checkpoint of each, by one measure on one dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.report.panels import step_label

Site = tuple[str, int]  # a network and the depth of a layer
# from the measure that is a metric already to what an angle is made of
DISTANCES = """with found as (
  select * from lab.network_dissimilarity
{where}
  and positions = 'all' and value is not null
  and measure in ('procrustes_angular', 'procrustes', 'linear_cka', 'rbf_cka')
), chosen as (
  select measure, min(without_top) as without_top from found group by measure
  order by count(distinct (model_a, model_b)) desc,
    list_position(['procrustes_angular', 'procrustes', 'linear_cka', 'rbf_cka'], measure)
  limit 1
), newest as (
  select model, max((coalesce(step, -1), revision)) as checkpoint
  from (select model_a as model, step_a as step, revision_a as revision from found
    union all select model_b, step_b, revision_b from found)
  group by model
)
select f.model_a, f.step_a, f.layer_a, f.model_b, f.step_b, f.layer_b, f.dataset, f.measure, f.without_top,
  case f.measure when 'procrustes_angular' then f.value when 'procrustes' then sqrt(greatest(f.value, 0))
    else acos(greatest(least(f.value, 1), 0)) end as distance
from found f
join chosen using (measure, without_top)
join newest a on a.model = f.model_a and a.checkpoint = (coalesce(f.step_a, -1), f.revision_a)
join newest b on b.model = f.model_b and b.checkpoint = (coalesce(f.step_b, -1), f.revision_b)
order by f.model_a, f.model_b, f.layer_a, f.layer_b"""


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances between layers of networks, as many as were measured. `layers` are the depths of each network, `names` its
    name with the step; `between` holds both orders of two sites, and of both the mean where both were measured."""

    measure: str
    layers: Mapping[str, tuple[int, ...]]
    names: Mapping[str, str]
    between: Mapping[tuple[Site, Site], float]

    @classmethod
    def of(cls, rows: Sequence[tuple[Any, ...]]) -> Distances:
        """The distances of the rows of DISTANCES, of which there is one at least."""
        found: dict[tuple[Site, Site], list[float]] = {}
        names: dict[str, str] = {}
        for model_a, step_a, layer_a, model_b, step_b, layer_b, *_, distance in rows:
            names |= {model_a: _name(model_a, step_a), model_b: _name(model_b, step_b)}
            for pair in {((model_a, layer_a), (model_b, layer_b)), ((model_b, layer_b), (model_a, layer_a))}:
                found.setdefault(pair, []).append(distance)
        sites = {site for site, _ in found}
        layers = {model: tuple(sorted(layer for own, layer in sites if own == model)) for model in sorted(names)}
        between = {pair: sum(values) / len(values) for pair, values in found.items()}
        taken = f" without {rows[0][8]} principal components" if rows[0][8] else ""
        return cls(rows[0][7] + taken, layers, names, between)

    def all_there(self, pairs: Iterable[tuple[Site, Site]]) -> bool:
        """Whether the distance of each pair of sites is known; from a site to itself it is 0."""
        return all(a == b or (a, b) in self.between for a, b in pairs)

    def matrix(self, sites: Sequence[Site]) -> list[list[float]]:
        """The distances of some sites, all of which are known: symmetric, 0 on the diagonal."""
        return [[0.0 if a == b else self.between[a, b] for b in sites] for a in sites]


def _name(model: str, step: int | None) -> str:
    return model if step is None else f"{model} step {step_label(step)}"
