"""The measures. The files of this folder are the registry: a new file with a ``MEASURES`` tuple is a new measure.

A file with a ``PAIR_MEASURES`` tuple is one of two clouds.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType

from service.errors import UnknownName
from service.measures.declaration import Cloud, LayerMeasure, PairMeasure

__all__ = ["Cloud", "LayerMeasure", "PairMeasure", "catalogue", "find", "find_pair", "pair_catalogue"]


@cache
def catalogue() -> dict[str, LayerMeasure]:
    """Every measure by name, in the order of files and of their declarations."""
    return {measure.name: measure for module in _modules() for measure in getattr(module, "MEASURES", ())}


@cache
def pair_catalogue() -> dict[str, PairMeasure]:
    """Every measure of two clouds by name, in the order of files and of their declarations."""
    return {measure.name: measure for module in _modules() for measure in getattr(module, "PAIR_MEASURES", ())}


def _modules() -> Iterator[ModuleType]:
    return (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))


def find(name: str) -> LayerMeasure:
    """The measure of that name. Raises UnknownName, which offers the nearest known one."""
    known = catalogue()
    if name not in known:
        raise UnknownName.of("measure", name, known)
    return known[name]


def find_pair(name: str) -> PairMeasure:
    """The measure of two clouds of that name. Raises UnknownName, which offers the nearest known one."""
    known = pair_catalogue()
    if name not in known:
        raise UnknownName.of("measure of pairs", name, known)
    return known[name]
