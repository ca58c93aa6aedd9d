"""From what networks say of training items and targets to scores, by any method of attribution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from service.measures.attribution_baselines import gradient_cosine, random_scores, representation_similarity
from service.measures.attribution_quality import (
    DatamodelingScore,
    Detection,
    detection,
    linear_datamodeling_score,
    rank_correlations,
)
from service.measures.trak import (
    TrakMember,
    ensemble_trak_scores,
    self_influence,
    soft_thresholded,
    threshold_keeping,
)
from service.results import ItemFeatures

Pairs = Sequence[tuple[ItemFeatures, ItemFeatures]]  # of training items and of targets, by each network of an ensemble
Numbers = Int[NDArray[np.int64], " items"]
NEIGHBOURS = 10


def trak(
    pairs: Pairs, ridge: float, keep: float | None = None, doubted: bool = True
) -> Float[NDArray[np.float32], "targets items"]:
    """TRAK's scores of an ensemble; `keep` is the share that soft-thresholding leaves. If not `doubted`, all training items are
    as doubtful: what each could teach, not what it still does. Raises BadInput as `trak_scores`."""
    found = ensemble_trak_scores(_members(pairs, doubted), ridge)
    return _numbers(found if keep is None else soft_thresholded(found, threshold_keeping(found, keep)))


def released_trak(pairs: Pairs) -> Float[NDArray[np.float32], "targets items"]:
    """TRAK's scores of an ensemble as the library gives them: no ridge, and every network's inverse evened. Raises BadInput as
    `trak_scores`."""
    return _numbers(ensemble_trak_scores(_members(pairs), evened=True))


def cosines(pairs: Pairs) -> Float[NDArray[np.float32], "targets items"]:
    """The cosine of gradients, its mean over the networks."""
    return _numbers(torch.stack([gradient_cosine(one.gradients, other.gradients) for one, other in pairs]).mean(0))


def similarities(
    pairs: Pairs, labels: Numbers, of_targets: Int[NDArray[np.int64], " targets"]
) -> Float[NDArray[np.float32], "targets items"]:
    """The cosine of centred states, its mean over the networks: for a target that is to be the same, against one that is
    not."""
    same = torch.from_numpy(of_targets)[:, None] == torch.from_numpy(labels)[None]
    found = torch.stack([representation_similarity(one.states, other.states) for one, other in pairs]).mean(0)
    return _numbers(found * torch.where(same, 1.0, -1.0))


def noise(targets: int, items: int, seed: int) -> Float[NDArray[np.float32], "targets items"]:
    """Gaussian scores, which say nothing."""
    return _numbers(random_scores(targets, items, seed))


def half_agreement(pairs: Pairs, ridge: float) -> NDArray[np.float64]:
    """Spearman's correlation over items of TRAK's scores by two halves of the ensemble that share no network, for each target
    whose scores vary; -1 to 1. Raises BadInput."""
    first, second = (trak(pairs[start::2], ridge).T.astype(np.float64) for start in (0, 1))
    found = rank_correlations(first, second)
    return found[np.isfinite(found)]


def suspicion(method: str, features: ItemFeatures, labels: Numbers, ridge: float, seed: int) -> Float[Tensor, " items"]:
    """How much each item looks as if its label were wrong, larger is more: by self-influence; by a gradient that points away
    from those of the same label; by the share of the nearest states that have another label."""
    if method.startswith("trak"):
        doubts = torch.ones_like(features.doubts) if method == "trak-kernel" else features.doubts
        return self_influence(features.gradients, doubts, ridge)
    if method == "random":
        return random_scores(1, len(labels), seed)[0]
    told = torch.from_numpy(labels)
    same = told[:, None] == told[None]
    if method == "gradient-cosine":
        return -(gradient_cosine(features.gradients, features.gradients) * same).sum(1) / same.sum(1)
    alike = representation_similarity(features.states, features.states).fill_diagonal_(-torch.inf)
    nearest = alike.topk(min(NEIGHBOURS, len(labels) - 1), dim=1).indices
    return (~same.gather(1, nearest)).double().mean(1)


def found_wrong(suspicions: Float[Tensor, " items"], wrong: Bool[NDArray[np.bool_], " items"]) -> Detection:
    """How well suspicions find the items that are wrong. Raises BadInput."""
    return detection(suspicions, torch.from_numpy(wrong))


def foretold(
    scores: Float[NDArray[np.float32], "targets items"],
    kept: Bool[NDArray[np.bool_], "networks items"],
    outputs: Sequence[Float[Tensor, " targets"]],
) -> DatamodelingScore:
    """The linear datamodeling score over networks that were trained on the items kept. Raises BadInput, BadShape."""
    return linear_datamodeling_score(torch.from_numpy(scores), torch.from_numpy(kept), torch.stack(list(outputs)))


def _members(pairs: Pairs, doubted: bool = True) -> Iterator[TrakMember]:
    for train, target in pairs:
        doubts = train.doubts if doubted else torch.ones_like(train.doubts)
        yield TrakMember(train.gradients, target.gradients, doubts)


def _numbers(scores: Float[Tensor, "targets items"]) -> Float[NDArray[np.float32], "targets items"]:
    found: NDArray[np.float32] = scores.float().cpu().numpy()
    return found
