"""What was found of attributions and of the networks trained without some items, as rows, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import String, bindparam, text

from service.results import NetworkFacts
from service.storage import ledger
from service.storage.attribution_scores import StoredScores
from service.storage.database import OnWait, Store, looking
from service.storage.rows import Run, record_tables, run_row, subject_tables
from service.subjects import Checkpoint, Dataset

KNOWN = text(
    "select a.attribution_id, a.path, a.digest from attribution_runs a join runs r using (run_id) "
    "where a.attribution_id in :asked "
    "qualify row_number() over (partition by a.attribution_id order by r.finished_at desc, run_id desc) = 1"
).bindparams(bindparam("asked", expanding=True, type_=String))
JUDGED = text(
    "select attribution_id, quality, judged_by from attribution_quality where attribution_id in :asked"
).bindparams(bindparam("asked", expanding=True, type_=String))
RETRAINED = text(
    "select removal, removed, seed, checkpoint_id, untrained_checkpoint_id from concept_counterfactuals "
    "where attribution_id = :attribution_id and method = :method"
)


@dataclass(frozen=True)
class Attributed:
    """One attribution: by which `method` the `output` of `members` networks is put down to the items of `dataset`, for which
    `targets`, with gradients brought to so many `dimensions` by which `projection`, and with which `ridge`; where all its
    scores lie, and the items that count most and least as ``rows``."""

    attribution_id: str
    ensemble: str
    members: int
    concept_id: str | None
    output: str
    layer: int | None
    method: str
    dataset: str
    targets: str
    train_items: int
    target_items: int
    parameters: int | None
    dimensions: int | None
    stored: StoredScores
    extremes: tuple[Extreme, ...] = field(default=(), repr=False)
    projection: str | None = None
    ridge: float | None = None

    @property
    def row(self) -> dict[str, Any]:
        """As a row of the table."""
        found = {name: value for name, value in vars(self).items() if name not in ("stored", "extremes")}
        return found | asdict(self.stored)


@dataclass(frozen=True)
class Extreme:
    """A training item among those that count most or least for a target; for the mean over the targets where that is None."""

    target_item: int | None
    side: str
    rank: int
    train_item: int
    score: float
    preview: str | None = None


@dataclass(frozen=True)
class Quality:
    """How good an attribution is by one criterion and what was made for it, with a 95 % interval, over `n` of what the
    criterion counts."""

    attribution_id: str
    quality: str
    judged_by: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    note: str | None = None


@dataclass(frozen=True)
class About:
    """What the networks were trained without items for: the attribution, of which concept at which layer, ranked how; and by
    which probes the concept is judged."""

    attribution_id: str
    ensemble: str
    concept_id: str
    layer: int
    method: str
    positions: str
    folds: int
    probe_seeds: int
    dataset: str


@dataclass(frozen=True)
class Retrained:
    """A network trained again without some items, how well it does what it is trained for, and the checkpoint of the weights
    that its seed starts from."""

    about: About
    removal: str
    removed: int
    train_items: int
    seed: int
    checkpoint_id: str
    accuracy: float | None
    untrained_checkpoint_id: str | None = None

    @property
    def row(self) -> dict[str, Any]:
        """As a row of the table."""
        own = {name: value for name, value in vars(self).items() if name != "about"}
        return vars(self.about) | own


def known_attributions(store: Store, asked: Iterable[str], on_wait: OnWait = None) -> dict[str, StoredScores]:
    """Those of these attributions that are recorded, and where their scores lie. Raises StoreBusy."""
    with looking(store, on_wait) as connection:
        rows = connection.execute(KNOWN, {"asked": list(asked)})
        return {identity: StoredScores(path, digest) for identity, path, digest in rows}


def known_qualities(store: Store, asked: Iterable[str], on_wait: OnWait = None) -> set[tuple[str, str, str]]:
    """What is known of how good these attributions are: (attribution, criterion, judged by). Raises StoreBusy."""
    with looking(store, on_wait) as connection:
        return {(row[0], row[1], row[2]) for row in connection.execute(JUDGED, {"asked": list(asked)})}


def known_retrainings(
    store: Store, attribution_id: str, method: str, on_wait: OnWait = None
) -> set[tuple[str, int, int, str, str | None]]:
    """The trainings without some items that are recorded: (removal, how many, seed, checkpoint, that before its first step).
    Raises StoreBusy."""
    asked = {"attribution_id": attribution_id, "method": method}
    with looking(store, on_wait) as connection:
        return {(row[0], row[1], row[2], row[3], row[4]) for row in connection.execute(RETRAINED, asked)}


def record_attributions(
    store: Store,
    run: Run,
    networks: Sequence[tuple[Checkpoint, NetworkFacts]],
    datasets: Sequence[Dataset],
    found: Sequence[Attributed] = (),
    qualities: Sequence[Quality] = (),
    retrained: Sequence[Retrained] = (),
    on_wait: OnWait = None,
) -> None:
    """Record a run with its networks and all that it found; recording it again changes nothing.

    Raises NetworkMismatch or BadInput where a name stands for something else already, StoreBusy, StoreNotWritable,
    StoreUnreachable, StoreCorrupt.
    """
    own = {"run_id": run.run_id}
    tables: dict[str, Sequence[Mapping[str, Any]]] = {
        **subject_tables(networks, datasets),
        "attribution_runs": [own | one.row for one in found],
        "attributions": [
            own | {"attribution_id": one.attribution_id} | vars(extreme) for one in found for extreme in one.extremes
        ],
        "attribution_quality": [own | vars(one) for one in qualities],
        "concept_counterfactuals": [own | one.row for one in retrained],
        "runs": [run_row(run, run.seconds) | {"dataset": datasets[0].name if datasets else None}],
    }
    arrow = {name: ledger.arrow_table(name, rows) for name, rows in tables.items() if rows}
    record_tables(store, run.run_id, arrow, on_wait)
