"""What is asked of a folder and of an object store alike."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pyarrow import fs

from service.storage import drafts
from service.storage.faults import naming_faults
from service.storage.objects import ObjectPath

Place = Path | ObjectPath


def sizes(place: Place) -> dict[str, int]:
    """Every file below, drafts aside, by its name relative to the place, with its size in bytes."""
    if isinstance(place, ObjectPath):
        return {place.relative(found): found.size for found in place.listing() if found.type == fs.FileType.File}
    found = {}
    for parent, folders, names in os.walk(place):
        folders[:] = [folder for folder in folders if folder != drafts.FOLDER]
        for name in names:
            path = Path(parent, name)
            try:
                found[path.relative_to(place).as_posix()] = path.stat().st_size
            except FileNotFoundError:  # moved or removed since it was listed
                continue
    return found


def folders(place: Place) -> set[str]:
    """The names of the folders just below, drafts aside."""
    if isinstance(place, ObjectPath):
        listed = place.listing(deep=False)
        return {found.base_name for found in listed if found.type == fs.FileType.Directory}
    if not place.is_dir():
        return set()
    return {entry.name for entry in os.scandir(place) if entry.name != drafts.FOLDER and entry.is_dir()}


def put_whole(area: Place, name: str, body: bytes, store: str) -> None:
    """Put a file in its place below an area, whole or not at all; what is there is replaced. `store` is named in the errors.

    Raises StoreNotWritable, StoreUnreachable.
    """
    if isinstance(area, ObjectPath):
        (area / name).write_bytes(body)
        return
    with naming_faults(store):
        drafts.put_whole(area, area / name, body)


def are_files(place: Place, names: Sequence[str]) -> bool:
    """Whether all of these files are there."""
    if isinstance(place, ObjectPath):
        return place.which_are_files(names) == set(names)
    return all((place / name).is_file() for name in names)
