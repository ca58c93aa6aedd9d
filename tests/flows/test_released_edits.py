"""Edits as their authors' code makes them, from the command line: beside the corrected ones, and told apart everywhere."""

from __future__ import annotations

import json

import pytest
from task_files import LISTS, ZEROS


@pytest.fixture
def edited(isoscope, tmp_path):
    """A command that edits a network by a task and a method in both variants, and how its store is asked."""

    def ask(query):
        return json.loads(isoscope("sql", query, "--format", "json", store=tmp_path / "store").stdout)

    def edit(network, task, *options):
        place = tmp_path / "task.toml"
        place.write_text(task)
        asked = ("edit", str(network), "--task", str(place), "--severity", "3", "--as-released", *options)
        for said in ("2 edits: ", "nothing is missing"):
            done = isoscope(*asked, store=tmp_path / "store")
            assert done.returncode == 0, done.stderr
            assert said in done.stdout
        return ask

    return edit


def told_apart(ask):
    """The edits by variant, which the trade-off and the curves tell apart too."""
    found = {row["variant"]: row for row in ask("select * from lab.edits order by variant")}
    words = {one: row["limited_to"] for one, row in found.items()}
    assert words == {
        "corrected": f"rank {found['corrected']['rank']}",
        "released": f"{words['corrected']}, as released",
    }
    both = ask("select variant, edits from lab.edit_tradeoff where task is null order by 1")
    assert both == [{"variant": "corrected", "edits": 1}, {"variant": "released", "edits": 1}]
    curves = ask("select distinct limited_to from lab.edit_curves order by 1")
    assert [row["limited_to"] for row in curves] == sorted(words.values())
    return found


def test_rome_as_released_ends_elsewhere_than_the_corrected_edit_of_the_same_prompt(edited, decoder_folder):
    few = ("--layer", "1", "--steps", "6", "--count", "6", "--corruption", "casing")
    ask = edited(decoder_folder / "step64", LISTS, "--method", "rome", *few)
    found, losses = told_apart(ask), {}
    for variant, row in found.items():
        curve = ask(f"select loss from lab.edit_curves where edit_id = '{row['edit_id']}' order by fit_step")
        losses[variant] = [one["loss"] for one in curve]
    assert losses["corrected"][0] == pytest.approx(losses["released"][0])
    assert losses["corrected"][-1] != losses["released"][-1]


def test_rewriting_as_released_moves_the_layers_too(edited, vision_folder):
    few = ("--rank", "2", "--layer", "2", "--steps", "20", "--count", "60", "--corruption", "gaussian-noise")
    ask = edited(vision_folder / "step200", ZEROS, "--method", "rewriting", *few)
    assert {row["steps"] for row in told_apart(ask).values()} == {20}
    moved = "select max(compared) as angle from lab.edit_drift where measure = 'procrustes_angular' group by edit_id"
    angles = ask(moved)
    assert len(angles) == 2
    assert all(one["angle"] > 0 for one in angles)
