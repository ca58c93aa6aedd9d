"""The published claims on the shape of learning, judged on what the public views hold.

Rules, the same for every claim:

- Nothing is assumed: each claim is asked in SQL, and shown with its numbers. Where rows are lacking it is not judged.
- A difference counts when it is larger than two standard errors, those of its two ends added in quadrature. Where a
  mean over layers is judged, its standard error is the mean of the layers' (as if they erred together, for they are of
  the same tokens). No allowance is made for a maximum being looked for over many layers or steps.
- Curves over layers are the embedding and the residual stream; the state after the last norm is left out, for it is
  scaled anew. Means over layers are of the residual stream alone; a step where any of these has no value is left out.
- A model is judged at its last step; one whose checkpoint has no step, at that checkpoint.

Source: Razzhigaev et al., The Shape of Learning, Findings of EACL 2024, https://arxiv.org/abs/2311.05928.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service.report import questions
from service.report.panels import Connection
from service.subjects import Positions

ERRORS = 2.0
BOTH: tuple[Positions, ...] = ("all", "not-first")
ABSTRACT = "Razzhigaev et al. 2024, arXiv:2311.05928, abstract"
ARTICLE = "Razzhigaev et al. 2024, arXiv:2311.05928, random tokens"


@dataclass(frozen=True)
class Claim:
    """A published statement about one model. `holds` is None where it cannot be judged, and then `numbers` says what is
    lacking. `sql` gives the rows it was judged on, and runs as it stands."""

    statement: str
    source: str
    holds: bool | None
    numbers: str
    sql: str


class Point(NamedTuple):
    """A value with its standard error, at one layer or step."""

    place: int
    value: float
    std_error: float

    def exceeds(self, other: Point) -> bool:
        """Whether it is larger by more than two standard errors."""
        return self.value - other.value > ERRORS * (self.std_error**2 + other.std_error**2) ** 0.5

    def __str__(self) -> str:
        return f"{self.value:.3g} ± {self.std_error:.1g}"


Verdict = tuple[bool | None, str]


def judge(
    connection: Connection, dataset: str = "python-reference", random_dataset: str = "random-tokens"
) -> list[Claim]:
    """Every claim on every model that ``lab.models`` knows, in the order of the article.

    Anisotropy is judged with all tokens and without each text's first token, which alone can make the curve.
    """
    models = connection.execute(questions.MODELS).fetchall()
    decoders = [name for name, kind in models if kind == "decoder"] or [None]
    encoders = [name for name, kind in models if kind == "encoder"] or [None]
    known = [name for name, _ in models] or [None]
    return [
        *(_bell(connection, name, dataset, kept, ABSTRACT) for name in decoders for kept in BOTH),
        *(_uniform(connection, name, dataset, kept) for name in encoders for kept in BOTH),
        *(_phases(connection, name, dataset, ABSTRACT) for name in known),
        *(_growth(connection, name, dataset, kept) for name in decoders for kept in BOTH),
        *(_bell(connection, name, random_dataset, kept, ARTICLE) for name in decoders for kept in BOTH),
        *(_phases(connection, name, random_dataset, ARTICLE) for name in known),
    ]


def bell_shaped(curve: Sequence[Point]) -> Verdict:
    """Whether the greatest value between both ends is larger than either end."""
    if len(curve) < 3:
        return None, f"needs the embedding and two residual layers or more; there are values at {len(curve)} layers"
    top = max(curve[1:-1], key=lambda point: point.value)
    first, last = curve[0], curve[-1]
    numbers = f"largest inside {top} at layer {top.place} of {last.place}; first layer {first}, last layer {last}"
    return top.exceeds(first) and top.exceeds(last), numbers


def rises_then_falls(curve: Sequence[Point]) -> Verdict:
    """Whether the greatest value between the first and the last step is larger than both."""
    if len(curve) < 3:
        return None, f"needs three steps or more; there are values at {len(curve)}"
    top = max(curve[1:-1], key=lambda point: point.value)
    first, last = curve[0], curve[-1]
    numbers = f"step {first.place}: {first}; largest at step {top.place}: {top}; step {last.place}: {last}"
    return top.exceeds(first) and top.exceeds(last), numbers


def grows(curve: Sequence[Point]) -> Verdict:
    """Whether the last step's value is larger than that of step 0."""
    if len(curve) < 2 or curve[0].place != 0:
        return None, "needs step 0 and a later one; there are " + (
            f"steps {curve[0].place} to {curve[-1].place}" if curve else "none"
        )
    first, last = curve[0], curve[-1]
    return last.exceeds(first), f"step 0: {first}; step {last.place}: {last}"


