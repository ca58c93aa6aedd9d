"""The clouds of all layers of one checkpoint over the same tokens: what drift and separability start from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from service.errors import BadInput
from service.experiments.layer_question import Question
from service.experiments.measure_layers import measure_checkpoint
from service.measures.layered import Layered, layered
from service.networks.checkpoints import Network
from service.networks.datasets import USUAL, Choice, Items, open_dataset
from service.networks.loading import chosen_device
from service.results import NetworkFacts, Summary
from service.storage import activations, coverage
from service.storage.database import OnWait, Store
from service.subjects import Checkpoint, Site

FEWEST_BLOCKS = 2  # with one there is no migration from layer to layer


@dataclass(frozen=True, eq=False)
class LayerClouds:
    """The clouds at every depth of one checkpoint on one dataset: the embedding (layer 0) and the blocks' outputs, before
    any final norm. `sites[k]` is where `clouds.states[k]` was read."""

    sites: tuple[Site, ...]
    facts: NetworkFacts
    clouds: Layered

    @property
    def checkpoint(self) -> Checkpoint:
        """The weights that computed the states."""
        return self.sites[0].checkpoint

    @property
    def dataset(self) -> str:
        """The dataset's key in the store."""
        return self.sites[0].dataset


def summarised_sites(
    store: Store,
    checkpoint: Checkpoint,
    items: Items,
    sample: int,
    network: Callable[[], Network],
    *,
    batch_size: int | None = None,
    flow_run_id: str | None = None,
    on_wait: OnWait = None,
) -> list[Site]:
    """The sites of a checkpoint on a dataset by depth, their summaries in the store; where one is not there, by one forward
    pass, recorded as such, for which `network` is called. Raises BadInput, NetworkMismatch, StoreBusy."""
    question = Question(items, (), None, False, sample)
    measure_checkpoint(
        store, checkpoint, question, network, batch_size=batch_size, flow_run_id=flow_run_id, on_wait=on_wait
    )
    return coverage.recorded_sites(store, checkpoint.checkpoint_id, items.dataset.name)


def refuse_non_finite(summaries: Iterable[Summary]) -> None:
    """Raise BadInput where states are NaN or infinite."""
    for summary in summaries:
        if summary.non_finite:
            raise BadInput(
                f"layer {summary.site.layer} of {summary.site.checkpoint.label} has {summary.non_finite} states that are "
                "NaN or infinite: give --dtype float32, or another checkpoint"
            )


def refuse_other_widths(checkpoint: Checkpoint, widths: Sequence[int]) -> None:
    """Raise BadInput where the layers do not share one space."""
    if len(set(widths)) > 1:
        raise BadInput(
            f"the layers of {checkpoint.label} have states of widths {', '.join(map(str, widths))}: layers are followed and "
            "told apart where all have one width; isoscope shape and compare take any"
        )


def layer_clouds(
    store: Store,
    checkpoint: Checkpoint,
    items: Items,
    sample: int,
    network: Callable[[], Network],
    *,
    batch_size: int | None = None,
    flow_run_id: str | None = None,
    on_wait: OnWait = None,
) -> LayerClouds:
    """The clouds of a checkpoint on a dataset, read from the store as `summarised_sites` has it.

    Raises BadInput (fewer than two blocks, states that are NaN or infinite or all alike), NetworkMismatch, StoreBusy.
    """
    found = summarised_sites(
        store, checkpoint, items, sample, network, batch_size=batch_size, flow_run_id=flow_run_id, on_wait=on_wait
    )
    sites = tuple(site for site in found if site.stream != "final")
    if len(sites) - 1 < FEWEST_BLOCKS:
        raise BadInput(
            f"{checkpoint.label} has {len(sites) - 1} block: layers are told apart in a network of two or more"
        )
    summaries = [activations.read_summary(store, site) for site in sites]
    refuse_non_finite(summaries)
    states = [summary.states for summary in summaries]
    refuse_other_widths(checkpoint, [cloud.shape[1] for cloud in states])
    clouds = layered([site.layer for site in sites], states, summaries[0].sample, items.documents())
    return LayerClouds(sites, summaries[0].facts, clouds)


@dataclass(frozen=True)
class CloudReader:
    """The clouds of one checkpoint on any dataset: from the store, or by a forward pass of `network`, which is asked for its
    network only then. `window` is in characters, `sample` in states of each layer; None for the usual ones. `device` is where
    the states are put: auto is CUDA where there is one."""

    store: Store
    checkpoint: Checkpoint
    network: Callable[[], Network]
    window: int | None = None
    sample: int | None = None
    batch_size: int | None = None
    flow_run_id: str | None = None
    on_wait: OnWait = None
    opened: dict[tuple[str, Choice], Items] = field(default_factory=dict, repr=False)
    device: str = "cpu"

    def items(self, dataset: str, choice: Choice = USUAL) -> Items:
        """The dataset with the reader's options, opened once. Raises UnknownName, BadInput."""
        if (dataset, choice) not in self.opened:
            found = open_dataset(dataset, window=self.window, sample=self.sample, choice=choice)
            self.opened[dataset, choice] = found
        return self.opened[dataset, choice]

    def of(self, dataset: str, choice: Choice = USUAL) -> LayerClouds:
        """The clouds on a dataset. Raises UnknownName, BadInput, NetworkMismatch, StoreBusy."""
        device = chosen_device(self.device)
        found = layer_clouds(
            self.store,
            self.checkpoint,
            self.items(dataset, choice),
            self.sample or choice.sample,
            self.network,
            batch_size=self.batch_size,
            flow_run_id=self.flow_run_id,
            on_wait=self.on_wait,
        )
        return replace(found, clouds=found.clouds.on(device))
