"""The figure of the drift, from planted rows of the views: the last step alone, every plane, and what cannot be drawn."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import pytest

from service.errors import BadInput
from service.report.drift_figure import COLUMNS
from service.report.figures import as_png, figure

ABOUT = "model varchar, kind varchar, step bigint, revision varchar, dataset varchar"
VIEWS = {
    "layer_drift": "layer int, stream varchar, " + ", ".join(f"{name} double" for name in COLUMNS),
    "drift_points": (
        "procedure varchar, reduction varchar, normalised boolean, from_layer int, layer int, item_id bigint, "
        "char_end bigint, position bigint, x double, y double"
    ),
    "drift_explained_variance": (
        "procedure varchar, normalised boolean, from_layer int, component int, explained_variance double"
    ),
    "norm_growth": (
        "rate double, rate_std_error double, r_squared_exponential double, r_squared_linear double, note varchar"
    ),
}


class Planted:
    """Schema ``lab`` as tables, with the drift of checkpoints that a test asks for."""

    def __init__(self):
        self.connection = duckdb.connect()
        self.connection.execute("create schema lab")
        for view, columns in VIEWS.items():
            self.connection.execute(f"create table lab.{view} ({ABOUT}, {columns})")

    def add(self, view, about, *values):
        marks = ", ".join("?" * (len(about) + len(values)))
        self.connection.execute(f"insert into lab.{view} values ({marks})", [*about, *values])

    def checkpoint(self, model="tiny", step=64, layers=4, rate=0.4, planes=(("pca", False, 0), ("umap", True, 1))):
        about = (model, "decoder", step, f"r{step}", "enwik8")
        for layer in range(layers):
            norm = 2 * math.exp((rate or 0) * layer)
            ends = [None if layer == layers - 1 else 1.0] * len(COLUMNS)
            values = dict(zip(COLUMNS, ends, strict=True)) | {"norm_min": norm / 2, "norm_max": norm * 2}
            values |= {"norm_mean": norm, "norm_mean_not_first": norm}
            self.add("layer_drift", about, layer, "residual" if layer else "embedding", *values.values())
        self.add("norm_growth", about, rate, 0.01, None if rate is None else 0.99, 0.8, None)
        for reduction, normalised, first in planes:
            for layer in range(first, layers):
                for place in range(5):
                    plane = "corrected", reduction, normalised, first, layer
                    self.add("drift_points", about, *plane, 0, place, place, layer + 0.1 * place, place)
        self.add("drift_explained_variance", about, "corrected", False, 0, 1, 0.5)


@pytest.fixture
def planted():
    """An empty one."""
    store = Planted()
    yield store
    store.connection.close()


def by_title(drawn):
    return {axes.get_title(loc="left"): axes for axes in drawn.axes}


def test_the_planes_of_the_last_step_are_drawn_and_the_others_say_that_they_are_empty(planted):
    planted.checkpoint(step=0, layers=4)
    planted.checkpoint(step=64, layers=4)
    cells = by_title(figure("drift", planted.connection))
    points, centres = cells["PCA, raw"].collections
    assert (len(points.get_offsets()), len(centres.get_offsets())) == (20, 4)
    assert np.allclose(centres.get_offsets()[2], [2.2, 2])
    assert cells["PCA, raw"].get_xlabel() == "component 1 (50.0 % of the variance)"
    assert cells["PCA, raw"].get_ylabel() == "component 2"
    (points,) = cells["UMAP, length 1, without the embedding"].collections
    assert sorted(set(points.get_array())) == [1, 2, 3]
    assert [text.get_text() for text in cells["t-SNE, raw"].texts] == ["no points"]


def test_the_fitted_exponential_lies_on_norms_that_grow_so(planted):
    planted.checkpoint(rate=0.4)
    (axes,) = [axes for title, axes in by_title(figure("drift", planted.connection)).items() if "norm;" in title]
    assert axes.get_yscale() == "log"
    (fitted,) = [line for line in axes.lines if line.get_label().startswith("exponential: 0.4 ± 0.01 nats")]
    assert np.allclose(fitted.get_xdata(), [1, 2, 3])
    assert np.allclose(fitted.get_ydata(), 2 * np.exp(0.4 * np.array([1, 2, 3])))


def test_an_undefined_rate_and_a_checkpoint_without_a_step_are_drawn_too(planted):
    planted.checkpoint(step=None, rate=None, planes=())
    drawn = figure("drift", planted.connection)
    assert not any("exponential" in line.get_label() for axes in drawn.axes for line in axes.lines)
    assert as_png(drawn, 30).startswith(b"\x89PNG")


def test_what_cannot_be_drawn_says_what_to_do(planted):
    with pytest.raises(BadInput) as caught:
        figure("drift", planted.connection)
    assert str(caught.value) == "no rows of lab.layer_drift for any model: run `isoscope drift` first"
    for index in range(5):
        planted.checkpoint(f"m{index}", planes=())
    with pytest.raises(BadInput, match="a figure holds the drift of 4 networks, one a model and dataset; 5 have rows"):
        figure("drift", planted.connection)
    assert len(by_title(figure("drift", planted.connection, ["m1"]))) > 12
