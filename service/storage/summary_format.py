"""A summary as the bytes of a Parquet file: one row a sampled token, everything else in the schema's metadata."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from service import __version__
from service.results import LossResult, Moments, NetworkFacts, SampledTokens, Summary
from service.subjects import Checkpoint, Positions, Site

PLACES = ("item_id", "char_end", "token_id", "position")


class Unreadable(ValueError):
    """Bytes that are no whole summary; says what is wrong with them."""


def encode(summary: Summary) -> bytes:
    """The file's bytes; equal summaries give equal bytes."""
    sample, states = summary.sample, summary.states.contiguous()
    points, width = states.shape
    values = pa.array(states.numpy().reshape(-1))
    columns: dict[str, pa.Array] = {name: pa.array(getattr(sample, name).to(torch.int64).numpy()) for name in PLACES}
    columns["special"] = pa.array(sample.special.numpy())
    columns["state"] = pa.FixedSizeListArray.from_arrays(values, width)
    table = pa.table(columns).replace_schema_metadata(_metadata(summary))
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="none",
        use_dictionary=False,
        write_statistics=[*PLACES, "special"],
        write_page_checksum=True,
        row_group_size=max(points, 1),
    )
    return cast(bytes, sink.getvalue().to_pybytes())


def _metadata(summary: Summary) -> dict[str, str]:
    """What is said of the site, for a person with any Parquet reader as much as for `decode`."""
    site = summary.site
    facts: dict[str, Any] = {
        "model": site.checkpoint.model,
        "step": site.checkpoint.step,
        "revision": site.checkpoint.revision,
        "layer": site.layer,
        "stream": site.stream,
        "dataset": site.dataset,
        "dataset_digest": site.dataset_digest,
        "dtype": str(summary.states.dtype).removeprefix("torch."),
        "width": summary.states.shape[1],
        "layer_name": summary.layer_name,
        "hidden_state_index": summary.hidden_state_index,
        "tokens_seen": summary.tokens_seen,
        "non_finite": summary.non_finite,
        "facts": asdict(summary.facts),
        "loss": asdict(summary.loss) if summary.loss else None,
        "moments": {positions: _moments(moments) for positions, moments in summary.moments.items()},
        "code_version": __version__,
    }
    return {f"isoscope.{name}": json.dumps(value) for name, value in facts.items()}


def _moments(moments: Moments) -> dict[str, Any]:
    return {"tokens": moments.tokens, "mean": _as_text(moments.mean), "spectrum": _as_text(moments.spectrum)}


def _as_text(vector: Tensor) -> str:
    """Float64, little-endian, base64: exact to the last bit."""
    return base64.b64encode(vector.to(torch.float64).numpy().astype("<f8").tobytes()).decode()


def _as_vector(text: str) -> Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype="<f8").copy())


def decode(body: bytes) -> Summary:
    """The summary that `encode` was given. Raises Unreadable for anything but a whole, unaltered one."""
    try:
        table = pq.ParquetFile(pa.BufferReader(body), page_checksum_verification=True).read()
        said = _said(table.schema)
        site = _site(said)
        return Summary(
            site=site,
            sample=_sample(table),
            states=_states(table, said["width"]),
            moments={cast(Positions, name): _as_moments(one) for name, one in said["moments"].items()},
            hidden_state_index=said["hidden_state_index"],
            tokens_seen=said["tokens_seen"],
            non_finite=said["non_finite"],
            facts=NetworkFacts(**said["facts"]),
            loss=LossResult(**said["loss"]) if said["loss"] else None,
            layer_name=said.get("layer_name"),
        )
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise Unreadable(str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def _said(schema: pa.Schema) -> dict[str, Any]:
    metadata = schema.metadata or {}
    return {
        key.decode().removeprefix("isoscope."): json.loads(value)
        for key, value in metadata.items()
        if key.startswith(b"isoscope.")
    }


def _site(said: dict[str, Any]) -> Site:
    checkpoint = Checkpoint(said["model"], said["step"], said["revision"])
    return Site(checkpoint, said["dataset"], said["dataset_digest"], said["layer"], said["stream"])


def _sample(table: pa.Table) -> SampledTokens:
    return SampledTokens(*(_column(table, name) for name in (*PLACES, "special")))


def _column(table: pa.Table, name: str) -> Tensor:
    return torch.from_numpy(table[name].to_numpy().copy())


def _states(table: pa.Table, width: int) -> Tensor:
    column = table["state"].combine_chunks()
    values = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    return torch.from_numpy(values.flatten().to_numpy(zero_copy_only=False).reshape(-1, width).copy())


def _as_moments(said: dict[str, Any]) -> Moments:
    return Moments(said["tokens"], _as_vector(said["mean"]), _as_vector(said["spectrum"]))
