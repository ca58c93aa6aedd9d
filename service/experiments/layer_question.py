"""What the shape experiment asks of a checkpoint, and how much of the answer the store already holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.errors import BadInput
from service.measures import LayerMeasure, catalogue, find
from service.networks.datasets import DEFAULT_SAMPLE, Items, open_dataset
from service.storage import activations, coverage
from service.storage.coverage import Holding
from service.storage.database import OnWait, Store
from service.subjects import POSITIONS, Checkpoint, Positions, Site


@dataclass(frozen=True)
class Wish:
    """One measure by one procedure (``corrected`` or ``released``) under one position filter."""

    measure: LayerMeasure
    procedure: str
    positions: Positions

    @property
    def prefix(self) -> str:
        """The head that the variant of each of its rows starts with."""
        return f"{self.procedure}/{self.positions}"


@dataclass(frozen=True)
class Question:
    """Measures over the layers of a network on a dataset. `layers` None means every layer; `released` adds the
    published procedures, which know no position filter, beside the corrected ones."""

    items: Items
    measures: tuple[LayerMeasure, ...]
    layers: frozenset[int] | None
    released: bool
    sample: int

    @property
    def wishes(self) -> tuple[Wish, ...]:
        """Every measure, procedure and position filter that each site is asked for, most neighbours first, so that one
        search of nearest neighbours serves all measures."""
        ordered = sorted(self.measures, key=lambda measure: -measure.neighbours)
        corrected = [Wish(measure, "corrected", positions) for positions in POSITIONS for measure in ordered]
        released = [Wish(measure, "released", "all") for measure in ordered if self.released and measure.released]
        return (*corrected, *released)

    @property
    def parameters(self) -> dict[str, object]:
        """What a run of this question is recorded with."""
        return {
            "dataset": self.items.dataset.name,
            "measures": [measure.name for measure in self.measures],
            "layers": None if self.layers is None else sorted(self.layers),
            "as_released": self.released,
            "sample": self.sample,
        }


@dataclass(frozen=True)
class Missing:
    """What the store lacks of an answer: `extract` where a summary is not there, and the wishes of each site; None where
    the sites are not known yet, and then everything is wished for. `sites` are those that are recorded."""

    extract: bool
    wishes: dict[str, tuple[Wish, ...]] | None
    sites: tuple[Site, ...] = ()

    def __bool__(self) -> bool:
        return self.extract or bool(self.wishes)


def ask(
    dataset: str,
    measures: Sequence[str] = (),
    layers: Sequence[int] | None = None,
    tokens: int | None = None,
    window: int | None = None,
    sample: int | None = None,
    as_released: bool = False,
) -> Question:
    """The question that a command line or a deployment's parameters put. Raises UnknownName and BadInput."""
    chosen = tuple(find(name) for name in measures) if measures else tuple(catalogue().values())
    items = open_dataset(dataset, tokens=tokens, window=window, sample=sample)
    wanted = frozenset(layers) if layers else None
    return Question(items, chosen, wanted, as_released, sample or DEFAULT_SAMPLE)


def asked_sites(sites: Iterable[Site], layers: frozenset[int] | None) -> list[Site]:
    """The sites at the asked layers, by depth. Raises BadInput for a layer that the network does not have."""
    ordered = sorted(sites, key=lambda site: site.layer)
    known = {site.layer for site in ordered}
    if layers is not None and not layers <= known:
        strange = ", ".join(str(layer) for layer in sorted(layers - known))
        raise BadInput(f"layer {strange} is not there: {ordered[0].checkpoint.model} has layers 0 to {max(known)}")
    return [site for site in ordered if layers is None or site.layer in layers]


def missing(
    store: Store, checkpoints: Sequence[Checkpoint], question: Question, on_wait: OnWait = None
) -> dict[Checkpoint, Missing]:
    """What is still to be done for each checkpoint, from one look at the database; loads no network.

    Raises NetworkMismatch and BadInput where a name already stands for other weights or another text, StoreBusy.
    """
    dataset = question.items.dataset
    held = coverage.holdings(store, [one.checkpoint_id for one in checkpoints], dataset.name, on_wait)
    fresh = [one for one in checkpoints if not held[one.checkpoint_id].sites]
    for checkpoint in fresh or checkpoints[:1]:
        coverage.refuse_mixture(store, checkpoint, dataset)
    return {one: _missing(store, held[one.checkpoint_id], question) for one in checkpoints}


def _missing(store: Store, held: Holding, question: Question) -> Missing:
    if not held.sites:
        return Missing(True, None)
    lacking = {
        site.site_id: tuple(
            wish
            for wish in question.wishes
            if (site.site_id, wish.measure.name, wish.measure.version, wish.prefix) not in held.measured
        )
        for site in asked_sites(held.sites, question.layers)
    }
    gone = not activations.are_there(store, held.sites)
    wishes = {site_id: wishes for site_id, wishes in lacking.items() if wishes}
    return Missing(gone, wishes, tuple(held.sites))
