"""The sets of cases that an edit is made on, chosen by and judged by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.errors import BadInput
from service.networks.edit_cases import CaseSets
from service.networks.edit_tasks import Task
from service.networks.image_edit_cases import image_case_sets
from service.networks.loading import Network
from service.networks.text_edit_cases import text_case_sets


def case_sets(
    network: Network, task: Task, items: Any, seed: int = 0, names: Mapping[str, int] | None = None
) -> CaseSets:
    """The cases of a task as a network reads them; `seed` draws which are which. `names` are the numbers of
    images' classes by name, the dataset's own where None.

    Raises BadInput (no examples, too few, a class or token that the network does not have, a network that reads something
    else), UnknownName (class, item, style).
    """
    reads = "image" if network.facts.kind == "vision" else "text"
    if task.modality != reads:
        raise BadInput(
            f"{network.checkpoint.label} reads {reads}s, and the task {task.name!r} is of {task.modality}s: give one with "
            f"{'[images]' if reads == 'image' else '[[prompts]]'}"
        )
    return (
        image_case_sets(network, task, items, seed, names)
        if reads == "image"
        else text_case_sets(network, task, items, seed)
    )
