"""The figure of stitched networks, from planted rows of the view."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from service.errors import BadInput
from service.report.curves import DISTINCT
from service.report.figures import figure

COLUMNS = (
    "model_a varchar, step_a bigint, revision_a varchar, model_b varchar, step_b bigint, revision_b varchar, dataset varchar, "
    "layer_a int, layer_b int, map varchar, penalty double, penalty_std_error double, converged boolean"
)


class Planted:
    """Schema ``lab`` with the stitches that a test asks for."""

    def __init__(self):
        self.connection = duckdb.connect()
        self.connection.execute(f"create schema lab; create table lab.stitching ({COLUMNS})")

    def stitch(self, a, b, layers, penalty, name="affine", error=0.01, converged=True, steps=(9, 9), dataset="enwik8"):
        ends = a, steps[0], f"r{steps[0]}", b, steps[1], f"r{steps[1]}"
        row = *ends, dataset, *layers, name, penalty, error, converged
        self.connection.execute(f"insert into lab.stitching values ({', '.join('?' * len(row))})", row)

    def drawn(self, **asked):
        return figure("stitching", self.connection, **asked)


@pytest.fixture
def planted():
    return Planted()


def titles(drawn):
    return [[axes.get_title(loc="left") for axes in part.axes] for part in drawn.subfigs]


def points(axes, name):
    """(place, penalty) of each point of a map."""
    (found,) = (one for one in axes.collections if one.get_label() == name)
    return found.get_offsets()


def test_both_directions_stand_side_by_side_on_one_axis_with_a_line_at_0(planted):
    planted.stitch("a", "b", (1, 1), 0.2)
    planted.stitch("b", "a", (1, 1), 0.4)
    planted.stitch("a", "c", (1, 1), 0.3)
    drawn = planted.drawn()
    assert titles(drawn) == [
        ["bottom: a step 9\ntop: b step 9", "bottom: b step 9\ntop: a step 9"],
        ["bottom: a step 9\ntop: c step 9"],
    ]
    first, second = drawn.subfigs[0].axes
    assert first.get_ylim() == second.get_ylim()
    assert any(list(line.get_ydata()) == [0, 0] for line in first.lines)
    assert (points(first, "affine")[0, 1], points(second, "affine")[0, 1]) == (0.2, 0.4)


def test_pairs_of_layers_are_in_the_order_of_depth_with_bars_of_two_standard_errors(planted):
    for layers, penalty in (((10, 2), 0.3), ((2, 2), 0.1), ((2, 3), 0.2)):
        planted.stitch("a", "b", layers, penalty, error=penalty / 10)
    (axes,) = planted.drawn().subfigs[0].axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2:2", "2:3", "10:2"]
    np.testing.assert_allclose(points(axes, "affine"), [[0, 0.1], [1, 0.2], [2, 0.3]])
    bars = np.array(axes.containers[0].lines[2][0].get_segments())[:, :, 1]
    np.testing.assert_allclose(bars[:, 1] - bars[:, 0], [0.04, 0.08, 0.12])


def test_each_map_has_its_colour_and_is_hollow_where_its_training_had_not_converged(planted):
    planted.stitch("a", "b", (1, 1), 0.2, converged=False)
    planted.stitch("a", "b", (1, 1), 0.3, "identity", converged=None)
    planted.stitch("a", "b", (1, 1), None, "linear")
    drawn = planted.drawn()
    shown = [one for one in drawn.subfigs[0].axes[0].collections if one.get_label() in ("affine", "identity")]
    faces = {one.get_label(): one.get_facecolors()[0].tolist() for one in shown}
    assert faces["affine"] == [1, 1, 1, 1]
    assert faces["identity"] == [*to_rgb(DISTINCT[4]), 1]
    names = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert names == ["affine", "identity", "hollow: its training had not converged", "bars: ± 2 standard errors"]
    assert drawn.legends[0].get_lines()[1].get_color() == DISTINCT[4]


def test_penalties_of_many_sizes_have_a_logarithmic_axis_that_shows_0(planted):
    planted.stitch("a", "b", (1, 1), 0.02)
    assert planted.drawn().subfigs[0].axes[0].get_yscale() == "linear"
    planted.stitch("a", "b", (1, 1), 6.0, "identity", error=None)
    (axes,) = planted.drawn().subfigs[0].axes
    assert axes.get_yscale() == "symlog"
    assert axes.get_ylabel() == "penalty (nats a token)\nlogarithmic beyond ±0.1"


def test_only_the_newest_two_checkpoints_are_drawn_in_both_directions(planted):
    for steps in ((16, 64), (64, 16), (16, 16)):
        planted.stitch("a", "a", (1, 1), 0.1, steps=steps)
    assert titles(planted.drawn()) == [["bottom: a step 16\ntop: a step 64", "bottom: a step 64\ntop: a step 16"]]


def test_what_cannot_be_drawn_is_one_line(planted):
    with pytest.raises(BadInput, match=r"^there is no stitching to draw: run `isoscope stitch` first$"):
        planted.drawn()
    for place in range(7):
        planted.stitch("a", f"b{place}", (1, 1), 0.1)
    with pytest.raises(BadInput, match="a figure holds 6 pairs of networks; 7 have rows: name two models"):
        planted.drawn()
    assert titles(planted.drawn(models=["a", "b3"])) == [["bottom: a step 9\ntop: b3 step 9"]]
    with pytest.raises(BadInput, match="no stitching to draw for 'a', 'enwik9'"):
        planted.drawn(models=["a"], datasets=["enwik9"])
