"""Which edits an editor makes of a network: those that its layers and its task have room for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from edit_builders import asked as rows
from torch import nn

from service.errors import BadInput
from service.experiments.edit_bench import Bench
from service.experiments.edit_grid import Grid
from service.experiments.edit_judging import Judging
from service.experiments.edit_networks import editor_of
from service.experiments.edit_request import asked_edits
from service.networks.edit_tasks import task_of
from service.settings import Settings
from service.subjects import Edit

ZEROS = {"name": "zeros", "dataset": "digits:test", "images": {"class": 0, "style": "invert", "exemplars": 4}}
ONES = {**ZEROS, "name": "ones", "images": {**ZEROS["images"], "class": 1}}
SAVED = Grid(("low-rank",))
PROMPTS = [
    {"prompt": "The value of a list is ", "subject": "list", "target": "number"},
    {"prompt": "The value of a string is ", "subject": "string", "target": "number"},
]
FACTS = {"name": "facts", "dataset": "python-reference", "contexts": 1, "held_out": 2, "unrelated": 2}


@pytest.fixture
def asked(tmp_path):
    """An editor, the request that it does, and its first part."""

    def ask(folder, said, grid, saved=None):
        judging = Judging(count=20, families=("contrast",) if "images" in said else None, severities=(3,))
        request = asked_edits(str(folder), [task_of(said, "t")], grid, judging, line=(), saved=saved)
        return editor_of(Settings(store=tmp_path / "store"), request.grid, saved=saved), request, request.parts[0]

    return ask


def test_a_search_tries_no_rank_that_its_layers_do_not_have(asked, vision_folder):
    editor, _, part = asked(vision_folder, ZEROS, Grid(("low-rank",), ranks=(1, 400), where=2, budget=3))
    assert {edit.rank for edit in editor.searches(part)[0].tried} == {1}
    editor, _, part = asked(vision_folder, ZEROS, Grid(("low-rank", "one-layer"), ranks=(400,), where=2, budget=3))
    assert [search.method for search in editor.searches(part)] == ["one-layer"]


def test_an_edit_of_one_task_that_is_judged_by_another_is_none_that_was_fitted_to_that(asked, vision_folder):
    grid = Grid(("low-rank",), layers=("2",), ranks=(2,), steps=3)
    editor, _, zeros = asked(vision_folder, ZEROS, grid)
    (own,) = editor.edits(zeros, {})
    delta = editor.bench(zeros).fit(own).delta
    judge, _, ones = asked(vision_folder, ONES, SAVED, delta)
    assert len(judge.edit(ones, {}).edits) == 1
    assert judge.lacking(ones, {}) == []
    fit, _, ones = asked(vision_folder, ONES, grid)
    assert len(fit.edit(ones, {}).edits) == 1
    kept = rows(fit.store, "select origin is not null as judged, steps, path from lab.edits order by 1")
    assert [(one["judged"], one["steps"]) for one in kept] == [(False, 3), (True, 3)]
    assert len({one["path"] for one in kept}) == 2
    assert rows(fit.store, "select edits from lab.edit_tradeoff where task is null") == [{"edits": 1}]
    alone, _, zeros = asked(vision_folder, ZEROS, SAVED, delta)
    assert [edit.edit_id for edit in alone.edits(zeros, {})] == [own.edit_id]


def test_layers_that_will_be_edited_have_each_a_search_of_their_own_where_the_budget_has_room_for_it(
    asked, vision_folder
):
    editor, _, part = asked(vision_folder, ZEROS, Grid(("one-layer", "fine-tuning"), where=2, budget=4))
    edited = [edit.layer for edit in editor.edits(part, {}) if edit.method == "one-layer"]
    searches = {
        method: [one for one in editor.searches(part) if one.method == method] for method in editor.grid.methods
    }
    assert [{edit.layer for edit in one.tried} for one in searches["one-layer"]] == [{layer} for layer in edited]
    assert [len(one.tried) for one in searches["one-layer"]] == [2, 2]
    assert [len(one.tried) for one in searches["fine-tuning"]] == [4]  # of three places, which 4 are too few for
    slow, fast = (replace(one.usual, steps=steps) for one, steps in zip(searches["one-layer"], (80, 10), strict=True))
    made = [edit for edit in editor.edits(part, {"one-layer": [slow, fast]}) if edit.method == "one-layer"]
    assert [(edit.layer, edit.steps) for edit in made] == [(edited[0], 80), (edited[1], 10)]


def test_rome_has_the_rank_of_its_subjects(asked, decoder_folder):
    editor, _, part = asked(decoder_folder, FACTS | {"prompts": PROMPTS}, Grid(("rome",), layers=("2",), budget=1))
    assert [edit.rank for edit in editor.edits(part, {})] == [2]
    assert [edit.rank for edit in editor.searches(part)[0].tried] == [2]


def test_a_convolution_in_groups_is_refused_where_it_is_named_and_left_out_where_it_is_not(asked, vision_folder):
    editor, _, part = asked(vision_folder, ZEROS, Grid(("rewriting",), layers=("2",)))
    bench = editor.bench(part)
    grouped = replace(bench.network, module=nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 3)))
    other = Bench(grouped, bench.task, bench.items, 0, bench.general)
    edit = Edit("checkpoint", "task", "rewriting", "0", 1, None, 10, 0.1)
    assert [other.fits(replace(edit, layer=layer)) for layer in ("0", "1")] == [False, True]
    assert other.fits(replace(edit, method="low-rank"))
    with pytest.raises(BadInput, match="0 is a convolution in 2 groups, which cannot be rewritten"):
        other.refuse(edit)


def test_as_released_rome_and_rewriting_are_there_twice_and_nothing_else_is(asked, vision_folder, decoder_folder):
    grid = Grid(("low-rank", "rewriting"), layers=("2",), ranks=(2,), as_released=True)
    editor, request, part = asked(vision_folder, ZEROS, grid)
    request.refuse(editor)
    found = editor.edits(part, {})
    assert [(one.method, one.variant, one.steps, one.learning_rate) for one in found] == [
        ("low-rank", "corrected", 40, 1e-2),
        ("rewriting", "corrected", 100, 1e-2),
        ("rewriting", "released", 2001, 0.05),
    ]
    assert len({one.edit_id for one in found}) == 3
    bench, (_, ours, theirs) = editor.bench(part), (replace(one, steps=10) for one in found)
    mine, other = (bench.fit(one).delta.changes[f"{one.layer}.weight"].right for one in (ours, theirs))
    assert mine.shape == other.shape
    assert len(bench.usual) == 2
    editor, _, part = asked(
        decoder_folder, FACTS | {"prompts": PROMPTS}, Grid(("rome",), layers=("2",), steps=3, as_released=True)
    )
    pair = editor.edits(part, {})
    assert [(one.variant, one.steps, one.rank) for one in pair] == [("corrected", 3, 2), ("released", 3, 2)]
