"""A network on the bench: loaded, the task's cases drawn, and everything asked of it while it is untouched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from service.edit_results import EditFit
from service.errors import BadInput
from service.experiments.edit_drift import Drift
from service.experiments.edit_judging import General
from service.experiments.edit_scores import TaskScores
from service.networks.causal_trace import TraceEffect, causal_trace, location
from service.networks.edit_case_sets import case_sets
from service.networks.edit_cases import CaseSets
from service.networks.edit_fitting import fitted
from service.networks.edit_layers import matrix_of, named_layer, weight_layers
from service.networks.edit_settings import refuse_rank
from service.networks.edit_tasks import Task
from service.networks.edit_training import changed_count
from service.networks.edits import Delta, Fitting, changed_weight, refuse_other_base
from service.networks.loading import Network
from service.networks.rewriting import Moment, groups_of, key_size, refuse_directions, refuse_groups, usual_moment
from service.networks.rome import KeyMoments, key_moments, rome, rome_rank
from service.subjects import Edit, EditMethod

WATCHED = 200  # inputs whose states are compared
USUAL = 1000  # images by which rewriting whitens its keys
BATCH = 64  # of them


@dataclass(frozen=True, eq=False)
class Bench:
    """One network, one task and one draw of its cases. Raises what `case_sets` does."""

    network: Network
    task: Task
    items: Any
    seed: int
    general: General
    saved: Delta | None = None  # an edit that was fitted before, in the place of those that are fitted here
    names: Mapping[str, int] | None = (
        None  # of a task of images the numbers of their classes, the dataset's own if None
    )
    moments: dict[str, KeyMoments] = field(default_factory=dict, repr=False)
    usual: dict[tuple[str, bool], Moment] = field(default_factory=dict, repr=False)

    @cached_property
    def sets(self) -> CaseSets:
        """The cases."""
        return case_sets(self.network, self.task, self.items, self.seed, self.names)

    @cached_property
    def scores(self) -> TaskScores:
        """What judges an edit by its task."""
        return TaskScores(self.network, self.sets, self.general.corruptions)

    @cached_property
    def drift(self) -> Drift:
        """The layers that an edit moves."""
        return Drift(self.network, {name: one[:WATCHED] for name, one in self.sets.unrelated.inputs.items()})

    @cached_property
    def trace(self) -> tuple[TraceEffect, ...]:
        """Where the network has what it says of the prompts, whatever they ask for. Raises BadInput for what is no decoder, and
        prompts without subjects; NetworkMismatch."""
        return causal_trace(self.network, self.sets.exemplars, seed=self.seed)

    def prepare(self, whole: bool) -> None:
        """Ask the untouched network what is asked of edited ones: all of it, or what chooses settings. Asked once."""
        if not whole:
            self.scores.note_validation()
            return
        self.scores.note()
        self.drift.note()
        for one in self.general.corruptions:
            self.general.untouched(self.network, one)

    def layers(self, method: EditMethod, asked: tuple[str, ...] | None, count: int = 1) -> list[str]:
        """The names of the layers where a method edits: those asked for; else for ROME the one that the causal trace finds, for
        others in one layer `count` of them from the first to the last, and for fine-tuning none, which is all of them, with
        those too where they are several. Raises UnknownName, BadInput."""
        if asked is not None:
            return [named_layer(self.network, layer) for layer in asked]
        if method == "interpolation" or (method == "fine-tuning" and count == 1):
            return []
        if method == "rome":
            return [named_layer(self.network, str(location(self.trace)[0]))]
        known = weight_layers(self.network)
        if not known:
            raise BadInput(f"{self.network.checkpoint.label} has no layer with a weight matrix to edit")
        places = [(2 * place + 1) / (2 * count) for place in range(count)]
        return list(dict.fromkeys(known[int(share * len(known))] for share in places))

    def fits(self, edit: Edit) -> bool:
        """Whether the edit's layer can be edited by its method, and its matrix has as many ranks as the edit's."""
        if edit.layer is None:
            return True
        module = self.network.module.get_submodule(edit.layer)
        if edit.method == "rewriting" and groups_of(self.network, edit.layer) > 1:
            return False
        if edit.variant == "released" and (edit.rank or 1) > key_size(module, edit.method == "rewriting"):
            return False
        return edit.rank is None or edit.rank <= min(matrix_of(self.network, edit.layer).shape)

    def of_rank(self, edit: Edit) -> Edit:
        """The edit; of ROME with the rank that the task's subjects need. Raises BadInput."""
        if edit.method != "rome" or self.sets.exemplars.subjects is None:
            return edit
        return replace(edit, rank=rome_rank(self.network, self.sets.exemplars))

    def refuse(self, edit: Edit) -> None:
        """Raises BadInput where the edit cannot be made of this network and task, NetworkMismatch for one saved of another."""
        if self.saved is not None:
            refuse_other_base(self.network, self.saved)
            return
        if edit.method == "rewriting" and edit.layer is not None:
            refuse_groups(self.network, edit.layer)
            refuse_directions(self.network, edit, edit.layer)
        if edit.rank is not None and edit.layer is not None:
            refuse_rank(self.network, edit.layer, edit.rank)
        if edit.method == "rewriting" and self.sets.exemplars.originals is None:
            raise BadInput(
                "rewriting needs a task of images in a style that keep their class, whose originals say what they are to be: "
                f"{self.task.name!r} is none"
            )
        if edit.method == "rome" and self.sets.exemplars.subjects is None:
            raise BadInput(f"rome needs prompts of a decoder that name their subject: {self.task.name!r} names none")

    def _as_saved(self, saved: Delta, edit: Edit) -> Fitting:
        """An edit that was fitted before and kept in a file, as one of this task. Raises NetworkMismatch."""
        refuse_other_base(self.network, saved)
        edited = {name: changed_weight(self.network.module, name, one) for name, one in saved.changes.items()}
        changed = changed_count(self.network, edited)
        return Fitting(
            replace(saved, edit=edit), EditFit((), changed, True, "read from a file; it was not fitted here")
        )

    def fit(self, edit: Edit, on_step: Any = None) -> Fitting:
        """Fit an edit to the exemplars, or take the saved one; the network itself is left as it is. Raises BadInput."""
        if self.saved is not None:
            return self._as_saved(self.saved, edit)
        if edit.method == "rewriting":
            return fitted(self.network, edit, self.sets.exemplars, on_step, self._usual(edit))
        if edit.method != "rome":
            return fitted(self.network, edit, self.sets.exemplars, on_step)
        layer = str(edit.layer)
        if layer not in self.moments:
            self.moments[layer] = key_moments(self.network, layer, self.items)
        return rome(self.network, edit, self.sets.exemplars, self.moments[layer], on_step)

    def _usual(self, edit: Edit) -> Moment:
        """What rewriting whitens its keys by: those of the dataset's own images."""
        layer, released = str(edit.layer), edit.variant == "released"
        if (layer, released) not in self.usual:
            batches = self.items.batches(self.network, BATCH, self.items.item_ids[:USUAL])
            inputs = ({"pixel_values": pixels.to(self.network.device)} for _, pixels in batches)
            self.usual[layer, released] = usual_moment(self.network, layer, inputs, released)
        return self.usual[layer, released]
