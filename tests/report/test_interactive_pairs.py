"""Two networks in the report: heat maps whose brightness means alike, and the map, both from the SQL that is shown."""

from __future__ import annotations

import base64
import json
from itertools import combinations_with_replacement

import numpy as np
import pytest
from planted_pairs import Pairs, apart, places

from service.errors import BadInput
from service.report import interactive_map as module
from service.report import page
from service.report.asking import Answer, figures
from service.report.charts import Section
from service.report.interactive_cells import cells
from service.report.interactive_map import interactive_map
from service.report.map_figure import styles
from service.report.network_map import network_map
from service.report.similarity_section import SIMILARITY

MAP, CELLS = (next(chart for chart in SIMILARITY.charts if chart.kind == kind) for kind in ("map", "cells"))


@pytest.fixture
def pairs():
    found = Pairs()
    at = places("ab")
    found.compare("a", "b", apart(at), (2, 3), steps=(5, 5))
    found.compare("a", "b", lambda a, b: 10 * a[1] + b[1], (2, 3), null_mean=4.0)
    found.compare("a", "b", lambda a, b: a[1] + b[1], (2, 3), measure="linear_cka", larger_is_more_alike=True)
    return found


def heat_maps(pairs):
    ((name, answer),), total = figures(pairs.connection, CELLS, {})
    assert (name, total) == ("a and b on enwik8", 1)
    return json.loads(cells(CELLS, name, answer)[0])


def as_array(values):
    """A column of Plotly's JSON, which has numbers as base64 where they were arrays."""
    return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]) if isinstance(values, dict) else values


def test_a_cell_is_a_pair_of_layers_of_the_newest_checkpoints_the_second_network_to_the_right(pairs):
    cka, angular = heat_maps(pairs)["data"]
    assert (cka["name"], angular["name"]) == ("linear_cka", "procrustes_angular")
    assert (list(as_array(angular["x"])), list(as_array(angular["y"]))) == ([0, 1, 2], [0, 1])
    assert angular["z"] == [[0, 1, 2], [10, 11, 12]]
    assert (cka.get("visible", True), angular["visible"]) == (True, False)
    assert angular["customdata"][1][2][:3] == ["procrustes_angular", "12", "8"]


def test_brighter_is_more_alike_whichever_way_a_measure_runs(pairs):
    cka, angular = heat_maps(pairs)["data"]
    assert [one["colorscale"][-1][1] for one in (cka, angular)] == ["#fde725"] * 2  # the bright end of viridis
    assert (cka["reversescale"], angular["reversescale"]) == (False, True)


def test_buttons_take_chance_off_all_measures_and_a_choice_shows_one(pairs):
    ways, choice = heat_maps(pairs)["layout"]["updatemenus"]
    value, less = (button["args"][0]["z"] for button in ways["buttons"])
    np.testing.assert_allclose(np.array(value) - np.array(less), [np.full((2, 3), 1.5), np.full((2, 3), 4.0)])
    shown = {button["label"]: button["args"][0]["visible"] for button in choice["buttons"]}
    assert shown == {"linear_cka": [True, False], "procrustes_angular": [False, True]}


def test_without_random_pairings_there_is_no_chance_to_take_off(pairs):
    pairs.connection.execute("update lab.network_dissimilarity set above_null = null")
    pairs.connection.execute("delete from lab.network_dissimilarity where measure = 'linear_cka'")
    assert "updatemenus" not in heat_maps(pairs)["layout"]


def test_an_undefined_value_is_an_empty_cell(pairs):
    pairs.connection.execute("update lab.network_dissimilarity set value = null where layer_a = 1 and layer_b = 0")
    assert heat_maps(pairs)["data"][1]["z"] == [[0, 1, 2], [None, 11, 12]]


def compared(networks, itself=True):
    found, at = Pairs(), places(networks)
    for a, b in combinations_with_replacement(networks, 2):
        if itself or a != b:
            found.compare(a, b, apart(at))
    return found


def test_the_map_of_the_page_is_that_of_the_figure_each_point_named_and_layer_0_hollow():
    ((name, answer),), _ = figures(compared("abc").connection, MAP, {})
    drawn = json.loads(interactive_map(MAP, name, answer)[0])
    plane, looks = network_map(answer.rows).planes[0], styles("abc")
    for network, trace in zip("abc", drawn["data"], strict=True):
        found = zip(*(as_array(trace[column]) for column in ("customdata", "x", "y")), strict=True)
        assert sorted(found) == plane.of(network)
        assert trace["marker"]["symbol"][-1] == trace["marker"]["symbol"][0] + "-open"
        assert trace["marker"]["color"] == looks[network].colour
        assert trace["hovertemplate"].startswith(f"{network} step 100<br>layer %{{customdata}}")
    assert drawn["layout"]["title"]["text"] == "Map of the networks: enwik8, procrustes_angular"
    assert drawn["layout"]["annotations"][0]["text"] == plane.said
    assert drawn["layout"]["yaxis"]["scaleanchor"] == "x"
    assert set(module.SYMBOLS) == {look.marker for look in styles([str(place) for place in range(7)]).values()}


def test_planes_of_single_layers_share_scale_and_legend():
    ((name, answer),), _ = figures(compared("abc", itself=False).connection, MAP, {})
    drawn = json.loads(interactive_map(MAP, name, answer)[0])
    assert [trace["showlegend"] for trace in drawn["data"]] == [True] * 3 + [False] * 6
    sizes = [np.ptp(drawn["layout"][axis]["range"]) for axis in ("xaxis", "xaxis2", "xaxis3", "yaxis", "yaxis3")]
    assert sizes == pytest.approx([sizes[0]] * 5)


def test_a_map_that_cannot_be_drawn_or_is_not_whole_is_refused():
    ((name, answer),), _ = figures(compared("a").connection, MAP, {})
    with pytest.raises(BadInput, match="a map needs two networks"):
        interactive_map(MAP, name, answer)
    short = Answer(answer.sql, answer.columns, answer.rows[:3], 4000)
    with pytest.raises(BadInput, match="4,000 distances are more than a page holds: name fewer models"):
        interactive_map(MAP, name, short)


def test_the_page_says_which_comparisons_a_map_lacks():
    found = Pairs()
    found.compare("a", "b", lambda a, b: 1.0, (3, 4))
    part = page._part(found.connection, Section("Alike?", "", (MAP,)), {})
    assert part.is_empty
    assert part.notes[0] == (
        "Map of the networks: enwik8: the distances for a map of a, b are not complete: run `isoscope compare a a --measure "
        "procrustes_angular`, `isoscope compare b b --measure procrustes_angular`."
    )
