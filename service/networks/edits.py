"""Changes of a network's weights: put in for a while and taken out again, and kept as small files."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from service.edit_results import EditFit
from service.errors import BadInput, NetworkMismatch
from service.networks.edit_layers import in_shape, weight_matrix
from service.networks.loading import Network
from service.networks.module_digest import bits, module_digest
from service.subjects import Edit

SAID = "isoscope"  # the key of a file's metadata under which it says what it is
FORMAT = 1
UNREADABLE = (SafetensorError, ValueError, KeyError, TypeError, AttributeError, struct.error)


@dataclass(frozen=True, eq=False)
class FullChange:
    """A parameter's new value, in its own shape and number format."""

    value: Tensor


@dataclass(frozen=True, eq=False)
class LowRankChange:
    """What is added to a weight matrix W: W + left @ right, a convolution's kernel being flattened."""

    left: Float[Tensor, "outputs rank"]
    right: Float[Tensor, "rank inputs"]

    @property
    def rank(self) -> int:
        """The most that the rank of the change can be."""
        return self.left.shape[1]


Change = FullChange | LowRankChange


@dataclass(frozen=True, eq=False)
class Delta:
    """What an edit changes in the network whose weights have the digest `base_digest`: by the name of a parameter its change,
    on the CPU. No change at all leaves the network as it is."""

    edit: Edit
    base_digest: str
    changes: Mapping[str, Change]

    def of(self, checkpoint_id: str, task_id: str) -> Edit:
        """Its edit as one of that checkpoint, to be judged by that task; of another task than it was fitted to it has the
        weights' digest for its origin, so that it is no edit that is fitted to that one."""
        edit = replace(self.edit, checkpoint_id=checkpoint_id, task_id=task_id)
        return edit if task_id == self.edit.task_id else replace(edit, origin=_digest(_tensors(self)))


@dataclass(frozen=True, eq=False)
class Fitting:
    """An edit and how it was fitted. `tuned` are the weights as they were tuned, of methods that then move towards them; None
    of other methods, empty where there are none that are finite."""

    delta: Delta
    fit: EditFit
    tuned: Mapping[str, Tensor] | None = None


def base_digest(module: nn.Module) -> str:
    """16 hex digits over a network's weights by name: what a delta is checked against."""
    return module_digest(module)


@contextmanager
def applied(network: Network, delta: Delta, checked: bool = False) -> Iterator[None]:
    """Within the block the network has the edited weights; afterwards, also after an exception, its own again, bit for bit.

    Its own are put aside untouched, so whatever is done to the edited ones is gone with them. `checked` says that the network
    is known to be the one that the edit is of, and saves reading every weight.

    Raises NetworkMismatch (another network).
    """
    if not checked:
        refuse_other_base(network, delta)
    weights = {name: _parameter(network, delta, name) for name in delta.changes}
    edited = {name: changed_weight(network.module, name, change) for name, change in delta.changes.items()}
    own = {name: weight.data for name, weight in weights.items()}
    try:
        for name, weight in weights.items():
            weight.data = edited[name]
        yield
    finally:
        for name, weight in weights.items():
            weight.data = own[name]


def changed_weight(module: nn.Module, name: str, change: Change) -> Tensor:
    """The value that a change gives the parameter `name`, a new tensor on its device and in its number format. Gradients pass
    to the parts of the change. The sum is made in float32 where the weight is narrower."""
    weight = module.get_parameter(name).detach()
    if isinstance(change, FullChange):
        return change.value.to(weight, copy=True)
    wide = torch.promote_types(weight.dtype, torch.float32)
    left, right = (part.to(weight.device, wide) for part in (change.left, change.right))
    owner = module.get_submodule(name.rpartition(".")[0])
    return in_shape(owner, weight_matrix(owner, weight).to(wide) + left @ right).to(weight.dtype)


def refuse_other_base(network: Network, delta: Delta) -> None:
    """Raises NetworkMismatch where a network's weights are not those that an edit is of."""
    found = base_digest(network.module)
    if found != delta.base_digest:
        raise NetworkMismatch(
            f"the edit {delta.edit.edit_id} is of a network whose weights have digest {delta.base_digest}, and those of "
            f"{network.checkpoint.label} have {found}: load the network that was edited, with the same dtype"
        )


def _parameter(network: Network, delta: Delta, name: str) -> nn.Parameter:
    weight = dict(network.module.named_parameters(remove_duplicate=False)).get(name)
    if weight is not None and _fits(network.module, name, delta.changes[name]):
        return weight
    lack = "has no such weight" if weight is None else f"has it of shape {tuple(weight.shape)}"
    raise NetworkMismatch(f"the edit {delta.edit.edit_id} changes {name}, and {network.checkpoint.label} {lack}")


def _fits(module: nn.Module, name: str, change: Change) -> bool:
    weight = module.get_parameter(name)
    if isinstance(change, FullChange):
        return change.value.shape == weight.shape
    shape = weight_matrix(module.get_submodule(name.rpartition(".")[0]), weight).shape
    return shape == (change.left.shape[0], change.right.shape[1]) and change.rank == change.right.shape[0]


def delta_bytes(delta: Delta) -> bytes:
    """A delta as the bytes of a safetensors file, the same for the same delta; its metadata says whose it is."""
    tensors = _tensors(delta)
    said = {"format": FORMAT, "edit": asdict(delta.edit), "base_digest": delta.base_digest, "tensors": _digest(tensors)}
    return bytes(save(tensors, {SAID: json.dumps(said, sort_keys=True)}))


def read_delta(source: Path | bytes) -> Delta:
    """The delta in a file, or in the bytes of one. Raises BadInput where there is none, or it is not whole, or no edit's."""
    called = str(source) if isinstance(source, Path) else "what was given"
    try:
        body = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise BadInput(f"the edit in {called} cannot be read: {error.strerror or error}") from error
    if not body:
        raise BadInput(f"{called} is empty: the safetensors file of an edit is needed")
    try:
        return _decoded(body, called)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"{called} is no edit's safetensors file, or is damaged: {reason}") from error


def _decoded(body: bytes, called: str) -> Delta:
    tensors = load(body)
    length = struct.unpack("<Q", body[:8])[0]
    told = json.loads(body[8 : 8 + length]).get("__metadata__", {}).get(SAID)
    if told is None:
        raise BadInput(f"{called} holds no edit of Isoscope: its metadata do not name one")
    said: dict[str, Any] = json.loads(told)
    if said["format"] != FORMAT:
        raise BadInput(f"{called} has format {said['format']} of edits, and this version of Isoscope reads {FORMAT}")
    if said["tensors"] != _digest(tensors):
        raise BadInput(f"{called} is damaged: its weights are not those that were written")
    return Delta(Edit(**said["edit"]), str(said["base_digest"]), _changes(tensors))


def _tensors(delta: Delta) -> dict[str, Tensor]:
    """By the part of a change that each is, and its parameter's name."""
    parts = [
        (f"{part} {name}", value) for name, change in delta.changes.items() for part, value in vars(change).items()
    ]
    return {name: value.detach().cpu().contiguous().clone() for name, value in sorted(parts)}


def _changes(tensors: Mapping[str, Tensor]) -> dict[str, Change]:
    by_name: dict[str, dict[str, Tensor]] = {}
    for called, value in tensors.items():
        part, _, name = called.partition(" ")
        by_name.setdefault(name, {})[part] = value
    return {name: (FullChange if "value" in parts else LowRankChange)(**parts) for name, parts in by_name.items()}


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(bits(value).numpy().data)
    return digest.hexdigest()[:16]