def _bell(connection: Connection, model: str | None, dataset: str, positions: Positions, source: str) -> Claim:
    statement = (
        f"The anisotropy of {_named(model, 'a decoder')} is bell-shaped over layers on {dataset}{_without(positions)}"
    )
    sql = questions.anisotropy_by_layer(model or "", dataset, positions)
    return Claim(statement, source, *_judged(connection, sql, "layer", bell_shaped), sql)


def _phases(connection: Connection, model: str | None, dataset: str, source: str) -> Claim:
    statement = f"The intrinsic dimension of {_named(model, 'a model')} rises, then falls in training on {dataset}"
    sql = questions.dimension_by_step(model or "", dataset)
    return Claim(statement, source, *_judged(connection, sql, "step", rises_then_falls), sql)


def _growth(connection: Connection, model: str | None, dataset: str, positions: Positions) -> Claim:
    statement = f"The anisotropy of {_named(model, 'a decoder')} grows in training on {dataset}{_without(positions)}"
    sql = questions.anisotropy_by_step(model or "", dataset, positions)
    return Claim(statement, ABSTRACT, *_judged(connection, sql, "step", grows), sql)


def _uniform(connection: Connection, model: str | None, dataset: str, positions: Positions) -> Claim:
    """The spread over layers (greatest less least) is smaller in the encoder than in every decoder."""
    statement = (
        f"The anisotropy of {_named(model, 'an encoder')} is more uniform over layers than that of every decoder "
        f"on {dataset}{_without(positions)}"
    )
    sql = questions.spread_over_layers(model or "", dataset, positions)
    rows = connection.execute(sql).fetchall()
    return Claim(statement, ABSTRACT, *more_uniform(rows), sql)


def more_uniform(rows: Sequence[tuple[str, str, int | None, float | None, float | None]]) -> Verdict:
    """Of (model, kind, step, spread, std_error): whether the encoder's spread is smaller than each decoder's."""
    if any(spread is None or error is None for *_, spread, error in rows):
        return None, "a layer has no value or no standard error"
    spreads = [(model, kind, Point(step or 0, spread or 0, error or 0)) for model, kind, step, spread, error in rows]
    names = [model for model, _, _ in spreads]
    encoders = [spread for _, kind, spread in spreads if kind == "encoder"]
    decoders = [spread for _, kind, spread in spreads if kind == "decoder"]
    if len(names) > len(set(names)):
        return None, "a model has several revisions and no last step"
    if not encoders or not decoders:
        return None, f"no rows of anisotropy for {'an encoder' if not encoders else 'any decoder'}"
    numbers = "greatest less least over layers: " + ", ".join(f"{name} {spread}" for name, _, spread in spreads)
    return all(decoder.exceeds(encoders[0]) for decoder in decoders), numbers


def _judged(connection: Connection, sql: str, place: str, rule: Callable[[Sequence[Point]], Verdict]) -> Verdict:
    """The rows (place, revision, value, std_error) as a curve, and the rule's verdict on it."""
    rows = connection.execute(sql).fetchall()
    if not rows:
        return None, "no rows"
    places = [row[0] for row in rows]
    if len(places) > len(set(places)):
        return None, f"several revisions at {place} {next(one for one in places if places.count(one) > 1)}"
    if any(row[2] is None or row[3] is None for row in rows):
        lacking = next(row[0] for row in rows if row[2] is None or row[3] is None)
        return None, f"no value or no standard error at {place} {lacking}"
    return rule([Point(row[0], row[2], row[3]) for row in rows])


def _named(model: str | None, kind: str) -> str:
    return model or f"{kind} (none is known)"


def _without(positions: Positions) -> str:
    return ", without first tokens" if positions == "not-first" else ""
