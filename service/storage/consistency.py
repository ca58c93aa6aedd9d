"""Whether rows and files agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text

from service.storage import drafts, feeding, ledger, places
from service.storage.database import Store, is_published, looking
from service.storage.places import Place

# an edit that was fitted again has one file, that of the newest run
DELTAS = text(
    "select path, digest from edits join runs using (run_id) where path is not null "
    "qualify row_number() over (partition by path order by finished_at desc, run_id desc) = 1 order by path"
)
ProblemKind = Literal[
    "missing file",
    "orphaned file",
    "digest changed",
    "half-written draft",
    "not in the database",
    "not in the ledger",
    "unreadable ledger",
    "published is old",
]


@dataclass(frozen=True)
class Problem:
    """One disagreement: its kind, the file or run that it is about, and what to do."""

    kind: ProblemKind
    subject: str
    what: str


def check(store: Store) -> list[Problem]:
    """Every disagreement between the database, the summaries, the ledger and the published copy; changes nothing.

    Raises StoreBusy, StoreCorrupt.
    """
    with looking(store) as connection:
        rows = connection.execute(text("select path, digest from activations order by path")).all()
        scores = connection.execute(text("select distinct path, digest from attribution_runs order by path")).all()
        deltas = connection.execute(DELTAS).all()
        runs = feeding.recorded_runs(connection)
        published = is_published(store)
    problems = [
        *_files(store.activations, {row.path: row.digest for row in rows}, "summary"),
        *_files(store.attributions, {row.path: row.digest for row in scores}, "file of scores"),
        *_files(store.edits, {row.path: row.digest for row in deltas}, "change of weights", ".safetensors"),
        *_drafts(store),
        *_ledger(store, runs),
    ]
    if not published:
        what = "readers see an older copy, or none: any `isoscope shape` command publishes"
        problems.append(Problem("published is old", store.published.name, what))
    return problems


def _files(area: Place, recorded: dict[str, str], what: str, suffix: str = ".parquet") -> Iterator[Problem]:
    found = {path for path in places.sizes(area) if path.endswith(suffix)}
    for path, digest in recorded.items():
        if path not in found:
            yield Problem("missing file", path, f"the {what} was recorded and is gone: restore it")
        elif drafts.digest_of((area / path).read_bytes()) != digest:
            yield Problem("digest changed", path, f"the {what} is not the one that was recorded: restore it")
    for path in sorted(found - recorded.keys()):
        yield Problem("orphaned file", path, "no run recorded it: the same command adopts it, or delete it")


def _drafts(store: Store) -> Iterator[Problem]:
    for area in store.draft_areas:
        for draft in drafts.stale(area):
            subject = draft.relative_to(store.root).as_posix()
            yield Problem("half-written draft", subject, "its writer died: the next command removes it")


def _ledger(store: Store, recorded: set[str]) -> Iterator[Problem]:
    unfinished, there = ledger.unfinished(store.ledger, recorded), ledger.run_ids(store.ledger)
    held = (there & recorded) | ledger.whole(store.ledger, there - recorded)
    for part in unfinished:
        yield Problem("half-written draft", part.path, "its writer died: the next command removes it")
    for run_id in sorted(held - recorded):
        yield Problem(
            "not in the database", run_id, "its writer died before the database had it: the next command adds it"
        )
    for run_id in sorted(recorded - held):
        yield Problem("not in the ledger", run_id, "a rebuild would lose this run: restore its folder of the ledger")
    for run_id in sorted(held):
        if fault := ledger.fault(store.ledger, run_id):
            yield Problem("unreadable ledger", run_id, fault)
