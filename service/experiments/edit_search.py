"""Which edits are tried to choose a method's settings, and for which layer they choose them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.experiments.edit_bench import Bench
from service.experiments.edit_grid import IN_ONE_LAYER, Grid
from service.storage.edit_coverage import Score
from service.subjects import Edit, EditMethod, content_id

SEARCHED_LAYERS = 4  # among which a search chooses where nobody says how many are edited
FEWEST_TRIED = 2  # by a search of its own


@dataclass(frozen=True)
class Search:
    """Edits of a method that are tried, to choose its settings; the first has the usual ones."""

    method: EditMethod
    tried: tuple[Edit, ...]

    @property
    def search_id(self) -> str:
        """16 hex digits over all that is tried."""
        return content_id("edit search", [one.edit_id for one in self.tried])

    @property
    def usual(self) -> Edit:
        """The edit with the method's usual settings."""
        return self.tried[0]

    def best(self, scores: Mapping[str, Score]) -> Edit:
        """The edit that was worth most on the validation cases, of equals the one of the fewest steps; the usual one where it
        is worth as much to within a standard error of the best, for then noise would decide. `scores` are by the edits' ids."""
        best = max(self.tried, key=lambda edit: (scores[edit.edit_id].value, -edit.steps))
        most = scores[best.edit_id]
        return self.usual if scores[self.usual.edit_id].value >= most.value - most.std_error else best


def searches_of(
    grid: Grid, bench: Bench, method: EditMethod, edits: Callable[[str | None], Sequence[Edit]]
) -> list[Search]:
    """The searches of one method, whose `edits` at a layer are asked for by its name; none where no layer can be edited so.

    Layers that will be edited have each a search of its own where the budget lets it try as few as `FEWEST_TRIED`, else one of
    them has all of it. Where one layer is edited that nobody named, the search chooses it too. Raises BadInput, UnknownName.
    """
    chooses = grid.layers is None and grid.where == 1 and method in IN_ONE_LAYER
    layers = grid.places(method, bench.layers(method, grid.layers, SEARCHED_LAYERS if chooses else grid.where))
    fitting = {layer: found for layer in layers if (found := [edit for edit in edits(layer) if bench.fits(edit)])}
    if not fitting:
        return []
    middle = layers[len(layers) // 2]
    if chooses or grid.budget < FEWEST_TRIED * len(fitting):
        fitting = {layer: fitting[layer] for layer in [middle if middle in fitting else next(iter(fitting))]}
    budget = grid.budget // len(fitting)
    usual = [found[len(found) // 2] for found in fitting.values()]
    where = layers if chooses else ()
    return [Search(method, tuple(grid.tried(edit, where or [edit.layer], budget, bench.fits))) for edit in usual]


def liked(best: Sequence[Edit], layer: str | None) -> Edit | None:
    """What a search of that layer found best, else what that of another did; None where nothing was searched for."""
    return next((edit for edit in best if edit.layer == layer), best[0] if best else None)
