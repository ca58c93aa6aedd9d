"""Attribution scores: one Parquet file an attribution, every target by every training item, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from service.errors import SummaryCorrupt, SummaryMissing
from service.storage import drafts, places
from service.storage.store import Store

COLUMNS = ("target_item", "train_item", "score")


@dataclass(frozen=True, eq=False)
class Scores:
    """`values[t, i]` says how much training item `train_items[i]` counts for target `target_items[t]`; larger is more, and
    they have a scale of their own."""

    target_items: NDArray[np.int64]
    train_items: NDArray[np.int64]
    values: NDArray[np.float32]

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean over the targets, one value a training item."""
        found: NDArray[np.float64] = self.values.mean(axis=0, dtype=np.float64)
        return found

    @property
    def magnitude(self) -> NDArray[np.float64]:
        """The mean size over the targets, whatever the sign: what an item that helps some targets and hinders others comes
        to."""
        found: NDArray[np.float64] = np.abs(self.values).mean(axis=0, dtype=np.float64)
        return found


@dataclass(frozen=True)
class StoredScores:
    """Where a file of scores lies below the store, and the digest of its bytes."""

    path: str
    digest: str


def write_scores(store: Store, name: str, scores: Scores, about: Mapping[str, Any] | None = None) -> StoredScores:
    """Put scores into the store under a name and the digest of what they are. Raises StoreNotWritable, StoreUnreachable."""
    body = _encoded(scores, about or {})
    digest = drafts.digest_of(body)
    stored = StoredScores(f"{name}-{digest[:8]}.parquet", digest)
    places.put_whole(store.attributions, stored.path, body, store.name)
    return stored


def _encoded(scores: Scores, about: Mapping[str, Any]) -> bytes:
    targets, items = len(scores.target_items), len(scores.train_items)
    table = pa.table(
        {
            "target_item": np.repeat(scores.target_items, items),
            "train_item": np.tile(scores.train_items, targets),
            "score": scores.values.astype(np.float32).reshape(-1),
        }
    ).replace_schema_metadata({f"isoscope.{key}": str(value) for key, value in about.items()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=["target_item", "train_item"])
    found: bytes = sink.getvalue().to_pybytes()
    return found


def read_scores(store: Store, path: str, digest: str) -> Scores:
    """Scores as they were written. Raises SummaryMissing, SummaryCorrupt."""
    place = store.attributions / path
    try:
        body = place.read_bytes()
    except FileNotFoundError as error:
        raise SummaryMissing(
            f"no attribution scores at {place}: restore them from a backup, or attribute again"
        ) from error
    if drafts.digest_of(body) != digest:
        raise SummaryCorrupt(f"the attribution scores at {place} are not those that were recorded: restore them")
    table = pq.read_table(pa.BufferReader(body))
    targets, train, values = (table[name].to_numpy() for name in COLUMNS)
    items = int((targets == targets[0]).sum())  # the rows of one target follow one another
    return Scores(targets[::items].copy(), train[:items].copy(), values.reshape(-1, items).copy())


def are_there(store: Store, stored: Iterable[StoredScores]) -> bool:
    """Whether the files of all these scores are in their places."""
    return places.are_files(store.attributions, [one.path for one in stored])


def extremes(scores: NDArray[np.float64], items: Sequence[int], count: int) -> dict[str, list[tuple[int, float]]]:
    """The `count` items with the largest scores and those with the smallest, best first; ties by the item's number."""
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], items[place]))
    most = [(items[place], float(scores[place])) for place in order[:count]]
    least = [(items[place], float(scores[place])) for place in order[::-1][:count]]
    return {"most": most, "least": least}
