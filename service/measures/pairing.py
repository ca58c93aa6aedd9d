"""The same places of the same texts in two networks, and clouds without their top principal components."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.errors import BadInput
from service.measures.centred import centred_points
from service.results import SampledTokens
from service.subjects import Positions


def common_places(
    a: SampledTokens, b: SampledTokens, positions: Positions = "all"
) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
    """Rows of the one sample and rows of the other that end a token at the same place, in the order of the texts.

    An inner join on (item_id, char_end). A place that several tokens of one network share (special tokens, bytes of one
    character) is left out: nobody could say which of them belongs to the other's token. A pair is kept where the filter keeps
    both of its tokens.
    """
    longest = 1 + max([int(one.char_end.max()) for one in (a, b) if len(one.char_end)], default=0)
    places, rows = [], []
    for sample in (a, b):
        place = sample.item_id * longest + sample.char_end
        kept, inverse, counts = place.unique(return_inverse=True, return_counts=True)
        first = torch.empty(len(kept), dtype=torch.int64).scatter_(0, inverse, torch.arange(len(place)))
        alone = (counts == 1) & sample.keep(positions)[first]
        places.append(kept[alone])
        rows.append(first[alone])
    shared = torch.isin(places[0], places[1])
    partner = torch.searchsorted(places[1], places[0][shared])
    return rows[0][shared], rows[1][partner]


def without_top(points: Float[Tensor, "points width"], count: int) -> Float[Tensor, "points width"]:
    """The centred points less their part along the top `count` principal components. Raises BadInput below 0.

    Few dominant components (massive activations, frequent tokens) can make all layers of a network look alike.
    """
    if count < 0:
        raise BadInput(f"the number of principal components taken out is 0 or more; got {count}")
    if count == 0:
        return points
    centred = centred_points(points)
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -count:]
    return (centred - centred @ axes @ axes.T).to(points.dtype)
