"""Files are written under a draft name and moved to their place whole.

A draft is a folder under ``.drafts`` that its writer holds under ``flock``: one that nobody holds was left by a dead
writer.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = ".drafts"


@contextmanager
def draft(area: Path, name: str) -> Iterator[Path]:
    """A folder to write in, on the same disk as `area`; whatever is left in it goes when the block ends."""
    folder, descriptor = _held_folder(area / FOLDER, name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _held_folder(drafts: Path, name: str) -> tuple[Path, int]:
    """A new folder and the descriptor that holds it; made again if a tidier took it between the two."""
    while True:
        drafts.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=drafts))
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.exists():
            return folder, descriptor
        os.close(descriptor)


@contextmanager
def _orphaned(folder: Path) -> Iterator[bool]:
    """Whether nobody holds the draft; while the block runs nobody else can take it up."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        orphaned = True
    except BlockingIOError:
        orphaned = False
    try:
        yield orphaned
    finally:
        os.close(descriptor)


def _all(area: Path) -> list[Path]:
    drafts = area / FOLDER
    return sorted(drafts.iterdir()) if drafts.is_dir() else []


def stale(area: Path) -> list[Path]:
    """The drafts of `area` whose writers are dead."""
    found = []
    for folder in _all(area):
        with _orphaned(folder) as orphaned:
            found += [folder] if orphaned else []
    return found


def tidy(area: Path) -> None:
    """Remove the drafts of dead writers; those of living ones stay."""
    for folder in _all(area):
        with _orphaned(folder) as orphaned:
            if orphaned:
                shutil.rmtree(folder, ignore_errors=True)


def write_bytes(path: Path, body: bytes | memoryview) -> None:
    """Write a file and have it on the disk before returning."""
    with open(path, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def digest_of(body: bytes) -> str:
    """32 hex digits of a file's bytes."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def put_whole(area: Path, target: Path, body: bytes) -> None:
    """Put a file in its place whole, by way of a draft on the same disk; what is there is replaced."""
    with draft(area, target.stem) as folder:
        write_bytes(folder / target.name, body)
        move(folder / target.name, target)


def sync(path: Path) -> None:
    """Have a file's content, or a folder's list of names, on the disk before returning."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move(source: Path, target: Path) -> None:
    """Give a finished draft its place and its name, replacing what was there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)
    sync(target.parent)
