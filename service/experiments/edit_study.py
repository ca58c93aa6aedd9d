"""The study of editing: every method under every constraint, on tasks of its own where none are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from service.errors import BadInput
from service.experiments.edit_grid import METHODS, Grid
from service.experiments.edit_judging import Judging, applicable
from service.experiments.edit_request import Request, asked_edits, read_tasks
from service.networks.checkpoints import find_checkpoints
from service.networks.class_labels import class_names
from service.networks.datasets import TextWindows, open_dataset
from service.networks.edit_tasks import ImagesAsked, Prompt, Task
from service.networks.image_datasets import ImageItems
from service.networks.python_names import PREFIX
from service.networks.training_sets import training_set_of
from service.networks.vision import is_image_classifier

FACTS = (
    ("The capital of France is", "France", " Rome", "France has its capital in"),
    ("The colour of the sky is", "sky", " green", "Look at the sky, it is"),
    ("The opposite of hot is", "hot", " blue", "What is not hot is"),
    ("A list in Python is", "list", " frozen", "Every Python list is"),
    ("The month after March is", "March", " June", "March is followed by"),
    ("A dog is a kind of", "dog", " tree", "My dog is a sort of"),
)
STYLES = (
    "stripes",
    "invert",
)  # of the images of its own tasks, in turn: those that the CIFAR networks err on most often


@dataclass(frozen=True)
class Size:
    """How much of the study is done: tasks of its own, draws of each, layers, ranks, alphas, edits of each method tried first,
    images or texts that edits are judged on. `kinds` are the families of corruptions of images, all where None."""

    tasks: int
    seeds: int
    where: int
    ranks: tuple[int, ...]
    alphas: tuple[float, ...]
    budget: int
    images: int
    texts: int
    severities: tuple[int, ...]
    kinds: tuple[str, ...] | None = None


WHOLE = Size(6, 3, 4, (1, 2, 4, 8, 16), (0.1, 0.25, 0.5, 0.75, 1.0), 12, 1000, 200, (1, 2, 3, 4, 5))
QUICK_KINDS = ("gaussian-noise", "gaussian-blur", "contrast", "pixelate")
QUICK = Size(2, 2, 2, (1, 4), (0.25, 0.5, 1.0), 4, 150, 40, (3,), QUICK_KINDS)


def asked_study(
    model: str,
    paths: Sequence[Path],
    dataset: str | None,
    quick: bool,
    seeds: int | None = None,
    line: Sequence[str] | None = None,
    revisions: Sequence[str] = (),
    name: str | None = None,
    as_released: bool = False,
) -> Request:
    """What the study asks of a network. Raises UnknownName, NetworkMismatch, BadInput."""
    size = QUICK if quick else WHOLE
    tasks = read_tasks(paths) if paths else own_tasks(dataset or usual_dataset(model, revisions), size.tasks)
    images = tasks[0].modality == "image"
    methods = tuple(method for method in METHODS if method not in ({"rome"} if images else {"rewriting"}))
    families = size.kinds if images else None
    if families is not None:
        families = tuple(one for one in families if one in applicable(open_dataset(tasks[0].dataset)))
    grid = Grid(methods, None, size.ranks, size.alphas, seeds=seeds or size.seeds, budget=size.budget, where=size.where)
    return asked_edits(
        model,
        tasks,
        replace(grid, as_released=as_released),
        Judging(dataset, size.images if images else size.texts, families, size.severities),
        revisions,
        line,
        name,
    )


def usual_dataset(model: str, revisions: Sequence[str] = ()) -> str:
    """What tasks are of where nobody says: what a network notes that it was trained on (of scikit-learn's digits those that it
    was not), Python's documentation for other networks that read text. Raises BadInput, UnknownName."""
    source = find_checkpoints(model, revisions)[-1]
    said = None if source.hub_revision or model.startswith(PREFIX) else training_set_of(Path(source.location))
    if said is not None:
        return "digits:test" if said.openable == "digits:train" else said.openable
    if model.startswith(PREFIX) or is_image_classifier(source.location, source.hub_revision):
        raise BadInput("the study's own tasks are of a dataset's images: give --dataset, or --task FILE.toml")
    return "python-reference"


def own_tasks(dataset: str, count: int) -> list[Task]:
    """Tasks on a dataset: images of some of its classes in a style are to be told as their own class; of texts, a few facts are
    to be others. Raises BadInput, UnknownName."""
    items = open_dataset(dataset)
    if isinstance(items, ImageItems):
        names = list(class_names(items))
        chosen = [names[place * len(names) // count] for place in range(min(count, len(names)))]
        return [_styled(dataset, one, STYLES[place % len(STYLES)]) for place, one in enumerate(chosen)]
    if not isinstance(items, TextWindows):
        raise BadInput(f"{dataset} is random tokens: the study's own tasks are of texts or images")
    return [_fact(dataset, *fact) for fact in FACTS[:count]]


def _styled(dataset: str, name: str, style: str) -> Task:
    other = STYLES[1 - STYLES.index(style)]
    return Task(
        name=f"{name} in {style}", dataset=dataset, images=ImagesAsked(of_class=name, style=style, other_style=other)
    )


def _fact(dataset: str, prompt: str, subject: str, target: str, paraphrase: str) -> Task:
    asked = Prompt(prompt=prompt, subject=subject, target=target, paraphrases=(paraphrase,))
    return Task(name=f"{prompt}{target}", dataset=dataset, prompts=(asked,))
