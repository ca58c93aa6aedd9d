"""A network that is a function of somebody's Python file: ``python:package.module:function:layer1,layer2``.

Naming it runs that file's code, with all that it may do.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from service.errors import BadInput, NetworkMismatch, UnknownName
from service.networks.loading import DTYPES, chosen_device, device_name, refuse_dtype
from service.networks.module_digest import module_digest
from service.networks.processors import Preprocess, UnitProcessor
from service.networks.python_names import PythonName, parsed
from service.networks.vision import VisionNetwork
from service.networks.vision_layers import hidden_width, named_layers
from service.results import NetworkFacts
from service.subjects import Checkpoint

SIDES = (32, 28, 8, 224, 16, 64, 96, 128, 256, 299, 384)  # of the images that the layers are looked for with
NOT_RUN = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, BadInput)


def python_checkpoint(name: str, called: str | None = None) -> Checkpoint:
    """The checkpoint of a ``python:`` name, whose code is run; its revision is the digest of weights and layers' names.

    Raises BadInput, UnknownName, NetworkMismatch.
    """
    told = parsed(name)
    module, _ = built(told)
    return Checkpoint(called or told.called, None, _digest(module, told.layers))


def load_python(name: str, checkpoint: Checkpoint, device: str, dtype: str) -> VisionNetwork:
    """Build and describe the network of a ``python:`` name. Raises BadInput, UnknownName, NetworkMismatch."""
    told, place = parsed(name), chosen_device(device)
    refuse_dtype(dtype)
    module, preprocess = built(told)
    if _digest(module, told.layers) != checkpoint.revision:
        raise NetworkMismatch(
            f"{told.called} gives other weights each time it is called: load them, or seed what draws them"
        )
    asked = DTYPES[dtype]
    module = module.to(place, asked if isinstance(asked, torch.dtype) else None).eval()
    processor, pixels = _read(module, preprocess, told)
    found = named_layers(module, told.layers, pixels)
    weight = next(module.parameters())
    facts = NetworkFacts(
        family=type(module).__name__,
        kind="vision",
        layers=found.blocks.layers,
        width=max(hidden_width(shape) for shape in found.shapes),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        dtype=str(weight.dtype).removeprefix("torch."),
        device=device_name(place),
        attention="none",
        normed_entry=None,
        weights_digest=checkpoint.revision,
        sites=len(found.names),
    )
    return VisionNetwork(checkpoint, module, None, facts, found.blocks, True, None, processor=processor, found=found)


def built(told: PythonName) -> tuple[nn.Module, Preprocess | None]:
    """What the function returns: a module, and what makes an image ready for it where it says. Random weights are those of
    seed 0. Raises UnknownName (no such module or function), NetworkMismatch (it fails, or gives no module)."""
    with _from_here():
        function = _function(told)
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                found = function()
        except Exception as error:  # somebody else's code
            raise NetworkMismatch(f"{told.called}() fails: {_reason(error)}") from error
    module, preprocess = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(module, nn.Module) or not (preprocess is None or callable(preprocess)):
        raise NetworkMismatch(
            f"{told.called}() gives {type(module).__name__}: a torch.nn.Module is needed, or (module, preprocess)"
        )
    if not any(True for _ in module.parameters()):
        raise NetworkMismatch(f"{told.called}() gives a module without parameters: there is nothing that was learned")
    return module, preprocess


def _function(told: PythonName) -> Any:
    try:
        module = importlib.import_module(told.module)
    except ModuleNotFoundError as error:
        if error.name and (told.module == error.name or told.module.startswith(f"{error.name}.")):
            raise UnknownName(
                f"unknown module {told.module!r}: it is neither in {os.getcwd()} nor among the installed packages"
            ) from error
        raise NetworkMismatch(f"{told.module} cannot be imported: {_reason(error)}") from error
    except Exception as error:  # somebody else's code
        raise NetworkMismatch(f"{told.module} cannot be imported: {_reason(error)}") from error
    function = getattr(module, told.function, None)
    if not callable(function):
        known = [name for name, one in vars(module).items() if callable(one) and not name.startswith("_")]
        raise UnknownName.of(f"function of {told.module}", told.function, known)
    return function


@contextmanager
def _from_here() -> Iterator[None]:
    """Within the block, modules of the current directory can be imported, before any others."""
    here = os.getcwd()
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(here)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _digest(module: nn.Module, layers: tuple[str, ...]) -> str:
    """16 hex digits over the weights by name, and the layers that were asked for: other layers are other sites."""
    return module_digest(module, ",".join(layers))


def _read(module: nn.Module, preprocess: Preprocess | None, told: PythonName) -> tuple[UnitProcessor, Tensor]:
    """The processor for the first kind of image that the module reads, and a grey one of that kind. Raises NetworkMismatch."""
    weight, refusal = next(module.parameters()), ""
    for side, channels in _sizes(module):
        processor = UnitProcessor(preprocess, channels)
        try:
            pixels = processor([np.full((side, side, channels), 127, dtype=np.uint8)]).to(weight)
            with torch.no_grad():
                module(pixels)
            return processor, pixels
        except NOT_RUN as error:
            refusal = refusal or _reason(error)
    raise NetworkMismatch(
        f"{told.called} reads no image of 1 or 3 channels and {min(SIDES)} to {max(SIDES)} pixels: {refusal}"
    )


def _sizes(module: nn.Module) -> Iterator[tuple[int, int]]:
    """Sides and channels of images that a module may read, the likeliest first."""
    first = next((one for one in module.modules() if isinstance(one, nn.Conv2d | nn.Linear)), None)
    likely = [3, 1]
    if isinstance(first, nn.Linear):  # of all pixels at once
        sides = [(int((first.in_features / channels) ** 0.5), channels) for channels in likely]
        yield from ((side, channels) for side, channels in sides if side * side * channels == first.in_features)
    if isinstance(first, nn.Conv2d):
        likely.sort(key=lambda channels: channels != first.in_channels)
    yield from ((side, channels) for channels in likely for side in SIDES)
