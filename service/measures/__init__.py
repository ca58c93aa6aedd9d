"""The measures. The files of this folder are the registry: a new file with a ``MEASURES`` tuple is a new measure."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from service.errors import UnknownName
from service.measures.declaration import Cloud, LayerMeasure

__all__ = ["Cloud", "LayerMeasure", "catalogue", "find"]


@cache
def catalogue() -> dict[str, LayerMeasure]:
    """Every measure by name, in the order of files and of their declarations."""
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return {measure.name: measure for module in modules for measure in getattr(module, "MEASURES", ())}


def find(name: str) -> LayerMeasure:
    """The measure of that name. Raises UnknownName, which offers the nearest known one."""
    known = catalogue()
    if name not in known:
        raise UnknownName.of("measure", name, known)
    return known[name]
