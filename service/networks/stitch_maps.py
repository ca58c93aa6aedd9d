"""The maps that may stand between two networks, and their closed-form fits on states at the same tokens."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from service.errors import NetworkMismatch, UnknownName

MAPS = ("affine", "identity", "least-squares", "linear", "orthogonal", "procrustes")
TRAINED = frozenset({"affine", "linear", "orthogonal"})


class StitchMap(nn.Module):
    """x W + b from states (tokens, width of A) to states (tokens, width of B), in float32.

    `affine` learns W and b, `linear` W alone, `orthogonal` a W with orthonormal rows or columns; `least-squares` and
    `procrustes` are the affine and the orthogonal map as they were fitted, `identity` gives what it is given. Every map that
    is trained starts at its closed-form fit.
    """

    def __init__(self, kind: str, weight: Tensor | None = None, shift: Tensor | None = None) -> None:
        super().__init__()
        self.kind = kind
        self.weight = _parameter(weight, kind in TRAINED)
        self.shift = _parameter(shift, kind in TRAINED)

    def forward(self, states: Float[Tensor, "*places width_a"]) -> Float[Tensor, "*places width_b"]:
        """The states as the second network is given them."""
        if self.weight is None:
            return states
        mapped = states.float() @ self.weight
        return mapped if self.shift is None else mapped + self.shift

    @torch.no_grad()
    def project(self) -> None:
        """Put an orthogonal map that a step has led astray back to the nearest orthogonal one; others stay as they are."""
        if self.kind == "orthogonal" and self.weight is not None:
            self.weight.copy_(nearest_orthogonal(self.weight.double()))


def _parameter(value: Tensor | None, trained: bool) -> nn.Parameter | None:
    return None if value is None else nn.Parameter(value.float(), requires_grad=trained)


def refuse_map(kind: str, width_a: int, width_b: int) -> None:
    """Raises UnknownName, and NetworkMismatch for an identity between different widths."""
    if kind not in MAPS:
        raise UnknownName.of("map", kind, MAPS)
    if kind == "identity" and width_a != width_b:
        raise NetworkMismatch(
            f"the identity needs equal widths, and these are {width_a} and {width_b}: give --map affine or another"
        )


def fitted_map(
    kind: str, states: Float[Tensor, "tokens width_a"], targets: Float[Tensor, "tokens width_b"]
) -> StitchMap:
    """The map of that kind that takes `states` nearest to `targets` in squared distance, on the CPU.

    affine and least-squares: min |X W + b - Y|_F; linear: without b; orthogonal and procrustes: W = U V' of the singular value
    decomposition X'Y = U S V'. Where several are as near, the smallest.

    Raises UnknownName, NetworkMismatch.
    Source: Bansal, Nakkiran, Barak 2021, Revisiting Model Stitching, section 2; Schoenemann 1966 for Procrustes.
    """
    refuse_map(kind, states.shape[1], targets.shape[1])
    if kind == "identity":
        return StitchMap(kind)
    points, wanted = states.double().cpu(), targets.double().cpu()
    if kind in ("orthogonal", "procrustes"):
        return StitchMap(kind, nearest_orthogonal(points.T @ wanted))
    if kind == "linear":
        return StitchMap(kind, least_squares(points, wanted))
    solution = least_squares(torch.cat([points, torch.ones(len(points), 1, dtype=points.dtype)], dim=1), wanted)
    return StitchMap(kind, solution[:-1], solution[-1])


def least_squares(points: Tensor, targets: Tensor) -> Tensor:
    """The smallest W that minimises |X W - Y|_F, by singular values, so that layers of less than full rank do no harm."""
    return torch.linalg.lstsq(points, targets, driver="gelsd").solution


def nearest_orthogonal(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """The matrix of orthonormal rows or columns, whichever are fewer, with the largest inner product with `matrix`: U V'."""
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    return left @ right
