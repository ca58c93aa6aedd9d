"""What is measured: frozen values whose ids are computed from their content.

An id is 16 hex digits, so a retry, a second process and a second machine all write the same one.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Literal

Stream = Literal["embedding", "residual", "final"]
Positions = Literal["all", "not-first", "not-special"]
Permuted = Literal["items", "points"]
Kind = Literal["decoder", "encoder", "vision"]
EditMethod = Literal["fine-tuning", "one-layer", "low-rank", "1-li", "interpolation", "rewriting", "rome"]
Variant = Literal["corrected", "released"]
POSITIONS: tuple[Positions, ...] = ("all", "not-first", "not-special")


def content_id(*parts: object) -> str:
    """16 hex digits computed from JSON-able parts; equal parts give equal ids on every machine."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def path_name(name: str) -> str:
    """`name` as one safe path component: anything but letters, digits, dot, dash, equals and underscore becomes '~'."""
    return re.sub(r"[^\w.=-]", "~", name)


@dataclass(frozen=True, order=True)
class Checkpoint:
    """One set of weights of one model.

    `step` is the optimiser step, None where nobody said. `revision` is the hub's commit hash, or for a local folder the
    digest of its weights, so that two sets of weights never share an id.
    """

    model: str
    step: int | None
    revision: str

    @property
    def checkpoint_id(self) -> str:
        return content_id("checkpoint", self.model, self.step, self.revision)

    @property
    def label(self) -> str:
        """How a person reads it: ``pythia-410m step3000``."""
        short = self.model.rsplit("/", 1)[-1]
        return f"{short} step{self.step}" if self.step is not None else f"{short} {self.revision[:8]}"


@dataclass(frozen=True)
class Dataset:
    """A fixed, ordered set of windows of text, or of images. `name` is its key in the store and names every choice that is not
    the default.

    `digest` covers the items' content, their order and the window length. Sizes: `items` windows or images, `characters` in all
    (0 of images). `modality` is text or image.
    """

    name: str
    source: str
    digest: str
    items: int
    characters: int
    revision: str | None = None
    split: str | None = None
    modality: str = "text"
    licence: str | None = None


@dataclass(frozen=True)
class Site:
    """A place in a network where states are read: one stream at one depth of one checkpoint on one dataset.

    `layer` counts depth: 0 is the embedding (the input of the first block), 1 to L the blocks' outputs, L + 1 the state
    after the last norm where the network has one (stream `final`).
    """

    checkpoint: Checkpoint
    dataset: str
    dataset_digest: str
    layer: int
    stream: Stream

    @property
    def site_id(self) -> str:
        return content_id(
            "site", self.checkpoint.checkpoint_id, self.dataset, self.dataset_digest, self.layer, self.stream
        )

    @property
    def relative_path(self) -> str:
        """Where its summary lies under the store's ``activations`` folder."""
        step = "none" if self.checkpoint.step is None else str(self.checkpoint.step)
        return (
            f"model={path_name(self.checkpoint.model)}/step={step}/dataset={path_name(self.dataset)}"
            f"/layer={self.layer}/{self.site_id}.parquet"
        )


@dataclass(frozen=True)
class Concept:
    """A named yes or no over the items of a dataset, or over the places in its texts.

    `definition` is how the labels were asked for, such as ``column:even``; `labels_digest` covers the labels themselves, so
    that other labels under one name are another concept. `items` have a label; of them `positives` are positive, or hold a
    positive place.
    """

    name: str
    definition: str
    dataset: str
    labels_digest: str
    items: int
    positives: int

    @property
    def concept_id(self) -> str:
        return content_id("concept", self.name, self.definition, self.dataset, self.labels_digest)


@dataclass(frozen=True)
class Edit:
    """A change of one checkpoint's weights towards a task, with all that decides it.

    `task_id` is that of what is asked of the network. `layer` is the name of the module whose weights change; for
    ``fine-tuning`` that of the first which may, None for all of them. `rank` is that of the change (``low-rank``,
    ``rewriting``, ``rome``), `alpha` how far the weights go from those before (0) to those that were tuned (1) (``1-li``,
    ``interpolation``); None for other methods. `seed` draws the exemplars and whatever else is random. `origin` is the
    digest of a change that was fitted to another task and is judged by this one, None of one that was fitted to this one.
    `variant` is ``released`` for one that is fitted as the authors' code does it (``rewriting``, ``rome``).
    """

    checkpoint_id: str
    task_id: str
    method: EditMethod
    layer: str | None
    rank: int | None
    alpha: float | None
    steps: int
    learning_rate: float
    seed: int = 0
    origin: str | None = None
    variant: Variant = "corrected"

    @property
    def edit_id(self) -> str:
        settings = [self.layer, self.rank, self.alpha, self.steps, self.learning_rate, self.seed]
        settings += [] if self.origin is None else [self.origin]  # ids are older than origins and variants
        settings += [] if self.variant == "corrected" else [self.variant]
        return content_id("edit", self.checkpoint_id, self.task_id, self.method, *settings)

    @property
    def relative_path(self) -> str:
        """Where its weights lie under the store's ``edits`` folder."""
        return f"{self.checkpoint_id}/{self.edit_id}.safetensors"
