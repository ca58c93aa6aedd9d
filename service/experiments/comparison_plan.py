"""What a compare command would do, before any flow starts: a repeated command learns here that nothing is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.errors import BadInput
from service.experiments.compare_networks import USUAL, Comparer, Comparison, Outcome, PairOfNetworks
from service.experiments.progress import tell_waiting
from service.experiments.runs import no_network
from service.networks.checkpoints import CheckpointSource, find_checkpoints
from service.networks.datasets import DEFAULT_SAMPLE, open_dataset
from service.settings import Settings
from service.storage.database import open_store, publish
from service.subjects import Permuted


def asked_comparison(
    measures: Sequence[str] | None, permutations: int, without_top: int, permute: Permuted
) -> Comparison:
    """What a command line or a deployment's parameters ask. Raises UnknownName, BadInput."""
    return Comparison(tuple(measures) if measures else USUAL, permutations, without_top, permute=permute)


def asked_pairs(
    first: str,
    second: str,
    revisions_first: Sequence[str] | None = None,
    revisions_second: Sequence[str] | None = None,
    name_first: str | None = None,
    name_second: str | None = None,
) -> list[PairOfNetworks]:
    """Every checkpoint asked for of the one network with every one of the other; the last of each where none is named.

    Raises UnknownName, NetworkMismatch.
    """
    ends = ((first, revisions_first, name_first), (second, revisions_second, name_second))
    left, right = (_chosen(find_checkpoints(model, wanted or (), name), wanted) for model, wanted, name in ends)
    return [PairOfNetworks(a, b) for a in left for b in right]


def _chosen(found: list[CheckpointSource], wanted: Sequence[str] | None) -> list[CheckpointSource]:
    return found if wanted else found[-1:]


def last_checkpoints(models: Sequence[str]) -> list[CheckpointSource]:
    """The last checkpoint of each model. Raises UnknownName, NetworkMismatch; BadInput for fewer than two."""
    sources = [find_checkpoints(model)[-1] for model in dict.fromkeys(models)]
    if len(sources) < 2:
        raise BadInput(f"networks are set against each other: name two or more; got {len(sources)}")
    return sources


@dataclass(frozen=True)
class ComparisonPlan:
    """The pairs of checkpoints that were asked for on a dataset, and those of them that something is missing of."""

    pairs: tuple[PairOfNetworks, ...]
    todo: tuple[PairOfNetworks, ...]
    dataset: str

    def answer(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        """What was done, for machines, with one `line` for people and the `warnings`."""
        rows, there = sum(one.rows for one in outcomes), len(self.pairs) - len(self.todo)
        done = f"{len(outcomes)} pairs of checkpoints compared, {rows:,} rows" if outcomes else "nothing is missing"
        if len(outcomes) == 1:
            done = f"compared at {outcomes[0].pairs:,} common places, {rows:,} rows"
        already = (
            f"; {there} of {len(self.pairs)} pairs of checkpoints were there already" if there and outcomes else ""
        )
        subject = self.pairs[0].label if len(self.pairs) == 1 else f"{len(self.pairs)} pairs of checkpoints"
        return {
            "first": self.pairs[0].first.checkpoint.model,
            "second": self.pairs[0].second.checkpoint.model,
            "dataset": self.dataset,
            "pairs_of_checkpoints": len(self.pairs),
            "already_compared": there,
            "rows": rows,
            "warnings": sorted({one.warning for one in outcomes if one.warning}),
            "line": f"{subject} on {self.dataset}: {done}{already}",
        }


def plan(
    settings: Settings,
    pairs: Sequence[PairOfNetworks],
    dataset: str,
    window: int | None,
    sample: int | None,
    comparison: Comparison,
) -> ComparisonPlan:
    """What of the pairs is missing; opens the store, loads no network.

    Raises UnknownName, BadInput, StoreBusy, StoreNotMigrated, StoreNotWritable.
    """
    items = open_dataset(dataset, window=window, sample=sample)
    store = open_store(settings.store, settings.lock_wait, tell_waiting)
    comparer = Comparer(store, items, sample or DEFAULT_SAMPLE, comparison, no_network, on_wait=tell_waiting)
    todo = tuple(pair for pair in pairs if comparer.lacks(pair))
    if not todo:
        publish(store, tell_waiting)
    return ComparisonPlan(tuple(pairs), todo, items.dataset.name)
