"""Which items a probe does not see: whole items held out, and labels shuffled over them."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from service.errors import BadShape


def held_out(
    items: Int[Tensor, " points"], labels: Bool[Tensor, " points"], seed: int, folds: int
) -> Bool[Tensor, " points"]:
    """The points of the items that a seed holds out, one of `folds` parts of all items.

    Seeds 0 to folds - 1 are the parts of one shuffle, so that together they test every item once; the next `folds` those of
    the next. Items with a positive point are dealt out evenly, and so are those without.
    Raises BadShape where fewer items than folds have a positive point, or a negative one.
    """
    known, owner = items.unique(return_inverse=True)
    positive = _has(owner, labels, len(known))
    for kind, some in (("positive", positive), ("negative", _has(owner, ~labels, len(known)))):
        if int(some.sum()) < folds:
            raise BadShape(
                f"{int(some.sum())} of {len(known)} items have a {kind} point; {folds} folds need {folds}: "
                "give a smaller --folds, more texts, or another concept"
            )
    order = torch.randperm(len(known), generator=torch.Generator().manual_seed(seed // folds))
    dealt = torch.cat([order[positive[order]], order[~positive[order]]])
    return torch.isin(owner, dealt[seed % folds :: folds])


def _has(owner: Int[Tensor, " points"], wanted: Bool[Tensor, " points"], items: int) -> Bool[Tensor, " items"]:
    return torch.bincount(owner[wanted], minlength=items) > 0


def shuffled(
    labels: Bool[Tensor, " points"], items: Int[Tensor, " points"], held: Bool[Tensor, " points"], seed: int
) -> Bool[Tensor, " points"]:
    """The labels of the control task: where each item has one label they change places among items, else among points; the
    held-out ones among themselves, so that both parts keep their share of positives.

    What a probe reaches on them owes nothing to the concept.
    Source: Hewitt and Liang 2019, Designing and Interpreting Probes with Control Tasks, section 2
    """
    draw, mixed = torch.Generator().manual_seed(seed), labels.clone()
    whole = _one_each(labels, items)
    for part in (~held, held):
        owner = items[part].unique(return_inverse=True)[1] if whole else torch.arange(int(part.sum()))
        count = int(owner.max()) + 1 if len(owner) else 0
        own = torch.zeros(count, dtype=torch.bool)
        own[owner] = labels[part]
        mixed[part] = own[torch.randperm(count, generator=draw)][owner]
    return mixed


def _one_each(labels: Bool[Tensor, " points"], items: Int[Tensor, " points"]) -> bool:
    """Whether all points of each item have one label."""
    known, owner = items.unique(return_inverse=True)
    return not bool((_has(owner, labels, len(known)) & _has(owner, ~labels, len(known))).any())
