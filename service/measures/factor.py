"""A cloud taken apart once: an orthonormal basis of its points, with which every linear comparison is a small product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.measures.centred import centred_points
from service.measures.declaration import RESOLUTION, Cloud, PairMeasure
from service.results import Estimate

ANY_ROTATION = frozenset({"translation", "rotation", "scaling", "permutation"})


@dataclass(frozen=True, eq=False)
class Factor:
    """The centred points X = U diag(s) V', float64: `basis` U, `scales` s, largest first, and `directions` V'.

    Directions in which the points do not differ by more than rounding are left out.
    """

    basis: Float[Tensor, "points rank"]
    scales: Float[Tensor, " rank"]
    directions: Float[Tensor, "rank width"]

    @property
    def points(self) -> int:
        """How many points there are."""
        return len(self.basis)

    @property
    def rank(self) -> int:
        """How many directions the points differ in."""
        return len(self.scales)

    @property
    def is_full(self) -> bool:
        """Whether the points span all that so few could: any values at all are then a linear map of them."""
        return self.rank >= self.points - 1

    @cached_property
    def squares(self) -> Float[Tensor, " points"]:
        """Each point's squared distance from the mean."""
        return (self.basis * self.scales).square().sum(dim=1)


def factor(cloud: Cloud) -> Factor:
    """The cloud taken apart, on the device where it is."""
    points = centred_points(cloud.points)
    basis, scales, directions = torch.linalg.svd(points, full_matrices=False)
    rounding = RESOLUTION[cloud.points.dtype] * torch.linalg.vector_norm(cloud.points, dtype=torch.float64)
    rank = int((scales > rounding).sum())
    rank = min(rank, len(points) - 1)  # centred points lack one direction
    return Factor(basis[:, :rank].contiguous(), scales[:rank], directions[:rank])


@dataclass(frozen=True, eq=False)
class Cross:
    """Two clouds' bases against each other: `matrix` is U_a' U_b, where the first cloud's points stand in `order`.

    A value is of a float64 matrix, and singular values are taken by an SVD. A null (not `exact`) is of a float32 one, and they
    are roots of eigenvalues of its Gram matrix, in a third of the time: U_a' U_b of a random pairing has no direction that
    stands out, and largest scales come first, so that the solver keeps small eigenvalues too. Sums of singular values were
    right to 2e-4 of the null's standard deviation for flat spectra and for those of one coordinate a thousand times the others.
    """

    a: Factor
    b: Factor
    matrix: Float[Tensor, "rank_a rank_b"]
    order: Int[Tensor, " points"] | None = None
    exact: bool = True

    @classmethod
    def between(cls, a: Factor, b: Factor, order: Int[Tensor, " points"] | None = None) -> Cross:
        """The product of the bases in float64."""
        basis = a.basis if order is None else a.basis[order]
        return cls(a, b, basis.T @ b.basis, order)

    @cached_property
    def correlations(self) -> Float[Tensor, " directions"]:
        """The canonical correlations, largest first: the singular values of `matrix`."""
        return self.singular_values(self.matrix)

    @cached_property
    def aligned(self) -> float:
        """The nuclear norm of A'B for the centred clouds of Frobenius norm 1."""
        return self.overlap(self.a.scales, self.b.scales)

    def overlap(self, scales_a: Float[Tensor, " rank_a"], scales_b: Float[Tensor, " rank_b"]) -> float:
        """The nuclear norm of A'B for clouds with other scales along the same axes, of Frobenius norm 1; at most 1."""
        left, right = (self.fitting(scales / scales.norm()) for scales in (scales_a, scales_b))
        return min(float(self.singular_values(left[:, None] * self.matrix * right, most=None).sum()), 1.0)

    def fitting(self, scales: Float[Tensor, " rank"]) -> Float[Tensor, " rank"]:
        """Scales in the precision of the matrix."""
        return scales.to(self.matrix.dtype)

    def singular_values(
        self, matrix: Float[Tensor, "rows columns"], most: float | None = 1.0
    ) -> Float[Tensor, " directions"]:
        """Those of a matrix, largest first, none above `most`."""
        if self.exact:
            found = cast(Tensor, torch.linalg.svdvals(matrix))
        else:
            wide = matrix.shape[0] < matrix.shape[1]
            gram = matrix @ matrix.T if wide else matrix.T @ matrix
            found = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().flip(0)
        return found if most is None else found.clamp_max(most)

    def estimate(self, value: float, note: str | None = None) -> Estimate:
        """A value of this pair."""
        return Estimate(value, None, self.a.points, note=note)

    def undefined(self, note: str) -> Estimate:
        """No value of this pair, and why."""
        return Estimate.undefined(note, self.a.points)


def linear(
    name: str,
    of_cross: Callable[[Cross], Estimate],
    source: str,
    *,
    unit: str,
    lower: float = 0.0,
    upper: float = 1.0,
    symmetric: bool = True,
    larger_is_more_alike: bool = True,
    invariant_to: frozenset[str] = ANY_ROTATION,
    inflated_by_width: bool = True,
    whitens: bool = False,
) -> PairMeasure:
    """A measure of pairs that needs nothing but the two clouds' factors and their product."""

    def compare(a: Factor, b: Factor, order: Tensor | None) -> Estimate:
        return of_cross(Cross.between(a, b, order))

    return PairMeasure(
        name,
        1,
        unit,
        lower,
        upper,
        symmetric,
        larger_is_more_alike,
        invariant_to,
        source,
        inflated_by_width,
        factor,
        compare,
        of_cross,
        whitens,
    )
