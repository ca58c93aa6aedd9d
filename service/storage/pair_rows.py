"""What was found of two networks together, as rows of the ledger and the database, and what is known of them already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import text

from service.results import PairResult
from service.storage.database import OnWait, Store, looking
from service.subjects import Permuted

KNOWN = text(
    "select distinct p.measure, p.version, p.variant from pair_metrics p "
    "join activations a on a.site_id = p.site_a join activations b on b.site_id = p.site_b "
    "where a.checkpoint_id = :first and b.checkpoint_id = :second and a.dataset = :dataset and b.dataset = :dataset "
    "and p.permutations >= :permutations and coalesce(p.permuted, 'points') = :permuted"
)


def compared(
    store: Store,
    first: str,
    second: str,
    dataset: str,
    permutations: int,
    permuted: Permuted,
    on_wait: OnWait = None,
) -> set[tuple[str, int, str]]:
    """What is recorded of two checkpoints on a dataset with as many permutations of that kind or more: (measure, version,
    variant).

    A run is recorded whole, so that what has one row has all. Raises StoreBusy.
    """
    asked: dict[str, object] = {"first": first, "second": second, "dataset": dataset, "permutations": permutations}
    asked["permuted"] = permuted
    with looking(store, on_wait) as connection:
        return {tuple(row) for row in connection.execute(KNOWN, asked)}


def pair_rows(
    results: Iterable[PairResult], permutations: int, permuted: Permuted = "items"
) -> Sequence[Mapping[str, Any]]:
    """Results as rows of ``pair_metrics``, but for the run; `permutations` is how many were asked for, `permuted` of what."""
    return [_row(result, permutations, permuted) for result in results]


def _row(result: PairResult, permutations: int, permuted: Permuted) -> dict[str, Any]:
    estimate, null = result.estimate, result.null
    return {
        "site_a": result.site_a,
        "site_b": result.site_b,
        "measure": result.measure,
        "version": result.version,
        "variant": result.variant,
        "value": estimate.value,
        "std_error": estimate.std_error,
        "null_mean": null.mean if null else None,
        "null_std": null.std if null else None,
        "z": null.z if null else None,
        "p": null.p if null else None,
        "permutations": permutations,
        "pairs": estimate.n_used + estimate.n_dropped,
        "note": estimate.note,
        "permuted": permuted,
    }
