"""One watch a folder, a memory of what was told, and the rule that warns of loss spikes."""

from __future__ import annotations

import numpy as np
import pytest
from test_training_rows import a_run, asked, calm, probed, steps_of

from service.errors import StoreBusy
from service.storage.training_rows import TrainingEntry, record_training
from service.storage.watches import Told, watching


def warnings_by_hand(values, error=0.5):
    """The rule, written a second time: first step, last step and height of every warning."""
    steps, hits = sorted(values), []
    for place, step in enumerate(steps):
        before = [values[other] for other in steps[max(0, place - 20) : place]]
        excess = (values[step] - np.median(before)) / error if len(before) >= 5 else 0.0
        if excess > 3:
            following = bool(hits) and hits[-1][1] == steps[place - 1]
            first, height = (hits.pop()[::2]) if following else (step, 0.0)
            hits.append((first, step, max(height, excess)))
    return hits


@pytest.mark.parametrize("seed", range(3))
def test_warnings_are_what_a_second_writing_of_the_rule_finds(store, seed):
    draw = np.random.default_rng(seed)
    values = {step: 10 + float(value) for step, value in zip(range(10, 1510, 10), draw.standard_t(2, 150), strict=True)}
    results = [probed(step, value) for step, value in values.items()]
    results += [probed(step, 5.0, layer=2) for step in values]
    record_training(store, TrainingEntry(a_run("a"), "mine", "monitor", steps_of(calm(9)), "probe", [], results))
    rows = asked(
        store, "select step, last_step, excess_in_std_errors, layer from lab.loss_spike_warnings order by step"
    )
    expected = warnings_by_hand(values)
    assert len(expected) > 3
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    assert [row[2] for row in rows] == pytest.approx([row[2] for row in expected])
    assert {row[3] for row in rows} == {1}


def test_only_a_warning_of_the_newest_probe_still_holds_and_one_without_an_error_is_none(store):
    values = dict.fromkeys(range(10, 200, 10), 10.0) | {100: 20.0, 190: 20.0}
    results = [probed(step, value) for step, value in values.items()]
    results += [probed(step, value, layer=2, error=0.0) for step, value in values.items()]
    record_training(store, TrainingEntry(a_run("a"), "mine", "monitor", steps_of(calm(9)), "probe", [], results))
    rows = asked(store, "select step, is_newest, layer from lab.loss_spike_warnings order by step")
    assert rows == [(100, False, 1), (190, True, 1)]


def test_a_second_watch_on_a_folder_is_refused_and_one_on_another_is_not(store, tmp_path):
    with watching(store, tmp_path / "a"):
        with (
            pytest.raises(StoreBusy, match=rf"process \d+ watches {tmp_path / 'a'} .* already"),
            watching(store, tmp_path / "a"),
        ):
            pass
        with watching(store, tmp_path / "b"):
            pass
    with watching(store, tmp_path / "a"):
        pass


def test_what_was_told_is_remembered_by_model_and_a_lost_memory_repeats(store):
    told = Told(store, "mine")
    assert not told.knows("spike", 7)
    told.remember("spike", 7)
    again = Told(store, "mine")
    assert again.knows("spike", 7)
    assert not again.knows("warning", 7)
    assert not Told(store, "other").knows("spike", 7)
    next(store.root.glob("told-*.json")).write_text("not json")
    assert not Told(store, "mine").knows("spike", 7)
