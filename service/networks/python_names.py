"""What a ``python:`` name says, and what the store calls a model: read without importing what loads one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.errors import BadInput
from service.networks.folders import model_name

PREFIX = "python:"
FORM = "python:package.module:function or python:package.module:function:layer1,layer2"


@dataclass(frozen=True)
class PythonName:
    """What a name says: the module to import, its function, and the layers, none where it names none."""

    module: str
    function: str
    layers: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """What the store calls the network."""
        return f"{self.module}:{self.function}"


def parsed(name: str) -> PythonName:
    """What a ``python:`` name says. Raises BadInput."""
    parts = name.removeprefix(PREFIX).split(":")
    layers = tuple(layer.strip() for layer in parts[2].split(",") if layer.strip()) if len(parts) == 3 else ()
    if len(parts) not in {2, 3} or not all(part.isidentifier() for part in (*parts[0].split("."), parts[1])):
        raise BadInput(f"a network in Python is {FORM}; got {name!r}")
    return PythonName(parts[0], parts[1], layers)


def stored_name(model: str) -> str:
    """What the store calls a model that a command is given, where no other name is: that of the folder or of the function of
    Python that it is, else its own. Raises BadInput."""
    if model.startswith(PREFIX):
        return parsed(model).called
    path = Path(model).expanduser()
    return model_name(path) if path.is_dir() else model
