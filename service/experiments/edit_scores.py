"""Does an edit do what was asked, also where nobody showed it, and does it leave the rest alone?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from service.edit_results import EditScore
from service.experiments.edit_judging import CLEAN, Corruption
from service.measures.edit_scores import agreement, errors_corrected, share_met
from service.networks.edit_cases import Cases, CaseSets, Met, Told, Unrelated
from service.networks.loading import Network
from service.results import Estimate

UNRELATED, CHOOSING = "unrelated", "validation unrelated"
Key = tuple[str, str, int]  # name of the cases, family and severity


@dataclass(frozen=True, eq=False)
class TaskScores:
    """The cases of a task that judge, and what the untouched network makes of them: which it meets (`before`), and what it says
    of unrelated inputs (`told`). Both are noted before an edit, and asked for in vain (KeyError) where they were not."""

    network: Network
    sets: CaseSets
    corruptions: Sequence[Corruption]
    before: dict[Key, Met] = field(default_factory=dict, repr=False)
    told: dict[str, Told] = field(default_factory=dict, repr=False)

    @cached_property
    def judged(self) -> dict[Key, Cases]:
        """The cases by name, family and severity."""
        sets = self.sets
        clean = {"exemplars": sets.exemplars, "held-out": sets.held_out, **sets.general}
        found = {(name, *CLEAN): cases for name, cases in clean.items()}
        return found | {("held-out", *one): sets.corrupted(*one) for one in self.corruptions if one != CLEAN}

    def note(self) -> None:
        """Ask the untouched network what judges; once."""
        if UNRELATED not in self.told:
            self.before.update({key: cases.met(self.network) for key, cases in self.judged.items()})
            self.told[UNRELATED] = self.sets.unrelated.told(self.network)

    def note_validation(self) -> None:
        """Ask it what chooses settings; once."""
        if CHOOSING not in self.told:
            self.told[CHOOSING] = self.sets.validation_unrelated.told(self.network)

    def scores(self) -> Iterator[EditScore]:
        """What the network makes of them now that it is edited."""
        for key, cases in self.judged.items():
            before, now = self.before[key], cases.met(self.network)
            yield _score("success", key, share_met(now), share_met(before).value)
            if key[1:] == CLEAN and key[0] != "exemplars":
                yield _score("errors-corrected", key, errors_corrected(before, now), None)
        yield self._agreement(UNRELATED, self.sets.unrelated)

    def validation(self) -> Iterator[EditScore]:
        """The same on the cases and the unrelated inputs that choose settings, none of which judge."""
        yield _score("success", ("validation", *CLEAN), share_met(self.sets.validation.met(self.network)), None)
        yield self._agreement(CHOOSING, self.sets.validation_unrelated)

    def _agreement(self, name: str, inputs: Unrelated) -> EditScore:
        found = agreement(inputs.told(self.network), self.told[name], inputs.groups)
        return _score("agreement", (name, *CLEAN), found, 1.0)


def _score(measure: str, key: Key, found: Estimate, before: float | None) -> EditScore:
    return EditScore(measure, *key, before, found.value, found.std_error, found.n_used, found.note)
