"""Which checkpoints a name stands for, found without loading a weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.errors import BadInput, UnknownName
from service.networks.folders import checkpoint_folders, model_name, step_of_name, weights_digest
from service.networks.hub import commits
from service.networks.loading import Network, load_network
from service.networks.python_modules import load_python, python_checkpoint
from service.networks.python_names import PREFIX
from service.networks.vision import is_image_classifier, load_image_classifier
from service.subjects import Checkpoint


@dataclass(frozen=True)
class CheckpointSource:
    """A checkpoint and where its weights lie: `location` is a local folder, a hub id, of which `hub_revision` is the commit,
    or a ``python:`` name."""

    checkpoint: Checkpoint
    location: str
    hub_revision: str | None = None


def find_checkpoints(model: str, revisions: Sequence[str] = (), name: str | None = None) -> list[CheckpointSource]:
    """The checkpoints of a local folder, of a folder of checkpoint folders, or of a hub model, ordered by step; the one of a
    ``python:`` name, whose code is run.

    `revisions` are names or patterns; a hub model without any is its ``main``. `name` is what the store calls the model.
    Raises UnknownName, NetworkMismatch, BadInput.
    """
    if model.startswith(PREFIX):
        if revisions:
            raise BadInput(f"{model} has no revisions: a function of Python gives one network")
        return [CheckpointSource(python_checkpoint(model, name), model)]
    path = Path(model).expanduser()
    if path.exists():
        called = name or model_name(path)
        return [
            CheckpointSource(Checkpoint(called, step, weights_digest(folder)), str(folder))
            for step, folder in checkpoint_folders(path, revisions)
        ]
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise UnknownName(f"unknown model {model!r}: there is no such folder")
    sources = [
        CheckpointSource(Checkpoint(name or model, step_of_name(revision), commit), model, commit)
        for revision, commit in commits(model, revisions)
    ]
    return sorted(sources, key=lambda source: (source.checkpoint.step is None, source.checkpoint.step or 0))


def load(
    source: CheckpointSource,
    device: str = "auto",
    dtype: str = "auto",
    attention: str | None = None,
    trust_remote_code: bool = False,
) -> Network:
    """The network of a checkpoint, its layers found and checked. Raises NetworkMismatch, BadInput."""
    if source.location.startswith(PREFIX):
        return load_python(source.location, source.checkpoint, device, dtype)
    digest = source.checkpoint.revision if source.hub_revision is None else None
    pictures = is_image_classifier(source.location, source.hub_revision, trust_remote_code)
    return (load_image_classifier if pictures else load_network)(
        source.location,
        source.checkpoint,
        revision=source.hub_revision,
        device=device,
        dtype=dtype,
        attention=attention,
        trust_remote_code=trust_remote_code,
        weights_digest=digest,
    )
