"""What an edit is asked to do: a TOML file of images or of prompts, and what the network shall say of them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import BadInput
from service.subjects import content_id

FORM = "a task has name, dataset, and either [images] with class or items, or [[prompts]] with prompt and target"
Some = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class ImagesAsked(_Table):
    """Images of one class, or those items, in a `style`, are to be told as `target`; as their own class where that is None.

    `exemplars` of them are edited on; of the others half, `held_out` at most, choose settings, the same in every draw, and as
    many judge. `unrelated` is how many images of other classes are compared with the untouched network, and as many others when
    settings are chosen; half of them each where they are fewer than twice as many.
    """

    of_class: Annotated[str | int | None, Field(alias="class")] = None
    items: tuple[int, ...] | None = None
    style: str | None = None
    other_style: str | None = None
    target: str | int | None = None
    exemplars: Some = 8
    held_out: Some = 100
    unrelated: Some = 300


class Prompt(_Table):
    """After `prompt` the network is to go on with `target`. `subject` is the part of the prompt that it is about; `paraphrases`
    are other prompts that the same is to follow."""

    prompt: Text
    target: Text
    subject: str | None = None
    paraphrases: tuple[Text, ...] = ()


class Task(_Table):
    """What is asked of a network, and the dataset whose items it is asked of or is not to disturb.

    Prompts stand alone and after `contexts` pieces of the dataset's texts in the exemplars; after `held_out` other pieces each
    they choose settings, and after as many more they judge. `unrelated` is how many of its windows are compared,
    as many others when settings are chosen.
    """

    name: Text
    dataset: Text
    images: ImagesAsked | None = None
    prompts: tuple[Prompt, ...] = ()
    contexts: Annotated[int, Field(ge=0)] = 4
    held_out: Some = 10
    unrelated: Some = 50

    @property
    def modality(self) -> Literal["image", "text"]:
        """What the network reads."""
        return "image" if self.images else "text"

    def task_id(self, dataset_digest: str) -> str:
        """16 hex digits over all that it asks, and over the items it asks it of."""
        return content_id("edit task", self.model_dump(exclude={"name"}), dataset_digest)


def read_task(path: Path) -> Task:
    """The task of a TOML file. Raises BadInput in one line for what is no such file, no TOML, or asks nothing."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"the task {path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"the task {path} is no TOML: {error}") from error
    return task_of(said, str(path))


def task_of(said: dict[str, Any], where: str) -> Task:
    """The task that a document says. Raises BadInput; `where` names the document."""
    try:
        task = Task.model_validate_json(json.dumps(said, default=str))  # where JSON has arrays, tuples may stand
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the task"
        raise BadInput(f"{where}: {place}: {first['msg'].lower()}; {FORM}") from error
    if (task.images is None) == (not task.prompts):
        given = "both [images] and [[prompts]]" if task.images else "no examples: neither [images] nor [[prompts]]"
        raise BadInput(f"{where} has {given}; {FORM}")
    if task.images and (task.images.of_class is None) == (task.images.items is None):
        raise BadInput(f"{where}: [images] needs class or items, one of the two; {FORM}")
    if task.images and task.images.items == ():
        raise BadInput(f"{where} has no examples: items is empty; {FORM}")
    for prompt in task.prompts:
        if prompt.subject is not None and (not prompt.subject or prompt.subject not in prompt.prompt):
            raise BadInput(f"{where}: the subject {prompt.subject!r} is not in the prompt {prompt.prompt!r}")
    return task
