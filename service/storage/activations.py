"""Activation summaries: tensors to Parquet and back, one file a site, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.errors import SummaryCorrupt, SummaryMissing
from service.results import Summary
from service.storage import drafts, places
from service.storage.database import Store
from service.storage.faults import naming_faults
from service.storage.objects import ObjectPath
from service.storage.places import Place
from service.storage.summary_format import Unreadable, decode, encode
from service.subjects import Checkpoint, Site, path_name


@dataclass(frozen=True)
class StoredSummary:
    """A summary on disk: `path` lies under the store's ``activations`` folder, `digest` is that of the file's bytes,
    `dtype` the number format that the network computed in."""

    site: Site
    path: str
    points: int
    width: int
    dtype: str
    digest: str

    @property
    def site_id(self) -> str:
        return self.site.site_id


def write_summary(store: Store, summary: Summary) -> StoredSummary:
    """Put a summary in its place, whole, and on the disk.

    A whole summary of the same site by the same network at the same settings is kept as it is, so that two runs at once
    agree on one file; any other file there is replaced. In an object store the last of two writers at once wins.
    Raises StoreNotWritable, StoreUnreachable.
    """
    body, area = encode(summary), store.activations
    if isinstance(area, ObjectPath):
        return _stored(summary, _put(area / summary.site.relative_path, body, summary))
    target = area / summary.site.relative_path
    with naming_faults(store.name), drafts.draft(area, summary.site.site_id) as draft:
        fresh = draft / target.name
        drafts.write_bytes(fresh, body)
        kept = _settle(fresh, target, summary)
    return _stored(summary, body if kept is None else kept)


def _put(target: ObjectPath, body: bytes, summary: Summary) -> bytes:
    """Put a summary into an object store, unless what is there says the same; the bytes that are there now."""
    try:
        there = target.read_bytes()
    except FileNotFoundError:
        there = b""
    if _says_the_same(there, summary):
        return there
    target.write_bytes(body)
    return body


def _settle(fresh: Path, target: Path, summary: Summary) -> bytes | None:
    """Move the draft to its place; the bytes of the file that is there already, if that one is kept."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(fresh, target)
        drafts.sync(target.parent)
        return None
    except FileExistsError:
        there = target.read_bytes()
    except OSError:  # a file system without hard links: the last of two writers wins
        there = target.read_bytes() if target.exists() else b""
    if _says_the_same(there, summary):
        return there
    drafts.move(fresh, target)
    return None


def _says_the_same(body: bytes, summary: Summary) -> bool:
    """Whether a file holds this site, computed by the same network at the same settings from as many tokens."""
    try:
        found = decode(body)
    except Unreadable:
        return False
    return (found.site, found.facts, found.tokens_seen, found.states.shape, found.states.dtype) == (
        summary.site,
        summary.facts,
        summary.tokens_seen,
        summary.states.shape,
        summary.states.dtype,
    )


def _stored(summary: Summary, body: bytes) -> StoredSummary:
    points, width = summary.states.shape
    site = summary.site
    return StoredSummary(site, site.relative_path, points, width, summary.facts.dtype, drafts.digest_of(body))


def read_summary(store: Store, site: Site, digest: str | None = None) -> Summary:
    """The summary of a site as it was written. `digest`, where given, must be that of the file.

    Raises SummaryMissing, SummaryCorrupt.
    """
    path = store.activations / site.relative_path
    place = f"{site.checkpoint.label} layer {site.layer} on {site.dataset}"
    try:
        body = path.read_bytes()
    except FileNotFoundError as error:
        raise SummaryMissing(
            f"no activation summary of {place}: {path} is not there; restore it from a backup"
        ) from error
    except OSError as error:
        raise SummaryCorrupt(f"the summary of {place} cannot be read: {error.strerror} ({path})") from error
    if digest is not None and drafts.digest_of(body) != digest:
        raise SummaryCorrupt(f"the summary of {place} is not the one that was recorded: {path} was altered; restore it")
    try:
        summary = decode(body)
    except Unreadable as error:
        raise SummaryCorrupt(
            f"the summary of {place} cannot be read ({error}): restore {path}, or delete it"
        ) from error
    if summary.site != site:
        raise SummaryCorrupt(f"{path} is a summary of {summary.site.checkpoint.label}, not of {place}: restore it")
    return summary


def stored_sites(store: Store, checkpoint: Checkpoint, dataset: str, digest: str) -> list[StoredSummary]:
    """The whole, readable summaries of a checkpoint on the dataset with that content digest, by depth, recorded or not.

    A run that was killed after writing them finds them here; half-written and damaged ones are left out.
    """
    step = "none" if checkpoint.step is None else str(checkpoint.step)
    folder = store.activations / f"model={path_name(checkpoint.model)}/step={step}/dataset={path_name(dataset)}"
    found = [_found(folder / name) for name in sorted(places.sizes(folder)) if name.endswith(".parquet")]
    asked = (checkpoint, dataset, digest)
    return sorted(
        (one for one in found if one and (one.site.checkpoint, one.site.dataset, one.site.dataset_digest) == asked),
        key=lambda stored: stored.site.layer,
    )


def are_there(store: Store, sites: Sequence[Site]) -> bool:
    """Whether every one of these sites has its summary in place; reads none of them."""
    return places.are_files(store.activations, [site.relative_path for site in sites])


def _found(path: Place) -> StoredSummary | None:
    try:
        body = path.read_bytes()
        return _stored(decode(body), body)
    except (OSError, Unreadable):
        return None
