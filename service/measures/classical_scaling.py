"""Places of objects of which only the distances are known: classical multidimensional scaling."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from service.errors import BadShape

ROUNDING = 1e-6  # of the largest distance: by as much the distances d_ij and d_ji may differ, and d_ii from 0
TIE = 1e-6  # entries of an eigenvector that are this near to its largest decide its sign like the largest


@dataclass(frozen=True, eq=False)
class Scaling:
    """Coordinates of n objects in k dimensions, centred, the axis of the largest spread first; `kept` is the share of the
    squared distances that they reproduce: 1 all, 0 nothing."""

    places: Float[Tensor, "objects dimensions"]
    kept: float


def classical_scaling(distances: Float[Tensor, "objects others"], dimensions: int = 2) -> Scaling:
    """The places whose inner products are nearest to those that the distances D imply.

    Formula: B = -J D^2 J / 2 with J = I - 11' / n, squares by element; B = V diag(l) V', largest l first; places
    V_k diag(l_k)^(1/2); kept = sum of the k largest l / sum of all |l|. Distances that no Euclidean space has give negative l.
    Such an axis has no place: where it is among the k its coordinates are 0 and it keeps nothing, and everywhere its |l|
    counts as lost, so that `kept` never exceeds 1 (Mardia's first criterion). Axes beyond the n-th are 0; objects that all lie
    on one spot keep 1. The entry of an axis that is largest in size, the first of equal ones, is positive: one matrix, one
    picture.
    Raises BadShape where `distances` are no square matrix, negative, not finite, not symmetric, or not 0 from each object to
    itself, and for `dimensions` below 1.
    Source: Torgerson 1952, https://doi.org/10.1007/BF02288916; Gower 1966, https://doi.org/10.1093/biomet/53.3-4.325; Mardia
    1978, https://doi.org/10.1080/03610927808827707
    """
    if dimensions < 1:
        raise BadShape(f"a scaling needs 1 dimension or more; got {dimensions}")
    _refuse_no_distances(distances)
    squared = distances.double().square()
    squared = (squared + squared.T) / 2
    inner = -(squared - squared.mean(0) - squared.mean(1, keepdim=True) + squared.mean()) / 2
    sizes, axes = torch.linalg.eigh(inner)
    sizes, axes = sizes.flip(0), axes.flip(1)
    reach = sizes[:dimensions].clamp(min=0)
    places = torch.zeros(len(distances), dimensions, dtype=torch.float64, device=distances.device)
    places[:, : len(reach)] = _signed(axes[:, :dimensions]) * reach.sqrt()
    total = sizes.abs().sum()
    return Scaling(places, min(1.0, (reach.sum() / total).item()) if total > 0 else 1.0)


def _signed(axes: Float[Tensor, "objects axes"]) -> Float[Tensor, "objects axes"]:
    sizes = axes.abs()
    deciding = (sizes >= (1 - TIE) * sizes.max(0).values).int().argmax(0, keepdim=True)
    return axes * axes.gather(0, deciding).sign()


def _refuse_no_distances(distances: Tensor) -> None:
    shape = tuple(distances.shape)
    if len(shape) != 2 or shape[0] != shape[1] or not shape[0]:
        raise BadShape(f"distances need a square matrix of one object or more; got shape {shape}")
    if not bool(torch.isfinite(distances).all()):
        raise BadShape("distances need to be finite; got NaN or infinity")
    row, column = divmod(int(distances.argmin()), shape[0])
    if distances[row, column] < 0:
        raise BadShape(f"a distance is 0 or more; got {distances[row, column].item():.4g} from {row} to {column}")
    allowed = ROUNDING * distances.max()
    row, column = divmod(int((distances - distances.T).abs().argmax()), shape[0])
    there, back = distances[row, column], distances[column, row]
    if (there - back).abs() > allowed:
        raise BadShape(
            f"distances need to be symmetric; got {there.item():.4g} from {row} to {column} and {back.item():.4g} back"
        )
    place = int(distances.diagonal().argmax())
    if distances[place, place] > allowed:
        raise BadShape(f"an object is at distance 0 from itself; got {distances[place, place].item():.4g} for {place}")
