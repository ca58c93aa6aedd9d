"""Which checkpoint folders are whole: everything that loading needs is there, to the last byte."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from service.networks.folders import is_checkpoint, step_of_name

Snapshot = tuple[tuple[str, int, int], ...]
LONGEST_HEADER = 100_000_000  # bytes, as safetensors itself allows


def training_checkpoints(root: Path) -> list[Path]:
    """The folders in `root` that are named for a step, by step; also those that are still being written."""
    named = [(step_of_name(path.name), path) for path in root.iterdir() if path.is_dir()]
    return [path for _, path in sorted((step, path) for step, path in named if step is not None)]


def snapshot(path: Path) -> Snapshot:
    """Name, size and time of writing of a file, or of every file of a folder: equal while nobody writes there."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    found = [(file.name, file.stat()) for file in files if file.is_file()]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)


def lacking(folder: Path) -> str | None:
    """What a checkpoint's folder still lacks, None where it is whole.

    Each safetensors file has to be as long as its own header says, and every file that an index names has to be there.
    """
    if not is_checkpoint(folder) or _json(folder / "config.json") is None:
        return "config.json is not there, or not whole"
    weights = {path.name: path for path in folder.glob("*.safetensors")}
    indices = sorted(folder.glob("*.safetensors.index.json"))
    if not weights:
        return "there are no safetensors weights"
    if not indices and any("-of-" in name for name in weights):
        return "the index of its shards is not there"
    for index in indices:
        named = (_json(index) or {}).get("weight_map")
        if not isinstance(named, dict):
            return f"{index.name} is not whole"
        absent = sorted(set(named.values()) - set(weights))
        if absent:
            return f"{absent[0]} is not there"
    return next((said for path in sorted(weights.values()) if (said := _shortfall(path))), None)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _shortfall(path: Path) -> str | None:
    """What a safetensors file lacks: its first eight bytes tell the length of its header, which tells where tensors end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        header = file.read(length) if 0 < length <= min(size, LONGEST_HEADER) else b""
    try:
        tensors = [entry for name, entry in json.loads(header).items() if name != "__metadata__"]
        whole = 8 + length + max((int(entry["data_offsets"][1]) for entry in tensors), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return f"the header of {path.name} is not whole"
    return None if size == whole else f"{path.name} has {size:,} of {whole:,} bytes"
