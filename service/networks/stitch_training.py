"""A map between two frozen networks is trained on the next token, and what it costs is told on texts held out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from service.errors import BadInput
from service.networks.annealing import Annealing
from service.networks.coordinated_sample import mixed
from service.networks.datasets import Items, TextWindows
from service.networks.map_optimizer import MapOptimizer
from service.networks.stitch_maps import TRAINED, StitchMap, fitted_map, refuse_map
from service.networks.stitches import Inputs, Stitch
from service.networks.token_windows import TokenWindow
from service.results import CurvePoint, StitchResult

BATCH = 8  # windows a step
HELD_OUT = 64  # windows, a fifth of the text at most
FIT_WINDOWS = 64  # at least; more for wide networks, so that there are FIT_TOKENS tokens a dimension
FIT_TOKENS = 8
FEWEST = 10  # windows of text


@dataclass(frozen=True, eq=False)
class StitchTexts:
    """Windows to train on and to fit closed forms on, and windows of other documents to judge by."""

    training: Sequence[TokenWindow]
    held_out: Sequence[TokenWindow]


@dataclass(frozen=True, eq=False)
class Scores:
    """By held-out window: nats, right guesses, and predicted tokens."""

    nats: NDArray[np.float64]
    right: NDArray[np.float64]
    tokens: NDArray[np.float64]


def stitch_texts(items: Items, stitch: Stitch, steps: int) -> StitchTexts:
    """The texts of a stitching of `steps` steps, tokenised. The held-out ones are of documents of their own where the dataset
    has several of them.

    Raises BadInput where there is no text, or too little of it.
    """
    if not isinstance(items, TextWindows):
        raise BadInput(f"stitching is trained on text, and {items.dataset.name} has none: give another --dataset")
    windows = [window for window in items.stream(stitch.top.tokenizer, stitch.max_length) if len(window) > 1]
    if len(windows) < FEWEST:
        raise BadInput(f"stitching needs {FEWEST} windows of text; {items.dataset.name} has {len(windows)}")
    apart = held_out_items(windows, items.documents() or {}, min(HELD_OUT, len(windows) // 5))
    training = [window for window in windows if window.item_id not in apart]
    wanted = max(steps * BATCH, fit_windows(stitch, training))
    held_out = [window for window in windows if window.item_id in apart]
    return StitchTexts(training[:wanted], held_out[:HELD_OUT])


def held_out_items(windows: Sequence[TokenWindow], documents: dict[int, int], wanted: int) -> set[int]:
    """The items of whole documents, in a seeded order, until `wanted` windows are there; none of more than a fifth of all. The
    first windows where no document is as small as that."""
    by_document: dict[int, list[int]] = {}
    for window in windows:
        by_document.setdefault(documents.get(window.item_id, window.item_id), []).append(window.item_id)
    names = np.array(sorted(by_document), dtype=np.uint64)
    apart: set[int] = set()
    for document in names[np.argsort(mixed(names), kind="stable")]:
        own = by_document[int(document)]
        if len(apart) < wanted and len(own) <= len(windows) // 5:
            apart.update(own)
    return apart or {window.item_id for window in windows[:wanted]}


def fit_windows(stitch: Stitch, training: Sequence[TokenWindow]) -> int:
    """How many windows closed forms are fitted on."""
    tokens = FIT_TOKENS * stitch.bottom.facts.width
    return max(FIT_WINDOWS, math.ceil(tokens * len(training) / max(1, sum(map(len, training)))))


class Stitching:
    """One pair of layers, stitched by one map after another on the same texts.

    `on_step` is told steps done and steps in all. Both networks are bit for bit what they were afterwards.
    """

    def __init__(
        self, stitch: Stitch, texts: StitchTexts, seed: int = 0, on_step: Callable[[int, int], None] | None = None
    ) -> None:
        self.stitch = stitch
        self.texts = texts
        self.seed = seed
        self.on_step = on_step
        self._states: tuple[Tensor, Tensor] | None = None
        self._scores_of_b: Scores | None = None
        self._below: list[tuple[Inputs, Tensor]] | None = None

    def result(self, kind: str, steps: int) -> StitchResult:
        """What a map of that kind costs, trained until it rests or for `steps` steps where it is one that is trained.

        Raises UnknownName, NetworkMismatch (an identity between different widths).
        """
        refuse_map(kind, self.stitch.bottom.facts.width, self.stitch.top.facts.width)
        with self.stitch.frozen():
            phi = self.fitted(kind)
            if kind not in TRAINED:
                return self._judged(phi)
            annealing = Annealing(steps)
            return self._judged(phi, tuple(self.trained(phi, annealing)), annealing)

    def fitted(self, kind: str) -> StitchMap:
        """The map as its closed form has it."""
        if kind == "identity":
            return StitchMap(kind)
        return fitted_map(kind, *self._paired_states()).to(self.stitch.top.device)

    def _paired_states(self) -> tuple[Tensor, Tensor]:
        if self._states is None:
            windows = self.texts.training[: fit_windows(self.stitch, self.texts.training)]
            self._states = self.stitch.paired_states(windows, BATCH)
        return self._states

    def trained(self, phi: StitchMap, annealing: Annealing) -> Iterator[CurvePoint]:
        """Train `phi` in place on the cross-entropy of the next token, telling the loss as it goes."""
        optimizer = MapOptimizer(phi, *self._paired_states())
        yield self._held_out_point(phi, 0)
        for step, windows in enumerate(islice(self._batches(), annealing.steps), start=1):
            inputs = self.stitch.inputs(windows)
            loss = mean_loss(self.stitch.logits(phi, inputs), inputs)
            optimizer.step(loss, annealing.rate)
            yield CurvePoint(step - 1, "training", float(loss.detach()))
            if self.on_step:
                self.on_step(step, annealing.steps)
            if annealing.evaluates(step):
                point = self._held_out_point(phi, step)
                annealing.tell(step, point.loss)
                yield point
            if annealing.over:
                return

    def _batches(self) -> Iterator[list[TokenWindow]]:
        """The training windows in a seeded order, again and again in others."""
        generator = torch.Generator().manual_seed(self.seed)
        waiting: list[int] = []
        while True:
            while len(waiting) < BATCH:
                waiting += torch.randperm(len(self.texts.training), generator=generator).tolist()
            now, waiting = waiting[:BATCH], waiting[BATCH:]
            yield [self.texts.training[place] for place in now]

    def _held_out_point(self, phi: StitchMap, step: int) -> CurvePoint:
        scores = self.scores(phi)
        return CurvePoint(step, "held-out", float(scores.nats.sum() / scores.tokens.sum()))

    @torch.no_grad()
    def scores(self, phi: StitchMap | None) -> Scores:
        """The stitched network's predictions of the held-out texts; those of B itself where there is no map."""
        rows = []
        for inputs, below in self._held_out():
            logits = self.stitch.logits(phi, inputs, below) if phi else self.stitch.top.module(**inputs).logits
            rows.append(window_scores(logits, inputs))
        return Scores(*np.concatenate(rows, axis=1))

    def _held_out(self) -> list[tuple[Inputs, Tensor]]:
        """The held-out windows in batches, each with what the bottom makes of it: they are asked for again and again."""
        if self._below is None:
            starts = range(0, len(self.texts.held_out), BATCH)
            batches = [self.stitch.inputs(self.texts.held_out[start : start + BATCH]) for start in starts]
            self._below = [(inputs, self.stitch.states_below(inputs)) for inputs in batches]
        return self._below

    def _judged(
        self, phi: StitchMap, curve: tuple[CurvePoint, ...] = (), annealing: Annealing | None = None
    ) -> StitchResult:
        steps = max((point.step for point in curve), default=0)
        if self._scores_of_b is None:
            self._scores_of_b = self.scores(None)
        of_b, found = self._scores_of_b, self.scores(phi)
        tokens = found.tokens.sum()
        penalty, error = paired_difference(found.nats, of_b.nats, found.tokens)
        why = annealing.why if annealing else None
        notes = (why, self._repeated(steps), None if penalty is not None else "the loss is not a finite number")
        return StitchResult(
            map=phi.kind,
            layer_a=self.stitch.layer_a,
            layer_b=self.stitch.layer_b,
            steps=steps,
            loss=_finite(found.nats.sum() / tokens),
            loss_of_b=_finite(of_b.nats.sum() / tokens),
            penalty=penalty,
            penalty_std_error=error,
            accuracy=float(found.right.sum() / tokens),
            accuracy_of_b=float(of_b.right.sum() / tokens),
            accuracy_std_error=paired_difference(found.right, of_b.right, found.tokens)[1],
            converged=why is None if annealing else None,
            tokens=int(tokens),
            windows=len(found.tokens),
            note="; ".join(note for note in notes if note) or None,
            curve=curve,
        )

    def _repeated(self, steps: int) -> str | None:
        passes = steps * BATCH / len(self.texts.training)
        return f"each of {len(self.texts.training)} texts was trained on {passes:.1f} times" if passes > 1 else None


