"""The removal curve, from planted rows of the view."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from service.errors import BadInput
from service.report.figures import figure

MEASURED = ("accuracy", "centroid", "network_accuracy")
COLUMNS = (
    "concept varchar, ensemble varchar, dataset varchar, probed_on varchar, method varchar, attributed_layer int, "
    "concept_id varchar, layer int, removal varchar, removed bigint, share_removed double, chance double"
) + "".join(f", {name}{end} double" for name in MEASURED for end in ("", "_low", "_high"))


class Planted:
    """Schema ``lab`` with the removals that a test asks for."""

    def __init__(self):
        self.connection = duckdb.connect()
        self.connection.execute(f"create schema lab; create table lab.concept_counterfactuals ({COLUMNS})")

    def retrain(self, removal, removed, accuracy, reach=0.05, network=0.9, layer=None, ensemble="vit x 3"):
        low, high = (None, None) if reach is None else (accuracy - reach, accuracy + reach)
        found = [accuracy, low, high, 2.5, 2.0, 3.0, network, network, network]
        row = "loop", ensemble, "train", "test", "trak", 1, "c", layer, removal, removed, removed / 100, 0.6, *found
        self.connection.execute(f"insert into lab.concept_counterfactuals values ({', '.join('?' * len(row))})", row)

    def drawn(self, **asked):
        return figure("removal", self.connection, **asked)


@pytest.fixture
def planted():
    made = Planted()
    made.retrain("none", 0, 0.9)
    return made


def lines(axes):
    """(shares, values) of each line by its name."""
    return {one.get_label(): np.array(one.lines[0].get_xydata()) for one in axes.containers}


def bars(axes, name):
    (found,) = (one for one in axes.containers if one.get_label() == name)
    return np.array(found.lines[2][0].get_segments())[:, :, 1]


def test_every_line_begins_where_nothing_was_taken_and_goes_by_share(planted):
    for removal in ("random", "top"):
        for removed, accuracy in ((30, 0.6), (10, 0.8)):
            planted.retrain(removal, removed, accuracy)
            planted.retrain(removal, removed, 0.1, layer=2)
    (part,) = planted.drawn().subfigs
    accuracy, centroid, network = part.axes
    found = lines(accuracy)
    assert list(found) == ["top", "random"]
    np.testing.assert_allclose(found["top"][:, 1], [0.9, 0.8, 0.6])
    np.testing.assert_allclose(found["top"][:, 0], [0, 0.1, 0.3], atol=0.005)
    assert found["top"][1, 0] < 0.1 < found["random"][1, 0]
    np.testing.assert_allclose(lines(centroid)["top"][:, 1], [2.5] * 3)
    np.testing.assert_allclose(bars(centroid, "top"), [[2, 3]] * 3)
    assert lines(network)["random"][0, 1] == 0.9
    assert [line.get_ydata()[0] for line in accuracy.lines if list(line.get_xdata()) == [0, 1]] == [0.6]


def test_bars_end_where_a_share_does_and_one_network_has_none(planted):
    planted.retrain("top", 10, 0.98)
    planted.retrain("top", 20, 0.5, reach=None)
    found = bars(planted.drawn().subfigs[0].axes[0], "top")
    np.testing.assert_allclose(found, [[0.85, 0.95], [0.93, 1.0], [0.5, 0.5]])


def test_what_nobody_measured_has_no_panel_and_each_ensemble_a_row(planted):
    planted.connection.execute("delete from lab.concept_counterfactuals")
    for ensemble in ("vit x 3", "text x 3"):
        planted.retrain("none", 0, 0.9, network=None, ensemble=ensemble)
        planted.retrain("exemplars", 5, 0.8, network=None, ensemble=ensemble)
    drawn = planted.drawn()
    assert [part._suptitle.get_text() for part in drawn.subfigs] == [
        "loop in text x 3 on train, attributed at layer 1 by trak",
        "loop in vit x 3 on train, attributed at layer 1 by trak",
    ]
    assert [len(part.axes) for part in drawn.subfigs] == [2, 2]
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == [
        "exemplars of the concept",
        "chance: the commoner class",
        "bars: 95 % intervals over networks, cut at 0 and 1",
    ]


def test_networks_that_nothing_was_taken_from_are_drawn_alone(planted):
    assert list(lines(planted.drawn().subfigs[0].axes[0])) == ["none"]


def test_what_cannot_be_drawn_is_one_line(planted):
    assert len(planted.drawn(models=["vit x 3"], datasets=["test"]).subfigs) == 1
    with pytest.raises(BadInput, match="no removal to draw for 'gpt': run `isoscope attribute` with --retrain first"):
        planted.drawn(models=["gpt"])
    for place in range(6):
        planted.retrain("none", 0, 0.9, ensemble=f"net {place}")
    with pytest.raises(BadInput, match="a figure holds 6 concepts; 7 have rows: name an ensemble and a dataset"):
        planted.drawn()
    planted.connection.execute("delete from lab.concept_counterfactuals")
    with pytest.raises(BadInput, match=r"^there is no removal to draw: run `isoscope attribute` with --retrain first$"):
        planted.drawn()
