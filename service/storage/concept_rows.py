"""What is recorded of concepts: which probes were fitted, which networks form ensembles, and which of them were compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from service.storage import ledger
from service.storage.database import OnWait, Store, looking
from service.storage.rows import Run, record_tables, run_row
from service.subjects import Concept

Rows = Sequence[Mapping[str, Any]]
FITTED = text(
    "select concept_id, p.penalty, a.layer, p.seed from concept_probes p join activations a using (site_id) "
    "where labels = 'real' and p.checkpoint_id = :checkpoint_id and positions = :positions and folds = :folds"
)
MEMBERSHIPS = text("select distinct concept_id, ensemble from concept_ensembles where checkpoint_id = :checkpoint_id")
COMPARED = text(
    "select other_concept_id, checkpoint_a, checkpoint_b, layer, seed_a from concept_agreements where between = :between "
    "and concept_id = :concept_id and ensemble is not distinct from cast(:ensemble as varchar) and positions = :positions "
    "and folds = :folds"
)


@dataclass(frozen=True)
class Known:
    """What is recorded of one concept at one checkpoint: `fitted` as (penalty, layer, seed), and its `ensembles`."""

    fitted: set[tuple[str, int, int]] = field(default_factory=set)
    ensembles: set[str] = field(default_factory=set)


def known_of(
    store: Store, checkpoint_id: str, positions: str, folds: int, on_wait: OnWait = None
) -> defaultdict[str, Known]:
    """What is recorded of each concept at a checkpoint under a position filter, with so many folds, by the concept's id; from
    one look at the database. Raises StoreBusy."""
    asked = {"checkpoint_id": checkpoint_id}
    known: defaultdict[str, Known] = defaultdict(Known)
    with looking(store, on_wait) as connection:
        for concept_id, *fit in connection.execute(FITTED, {**asked, "positions": positions, "folds": folds}):
            known[concept_id].fitted.add(tuple(fit))
        for concept_id, ensemble in connection.execute(MEMBERSHIPS, asked):
            known[concept_id].ensembles.add(ensemble)
    return known


def compared(
    store: Store,
    between: str,
    concept_id: str,
    ensemble: str | None,
    positions: str,
    folds: int,
    on_wait: OnWait = None,
) -> set[tuple[str | None, str, str, int, int]]:
    """The pairs of probes that were compared, as (other concept, checkpoint, checkpoint, layer, seed). Raises StoreBusy."""
    asked = {"between": between, "concept_id": concept_id, "ensemble": ensemble, "positions": positions, "folds": folds}
    with looking(store, on_wait) as connection:
        return {tuple(row) for row in connection.execute(COMPARED, asked)}


def record_probes(
    store: Store,
    run: Run,
    concept: Concept,
    tables: Mapping[str, Rows],
    checkpoint_id: str | None = None,
    on_wait: OnWait = None,
) -> None:
    """Record a run on a concept, at one checkpoint or at several: rows by table, without the columns that all share.

    Raises StoreBusy, StoreNotWritable, StoreUnreachable, StoreCorrupt.
    """
    shared = {"checkpoint_id": checkpoint_id, "concept_id": concept.concept_id, "run_id": run.run_id}
    about = {"checkpoint_id": checkpoint_id, "dataset": concept.dataset}
    found: dict[str, Rows] = {name: [shared | dict(row) for row in rows] for name, rows in tables.items() if rows}
    found |= {"concepts": [concept_row(concept)], "runs": [run_row(run, run.seconds) | about]}
    record_tables(store, run.run_id, {name: ledger.arrow_table(name, rows) for name, rows in found.items()}, on_wait)


def concept_row(concept: Concept) -> dict[str, Any]:
    """What the table of concepts holds of one."""
    return {
        "concept_id": concept.concept_id,
        "concept": concept.name,
        "definition": concept.definition,
        "dataset": concept.dataset,
        "labels_digest": concept.labels_digest,
        "items": concept.items,
        "positives": concept.positives,
    }