def predicted(inputs: Inputs) -> Tensor:
    """The next token at each place (windows, length - 1); -100 where there is none."""
    return inputs["input_ids"][:, 1:].masked_fill(inputs["attention_mask"][:, 1:] == 0, -100)


def mean_loss(logits: Float[Tensor, "windows length vocabulary"], inputs: Inputs) -> Float[Tensor, ""]:
    """Cross-entropy of the next token in nats a token, padding left out."""
    return cross_entropy(logits[:, :-1].float().flatten(0, 1), predicted(inputs).flatten(), ignore_index=-100)


def window_scores(logits: Float[Tensor, "windows length vocabulary"], inputs: Inputs) -> NDArray[np.float64]:
    """Rows of nats, right guesses and predicted tokens, by window."""
    targets = predicted(inputs)
    losses = cross_entropy(logits[:, :-1].float().transpose(1, 2), targets, ignore_index=-100, reduction="none")
    right = (logits[:, :-1].argmax(-1) == targets) & (targets >= 0)
    columns = [found.sum(1, dtype=torch.float64) for found in (losses, right, targets >= 0)]
    return torch.stack(columns).cpu().numpy()


def paired_difference(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], tokens: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    """The difference of two sums over windows a token, d = sum(a - b) / sum(n), and its standard error over W windows:
    sqrt(W / (W - 1) sum((a - b - d n)^2)) / sum(n), that of a ratio. None where it is no finite number.

    Source: Cochran 1977, Sampling Techniques, section 2.11.
    """
    gaps, count = ours - theirs, len(tokens)
    difference = gaps.sum() / tokens.sum()
    if count < 2:
        return _finite(difference), None
    spread = np.square(gaps - difference * tokens).sum() * count / (count - 1)
    return _finite(difference), _finite(np.sqrt(spread) / tokens.sum())


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
