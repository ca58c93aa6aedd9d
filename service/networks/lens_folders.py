"""Networks in TransformerLens's format, recognised by their config.json; a folder of one, or a hub model brought into one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from service.errors import NetworkMismatch
from service.networks.hub import fetched_config, fetched_files

NAMED = {"n_layers", "d_model", "act_fn"}  # by which the format is known, where no model type is given
WEIGHTS = "*final.pth"
FILES = ("config.json", WEIGHTS, "tokenizer*", "special_tokens_map.json")


def lens_config(folder: Path) -> dict[str, Any] | None:
    """What config.json says, where it is of this format: it names layers, width and activation function as TransformerLens
    does, and no model type. None otherwise."""
    try:
        found = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.keys() >= NAMED and "model_type" not in found else None


def lens_folder(location: str, revision: str | None) -> Path | None:
    """The folder of a network of this format, its files fetched where it is the hub's `revision`; None where it is of another.

    Raises NetworkMismatch where the hub does not give them.
    """
    if revision is None:
        return Path(location) if lens_config(Path(location)) else None
    config = fetched_config(location, revision)
    if config is None or lens_config(config.parent) is None:
        return None
    return fetched_files(location, revision, FILES)


def final_weights(folder: Path) -> Path:
    """The file of the trained weights. Raises NetworkMismatch where there is none, or more than one."""
    found = sorted(folder.glob(WEIGHTS))
    if len(found) == 1:
        return found[0]
    raise NetworkMismatch(
        f"{folder} has {len(found) or 'no'} weights {WEIGHTS}: a network in TransformerLens's format has one such file"
    )
