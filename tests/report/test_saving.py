"""Figures as files and as bytes."""

from __future__ import annotations

import io
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from service.errors import StoreNotWritable
from service.report.figures import as_png, figure, save


def test_a_saved_figure_is_a_png_that_shows_something_and_an_svg_that_parses(trained, tmp_path):
    drawn = figure("anisotropy", trained.connection, models=["wide"])
    png, svg = save(drawn, tmp_path / "new" / "folder", "anisotropy")
    pixels = imread(png)
    assert pixels.shape[1] > pixels.shape[0] > 300
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 100
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert sorted(path.name for path in png.parent.iterdir()) == ["anisotropy.png", "anisotropy.svg"]


def test_the_same_rows_give_the_same_bytes(trained, tmp_path):
    first, second = (
        [
            path.read_bytes()
            for path in save(figure("norms", trained.connection, models=["wide"]), tmp_path / name, "norms")
        ]
        for name in "ab"
    )
    assert first == second


def test_a_figure_is_png_bytes_for_an_artifact(released):
    content = as_png(figure("norms", released.connection))
    assert imread(io.BytesIO(content)).std() > 0.01


def test_a_folder_that_cannot_be_written_is_named_in_one_line(released, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreNotWritable, match=r"cannot write the figure 'norms' to .*file.*; choose another folder"):
        save(figure("norms", released.connection), tmp_path / "file", "norms")


def test_pyplot_and_its_global_state_stay_out_of_it():
    loaded = "import sys, service.report.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=Path(__file__).parents[2]).returncode == 0
