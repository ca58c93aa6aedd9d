"""The directions of linear probes: one Parquet a run under ``probes``, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float
from torch import Tensor

from service import __version__
from service.errors import SummaryCorrupt, SummaryMissing
from service.storage import drafts, places
from service.storage.database import Store
from service.storage.faults import naming_faults
from service.storage.places import Place
from service.subjects import Checkpoint, Concept, content_id, path_name

FIELDS = pa.schema(
    [
        pa.field("layer", pa.int32()),
        pa.field("stream", pa.string()),
        pa.field("seed", pa.int32()),
        pa.field("weights", pa.list_(pa.float32())),
        pa.field("bias", pa.float64()),
    ]
)


@dataclass(frozen=True, eq=False)
class Direction:
    """The probe of one seed at one layer: the margin of a raw state x is ``weights @ x + bias``, above 0 for yes."""

    layer: int
    stream: str
    seed: int
    weights: Float[Tensor, " width"]
    bias: float


def write_directions(
    store: Store, checkpoint: Checkpoint, concept: Concept, positions: str, folds: int, found: Sequence[Direction]
) -> None:
    """Put the directions of a run in their place. Raises StoreNotWritable, StoreUnreachable."""
    fitted = sorted((one.layer, one.seed) for one in found)
    name = content_id("directions", checkpoint.checkpoint_id, concept.concept_id, positions, folds, fitted)
    said = _said(checkpoint, concept, positions, folds)
    body, target = _encoded(found, said), _folder(store, checkpoint, concept) / f"{name}.parquet"
    if not isinstance(target, Path):
        target.write_bytes(body)
        return
    with naming_faults(store.name):
        drafts.put_whole(store.root, target, body)


def read_directions(
    store: Store, checkpoint: Checkpoint, concept: Concept, positions: str = "all", folds: int = 5
) -> dict[int, list[Direction]]:
    """The L2 probes of a concept at a checkpoint, by layer, each layer's by seed.

    Raises SummaryMissing where there are none, SummaryCorrupt.
    """
    found = {(one.layer, one.seed): one for one in _directions(store, checkpoint, concept, positions, folds)}
    if not found:
        raise SummaryMissing(
            f"no probe directions of {concept.name!r} at {checkpoint.label} on {concept.dataset} ({positions} tokens, "
            f"{folds} folds): run `isoscope probe`"
        )
    by_layer: dict[int, list[Direction]] = {}
    for layer, seed in sorted(found):
        by_layer.setdefault(layer, []).append(found[layer, seed])
    return by_layer


def stored_directions(
    store: Store, checkpoint: Checkpoint, concept: Concept, positions: str, folds: int
) -> set[tuple[int, int]]:
    """The (layer, seed) whose directions are there. Raises SummaryCorrupt."""
    return {(one.layer, one.seed) for one in _directions(store, checkpoint, concept, positions, folds)}


def _directions(
    store: Store, checkpoint: Checkpoint, concept: Concept, positions: str, folds: int
) -> Iterator[Direction]:
    folder, asked = _folder(store, checkpoint, concept), _said(checkpoint, concept, positions, folds)
    for name in sorted(places.sizes(folder)):
        if name.endswith(".parquet"):
            yield from _decoded(folder / name, asked)


def _folder(store: Store, checkpoint: Checkpoint, concept: Concept) -> Place:
    step = "none" if checkpoint.step is None else str(checkpoint.step)
    parts = {"model": checkpoint.model, "step": step, "dataset": concept.dataset, "concept": concept.name}
    place = store.probes
    for key, value in parts.items():
        place = place / f"{key}={path_name(value)}"
    return place


def _said(checkpoint: Checkpoint, concept: Concept, positions: str, folds: int) -> dict[str, Any]:
    """What a file says of itself; files that say something else lie beside it."""
    return {
        "model": checkpoint.model,
        "step": checkpoint.step,
        "revision": checkpoint.revision,
        "dataset": concept.dataset,
        "concept": concept.name,
        "concept_id": concept.concept_id,
        "definition": concept.definition,
        "positions": positions,
        "folds": folds,
        "penalty": "l2",
    }


def _encoded(found: Sequence[Direction], said: dict[str, Any]) -> bytes:
    rows = [vars(one) | {"weights": one.weights.float().cpu().numpy()} for one in found]
    metadata = {f"isoscope.{key}": json.dumps(value) for key, value in said.items()}
    metadata["isoscope.code_version"] = json.dumps(__version__)
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows, schema=FIELDS.with_metadata(metadata))
    pq.write_table(table, sink, compression="none", use_dictionary=False, write_page_checksum=True)
    return cast(bytes, sink.getvalue().to_pybytes())


def _decoded(path: Place, asked: dict[str, Any]) -> list[Direction]:
    """The directions of a file, none if it says something else of itself than is asked."""
    try:
        body = pa.BufferReader(path.read_bytes())
        table = pq.ParquetFile(body, page_checksum_verification=True).read()
        held = {
            key.decode(): json.loads(value)
            for key, value in (table.schema.metadata or {}).items()
            if b"isoscope" in key
        }
        if any(held[f"isoscope.{key}"] != value for key, value in asked.items()):
            return []
        rows = table.to_pylist()
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise SummaryCorrupt(f"the probe directions in {path} cannot be read ({reason}): delete the file") from error
    return [Direction(**{**row, "weights": torch.tensor(row["weights"])}) for row in rows]
