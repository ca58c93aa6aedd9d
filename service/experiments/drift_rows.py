"""What the drift of one checkpoint's layers is as rows: the path and the norms, their growth, and the points on planes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from service.experiments.layer_clouds import LayerClouds
from service.experiments.progress import Progress, tell
from service.measures import Cloud, find, joint_reduction, layer_path, norm_controls, norm_growth
from service.measures.joint_reduction import REDUCTIONS, Plane
from service.measures.layered import Layered
from service.networks.coordinated_sample import coordinated_sample
from service.results import Estimate

SEED = 0
NORMS = ("norm_min", "norm_mean", "norm_max")
POSITIONS = {"corrected": ("all", "not-first"), "released": ("all",)}
# the planes of each procedure, and the positions whose tokens are drawn on them
PLANES = {
    "corrected": [(reduction, scaled) for scaled in (False, True) for reduction in REDUCTIONS],
    "released": [("pca", True)],
}
DRAWN = {"corrected": "not-first", "released": "all"}
Row = dict[str, Any]
MEASURED = (*layer_path.DECLARED, *norm_growth.DECLARED, *joint_reduction.DECLARED)


def drift_rows(found: LayerClouds, procedure: str, points: int) -> dict[str, list[Row]]:
    """Every row of one procedure by table: corrected, the states as they are; released, scaled to length 1, first tokens
    included, and drawn by PCA alone."""
    checkpoint_metrics, drift_points = [], []
    if procedure == "corrected":
        checkpoint_metrics += list(_growth_rows(found.clouds))
    for tokens, plane in _planes(found, procedure, points):
        checkpoint_metrics += list(_variance_rows(plane, f"{procedure}/{DRAWN[procedure]}", tokens))
        drift_points += list(_point_rows(plane, procedure, tokens))
    return {
        "layer_metrics": [*_path_rows(found, procedure), *_norm_rows(found, procedure)],
        "checkpoint_metrics": checkpoint_metrics,
        "drift_points": drift_points,
    }


def _kept(clouds: Layered, positions: str) -> Layered:
    return clouds if positions == "all" else clouds.where(clouds.position > 0)


def _metric(measure: str, version: int, variant: str, estimate: Estimate) -> Row:
    return {"measure": measure, "version": version, "variant": variant, **asdict(estimate)}


def _path_rows(found: LayerClouds, procedure: str) -> Iterator[Row]:
    versions = {one.name: one.version for one in layer_path.DECLARED}
    for positions in POSITIONS[procedure]:
        clouds = _kept(found.clouds, positions)
        path = layer_path.layer_path(norm_controls.unit_vectors(clouds) if procedure == "released" else clouds)
        for site, measured in zip(found.sites, path, strict=True):
            for name, estimate in measured.items():
                row = _metric(name, versions[name], f"{procedure}/{positions}", estimate)
                yield row | {"site_id": site.site_id}


def _norm_rows(found: LayerClouds, procedure: str) -> Iterator[Row]:
    """The norms, as `isoscope shape` measures them; scaled to length 1 there are none to measure."""
    for positions in POSITIONS[procedure] if procedure == "corrected" else ():
        keep = found.clouds.position >= (positions == "not-first")
        for site, states in zip(found.sites, found.clouds.states, strict=True):
            cloud = Cloud(states[keep], found.clouds.item_id[keep])
            for name in NORMS:
                measure = find(name)
                row = _metric(name, measure.version, f"{procedure}/{positions}", measure.corrected(cloud)[""])
                yield row | {"site_id": site.site_id}


def _growth_rows(clouds: Layered) -> Iterator[Row]:
    versions = {one.name: one.version for one in norm_growth.DECLARED}
    for positions in POSITIONS["corrected"]:
        for name, estimate in norm_growth.norm_growth(_kept(clouds, positions)).items():
            yield _metric(name, versions[name], f"corrected/{positions}", estimate)


def _planes(found: LayerClouds, procedure: str, points: int) -> Iterator[tuple[Layered, Plane]]:
    """Each joint reduction, with the input embedding and without, and the tokens that are in it: the same at every layer, of
    those that hash smallest. None where all tokens are first ones, which the corrected procedure leaves out."""
    clouds = _kept(found.clouds, DRAWN[procedure])
    keep = coordinated_sample(clouds.item_id.numpy(), clouds.char_end.numpy(), clouds.position.numpy(), points)
    tokens = joint_reduction.thinned(clouds, keep)
    wanted = [(first, *plane) for first in tokens.layers[:2] for plane in PLANES[procedure] if len(tokens.text)]
    for done, (first, reduction, scaled) in enumerate(wanted):
        tell(Progress("measure", found.checkpoint.label, done, len(wanted), "planes"))
        yield tokens, joint_reduction.joint_reduction(tokens.from_layer(first), reduction, scaled, SEED)
    tell(Progress("measure", found.checkpoint.label, len(wanted), len(wanted), "planes"))


def _variance_rows(plane: Plane, prefix: str, tokens: Layered) -> Iterator[Row]:
    scaled = "normalised" if plane.normalised else "raw"
    for component, share in enumerate(plane.explained or (), 1):
        variant = f"{prefix}/pca{component}-{scaled}-from{plane.from_layer}"
        estimate = Estimate(share, None, len(plane.layers) * len(tokens.text))
        yield _metric("drift_explained_variance", 1, variant, estimate)


def _point_rows(plane: Plane, procedure: str, tokens: Layered) -> Iterator[Row]:
    about = {"procedure": procedure, "reduction": plane.reduction, "normalised": plane.normalised}
    columns = (tokens.item_id, tokens.char_end, tokens.position)
    where = list(zip(*(column.tolist() for column in columns), strict=True))
    for layer, places in zip(plane.layers, plane.places.tolist(), strict=True):
        for (item_id, char_end, position), (x, y) in zip(where, places, strict=True):
            yield {
                **about,
                "from_layer": plane.from_layer,
                "layer": layer,
                "item_id": item_id,
                "char_end": char_end,
                "position": position,
                "x": x,
                "y": y,
            }
