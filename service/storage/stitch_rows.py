"""What was found of stitched networks, as rows of the ledger and the database, and what is known of them already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import text

from service.results import NetworkFacts, StitchResult
from service.storage import ledger
from service.storage.database import OnWait, Store, looking
from service.storage.rows import Run, record_tables, run_row, subject_tables
from service.subjects import Checkpoint, Dataset

KNOWN = text(
    "select map, steps, converged from stitches where checkpoint_a = :first and checkpoint_b = :second and layer_a = :layer_a "
    "and layer_b = :layer_b and dataset = :dataset"
)
OF_RESULT = ("map", "layer_a", "layer_b")
JUDGED = (
    "steps",
    "loss",
    "loss_of_b",
    "penalty",
    "penalty_std_error",
    "accuracy",
    "accuracy_of_b",
    "accuracy_std_error",
    "converged",
    "tokens",
    "windows",
    "note",
)


class KnownMap(NamedTuple):
    """A map that is recorded, the steps it was trained for, and whether it had converged, None where it was not trained."""

    map: str
    steps: int
    converged: bool | None


@dataclass(frozen=True, eq=False)
class Stitched:
    """One run on a pair of layers: the two checkpoints, of which the first gives the bottom, and what each map came to."""

    run: Run
    ends: tuple[tuple[Checkpoint, NetworkFacts], tuple[Checkpoint, NetworkFacts]]
    dataset: Dataset
    results: Sequence[StitchResult]


def stitched_maps(
    store: Store, first: str, second: str, layers: tuple[int, int], dataset: str, on_wait: OnWait = None
) -> set[KnownMap]:
    """The maps recorded between two layers of two checkpoints. Raises StoreBusy."""
    asked = {"first": first, "second": second, "layer_a": layers[0], "layer_b": layers[1], "dataset": dataset}
    with looking(store, on_wait) as connection:
        return {KnownMap(*row) for row in connection.execute(KNOWN, asked)}


def record_stitches(store: Store, found: Stitched, on_wait: OnWait = None) -> None:
    """Record a run with its networks, its maps and their curves; recording it again changes nothing.

    Raises NetworkMismatch or BadInput where a name stands for something else already, StoreBusy, StoreNotWritable,
    StoreUnreachable, StoreCorrupt.
    """
    tables = stitch_tables(found)
    arrow = {name: ledger.arrow_table(name, rows) for name, rows in tables.items() if rows}
    record_tables(store, found.run.run_id, arrow, on_wait)


def stitch_tables(found: Stitched) -> dict[str, Sequence[Mapping[str, Any]]]:
    """The rows of a run, by table."""
    (first, _), (second, _) = found.ends
    shared = {
        "checkpoint_a": first.checkpoint_id,
        "checkpoint_b": second.checkpoint_id,
        "dataset": found.dataset.name,
        "run_id": found.run.run_id,
    }
    about = {"checkpoint_id": first.checkpoint_id, "dataset": found.dataset.name}
    return {
        **subject_tables(found.ends, [found.dataset]),
        "stitches": [shared | _columns(one, OF_RESULT + JUDGED) for one in found.results],
        "stitch_curves": [
            shared | _columns(one, OF_RESULT) | vars(point) for one in found.results for point in one.curve
        ],
        "runs": [run_row(found.run, found.run.seconds) | about],
    }


def _columns(result: StitchResult, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(result, name) for name in names}
