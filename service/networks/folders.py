"""Local checkpoints: a folder of weights, or a folder of such folders as training writes them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from service.errors import NetworkMismatch, UnknownName
from service.networks.lens_folders import final_weights, lens_config

STEP = re.compile(r"(?:^|[-_.])(?:global_?step|step|checkpoint)[-_]?(\d+)$", re.IGNORECASE)
UNFINISHED = (".", "tmp-")  # drafts, ours and Trainer's


def step_of_name(name: str) -> int | None:
    """The optimiser step that a folder's or revision's name says: ``step1000``, ``checkpoint-500``; None if it says none."""
    found = None if name.startswith(UNFINISHED) else STEP.search(name)
    return int(found.group(1)) if found else None


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder says which network it holds."""
    return (folder / "config.json").is_file()


def checkpoint_folders(root: Path, revisions: Sequence[str] = ()) -> list[tuple[int | None, Path]]:
    """The checkpoints at `root`, itself or the folders in it, with their steps, in the order of steps.

    `revisions` are folder names or patterns such as ``step*``. Where there are such folders, weights that lie beside them
    are left out: Trainer's are those of its last folder. Raises NetworkMismatch where there is no checkpoint,
    UnknownName for a revision that matches none.
    """
    if not root.is_dir():
        raise NetworkMismatch(f"{root} is a file: a checkpoint is a folder with config.json and safetensors weights")
    inside = [folder for folder in sorted(root.iterdir()) if folder.is_dir() and step_of_name(folder.name) is not None]
    folders = [folder for folder in inside if is_checkpoint(folder)]
    if not folders and is_checkpoint(root):
        folders = [root]
    if not folders:
        raise NetworkMismatch(
            f"{root} is no checkpoint: there is no config.json in it, nor in a folder named like step1000 or checkpoint-500"
        )
    chosen = _matching(folders, revisions)
    for folder in chosen:
        weight_files(folder)
    return sorted(((_step(folder), folder) for folder in chosen), key=_by_step)


def _by_step(found: tuple[int | None, Path]) -> tuple[bool, int, str]:
    step, folder = found
    return step is None, step or 0, folder.name


def _matching(folders: Sequence[Path], revisions: Sequence[str]) -> list[Path]:
    if not revisions:
        return list(folders)
    chosen: dict[Path, None] = {}
    for revision in revisions:
        matching = [folder for folder in folders if fnmatchcase(folder.name, revision)]
        if not matching:
            raise UnknownName.of("revision", revision, [folder.name for folder in folders])
        chosen.update(dict.fromkeys(matching))
    return list(chosen)


def _step(folder: Path) -> int | None:
    named = step_of_name(folder.resolve().name)
    state = folder / "trainer_state.json"
    if named is not None or not state.is_file():
        return named
    try:
        return int(json.loads(state.read_text())["global_step"])
    except (ValueError, KeyError, TypeError) as error:
        raise NetworkMismatch(f"{state} does not say its global_step: delete it, or name the folder step<N>") from error


def model_name(root: Path) -> str:
    """What a local model is called: its folder's name, or the parent's where the folder is named for its step."""
    folder = root.resolve()
    return folder.parent.name if step_of_name(folder.name) is not None else folder.name


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint, sorted; the one file of a network in TransformerLens's format.

    Raises NetworkMismatch where there is none.
    """
    if lens_config(folder):
        return [final_weights(folder)]
    files = sorted(folder.glob("*.safetensors"))
    if files:
        return files
    pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
    reason = "only pickled weights, which are never loaded" if pickled else "no weights"
    raise NetworkMismatch(f"{folder} has {reason}: it needs *.safetensors files, as save_pretrained writes them")


def weights_digest(folder: Path) -> str:
    """16 hex digits over the weights and config.json of a checkpoint."""
    files = (*weight_files(folder), folder / "config.json")
    return _digest(tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files))


@lru_cache(maxsize=1024)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, _, _ in files:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
