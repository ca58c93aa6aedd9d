"""All layers' points on one plane: by PCA, t-SNE and UMAP, raw and with every vector scaled to length 1."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from service.errors import BadInput, UnknownName
from service.measures.declaration import Declared
from service.measures.layered import Layered
from service.measures.norm_controls import unit_vectors

REDUCTIONS = ("pca", "tsne", "umap")
FEWEST_POINTS = 6  # of all layers together: fewer have no plane of neighbours
PERPLEXITY = 30.0
NEIGHBOURS = 15
FULL_SPECTRUM = 500  # the shorter side of a matrix whose whole spectrum is cheap
WITHOUT_TENSORFLOW = "Tensorflow not installed; ParametricUMAP will be unavailable"


@dataclass(frozen=True, eq=False)
class Plane:
    """One joint reduction: `places[k]` are the points of layer `layers[k]`; `explained` the shares of the variance along
    both axes, of PCA alone."""

    reduction: str
    normalised: bool
    layers: tuple[int, ...]
    places: Float[Tensor, "layers points 2"]
    explained: tuple[float, float] | None = None

    @property
    def from_layer(self) -> int:
        """The least deep layer in it: 0 with the input embedding, 1 without."""
        return self.layers[0]


def thinned(clouds: Layered, places: NDArray[np.int64]) -> Layered:
    """The clouds of the tokens at some places."""
    keep = torch.zeros(clouds.states.shape[1], dtype=torch.bool)
    keep[torch.from_numpy(places)] = True
    return clouds.where(keep)


def joint_reduction(clouds: Layered, reduction: str, to_unit_length: bool, seed: int = 0) -> Plane:
    """The points of all layers as one cloud of (layers x points, width), reduced to two dimensions.

    Formula: PCA on centred points; t-SNE of perplexity 30 and UMAP of 15 neighbours, fewer where there are few points, both
    starting from PCA. With `to_unit_length` every vector is divided by its length first. One seed, one answer on one
    machine, whatever its threads. Axes have the units of the states for raw PCA, none otherwise.
    Raises BadInput for fewer than 6 points, or points that do not differ; UnknownName for another reduction.
    Source: Pearson 1901; van der Maaten and Hinton 2008, https://jmlr.org/papers/v9/vandermaaten08a.html; McInnes, Healy
    and Melville 2018, https://arxiv.org/abs/1802.03426; drawn of layers by Huang 2024, LessWrong.
    """
    import sklearn.manifold  # noqa: F401  only a library that is loaded can be held to one thread

    if reduction not in REDUCTIONS:
        raise UnknownName.of("reduction", reduction, REDUCTIONS)
    scaled = unit_vectors(clouds) if to_unit_length else clouds
    layers, points, width = scaled.states.shape
    matrix = scaled.states.reshape(layers * points, width).double().cpu().numpy()
    if len(matrix) < FEWEST_POINTS:
        raise BadInput(f"a plane needs {FEWEST_POINTS} points of all layers together; there are {len(matrix)}")
    if not np.ptp(matrix, axis=0).any():
        raise BadInput(f"the {len(matrix)} points of all layers do not differ: there is no plane to draw them on")
    explained = None
    with threadpool_limits(1):  # sums shared among threads would make the answer depend on how many there are
        if reduction == "pca":
            found, explained = _pca(matrix, seed)
        else:
            found = (_tsne if reduction == "tsne" else _umap)(matrix, seed)
    flat = torch.from_numpy(np.ascontiguousarray(found, dtype=np.float64))
    return Plane(reduction, to_unit_length, scaled.layers, flat.reshape(layers, points, 2), explained)


def _pca(matrix: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], tuple[float, float]]:
    from sklearn.decomposition import PCA

    solver = "full" if min(matrix.shape) <= FULL_SPECTRUM else "arpack"
    count = min(2, *matrix.shape)
    fitted = PCA(count, svd_solver=solver, random_state=seed)
    found = fitted.fit_transform(matrix)
    shares = [float(share) for share in fitted.explained_variance_ratio_]
    if count == 1:
        return np.hstack([found, np.zeros_like(found)]), (shares[0], 0.0)
    return found, (shares[0], shares[1])


def _start(matrix: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
    """Where t-SNE and UMAP start: the first two principal components, the first of deviation 1, and a little noise, so that
    neither stays on a line."""
    found = _pca(matrix, seed)[0]
    noise = np.random.default_rng(seed).normal(scale=1e-4, size=found.shape)
    return (found / found[:, 0].std() + noise).astype(np.float32)


def _tsne(matrix: NDArray[np.float64], seed: int) -> NDArray[Any]:
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(matrix) - 1) / 3)
    start = 1e-4 * _start(matrix, seed)  # the size that van der Maaten's own code starts from
    found = TSNE(2, perplexity=perplexity, init=start, random_state=seed, n_jobs=1)
    return np.asarray(found.fit_transform(matrix))


def _umap(matrix: NDArray[np.float64], seed: int) -> NDArray[Any]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", WITHOUT_TENSORFLOW, ImportWarning)
        from umap import UMAP
    neighbours = min(NEIGHBOURS, len(matrix) - 1)
    found = UMAP(n_neighbors=neighbours, init=_start(matrix, seed), random_state=seed, n_jobs=1)
    return np.asarray(found.fit_transform(matrix))


DECLARED = (
    Declared(
        "drift_explained_variance",
        1,
        "checkpoint",
        "share of variance",
        0.0,
        1.0,
        "Pearson 1901; of all layers' points jointly, as Huang 2024, LessWrong, draws them",
        "none: it describes the points that are drawn",
    ),
)
