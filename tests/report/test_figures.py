"""What is drawn is what the rows say, and it is drawn so that it can be read."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from service.errors import BadInput, UnknownName
from service.report.figures import KINDS, as_png, figure
from service.report.panels import step_label, thinned

STEPS = [0, 1, 16, 256, 1000]
# figures whose own tests see what an empty store is told
TELL_THEMSELVES = {
    "concept", "drift", "early-warning", "edits", "map", "removal", "separability", "similarity", "stitching", "tradeoff",
}  # fmt: skip


def heat_maps(drawn):
    return [axes for axes in drawn.axes if axes.images]


def curves(drawn):
    return [axes for axes in drawn.axes if axes.lines]


def bars(drawn):
    return [axes for axes in drawn.axes if axes.get_label() == "<colorbar>"]


def legend_of(drawn):
    return [text.get_text() for text in drawn.legends[0].get_texts()]


def overlapping(drawn):
    """Pairs of texts that lie on each other."""
    renderer = FigureCanvasAgg(drawn).get_renderer()
    drawn.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts(drawn) if text.get_text().strip()]
    return [
        (one, other)
        for index, (one, box) in enumerate(boxes)
        for other, second in boxes[index + 1 :]
        if box.shrunk(0.9, 0.8).overlaps(second.shrunk(0.9, 0.8))
    ]


def texts(drawn):
    """Everything that can be read in a figure."""
    yield drawn._suptitle
    for legend in (*drawn.legends, *(axes.get_legend() for axes in drawn.axes)):
        yield from legend.get_texts() if legend else ()
    for axes in drawn.axes:
        yield from (axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            yield from (
                label
                for tick in ticks
                if low <= tick.get_loc() <= high
                for label in (tick.label1, tick.label2)
                if label.get_visible()
            )


@pytest.mark.parametrize("kind", ["anisotropy", "intrinsic-dimension", "norms"])
def test_there_is_one_heat_map_and_one_set_of_curves_for_each_model_and_dataset(trained, kind):
    drawn = figure(kind, trained.connection)
    titles = [axes.get_title(loc="left") for axes in heat_maps(drawn)]
    kinds = {"masked": "encoder", "narrow": "decoder", "wide": "decoder"}
    assert titles == [
        f"{model} ({kinds[model]})\non {dataset}"
        for model in kinds
        for dataset in ("python-reference", "random-tokens")
    ]
    assert len(curves(drawn)) == len(titles)


@pytest.mark.parametrize(
    ("kind", "view", "column"),
    [
        ("anisotropy", "anisotropy_by_layer", "anisotropy"),
        ("intrinsic-dimension", "intrinsic_dimension_by_layer", "twonn"),
        ("norms", "norms_by_layer", "norm_mean"),
    ],
)
def test_a_heat_map_is_the_view_with_layers_upwards_and_steps_in_order(trained, kind, view, column):
    drawn = figure(kind, trained.connection, models=["wide"], datasets=["random-tokens"])
    rows = trained.connection.execute(
        f"select {column} from lab.{view} where model = 'wide' and dataset = 'random-tokens' order by layer, step"
    ).fetchall()
    (axes,) = heat_maps(drawn)
    expected = np.array(rows).reshape(8, len(STEPS))
    np.testing.assert_array_equal(axes.images[0].get_array(), expected)
    assert axes.images[0].origin == "lower"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "16", "256", "1k"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1", "2", "3", "4", "5", "6", "norm"]


def test_all_heat_maps_share_one_colour_scale_and_one_bar(trained):
    drawn = figure("anisotropy", trained.connection)
    lowest, highest = trained.connection.execute(
        "select min(anisotropy), max(anisotropy) from lab.anisotropy_by_layer"
    ).fetchone()
    assert {axes.images[0].get_clim() for axes in heat_maps(drawn)} == {(lowest, highest)}
    assert sorted(axes.get_ylabel() for axes in bars(drawn)) == ["anisotropy (heat maps)", "training step (lines)"]


def test_every_step_is_a_line_with_a_band_and_the_last_step_is_dashed_without_first_tokens(trained):
    drawn = figure("anisotropy", trained.connection, models=["wide"], datasets=["random-tokens"])
    (axes,) = curves(drawn)
    *steps, dashed = axes.lines
    rows = trained.connection.execute(
        "select anisotropy, anisotropy_not_first, std_error from lab.anisotropy_by_layer "
        "where model = 'wide' and dataset = 'random-tokens' and step = 1000 order by layer"
    ).fetchall()
    values, not_first, errors = np.array(rows).T
    assert len(steps) == len(axes.collections) == len(STEPS)
    np.testing.assert_array_equal(steps[-1].get_ydata(), values)
    np.testing.assert_array_equal(dashed.get_ydata(), not_first)
    assert dashed.get_linestyle() == "--"
    assert dashed.get_color() == steps[-1].get_color()
    band = axes.collections[-1].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx((values + 2 * errors).max())
    assert legend_of(drawn) == [
        "anisotropy, all tokens (band: ± 2 standard errors)",
        "without first tokens (last step)",
    ]


def test_of_very_many_steps_an_even_choice_has_lines_and_the_title_says_so(lab, training):
    training(lab, "long", "decoder", "x", list(range(0, 100_000, 1000)))
    drawn = figure("anisotropy", lab.connection)
    (axes,) = curves(drawn)
    assert len(axes.lines) == 24 + 1
    last = lab.connection.execute("select anisotropy from lab.anisotropy_by_layer where step = 99000 order by layer")
    np.testing.assert_array_equal(axes.lines[-2].get_ydata(), np.array(last.fetchall())[:, 0])
    assert axes.get_title(loc="left") == "one line a step, 24 of 100 steps"
    assert heat_maps(drawn)[0].images[0].get_array().shape == (8, 100)
    assert overlapping(drawn) == []


def test_a_colour_means_the_same_step_in_every_panel(lab, training):
    training(lab, "short", "decoder", "x", [0, 16])
    training(lab, "long", "decoder", "x", STEPS)
    long, short = curves(figure("anisotropy", lab.connection))
    assert short.lines[1].get_color() == long.lines[2].get_color()


def test_the_middle_layer_is_followed_over_steps_with_errors_and_its_gaussian_reference(trained):
    drawn = figure("intrinsic-dimension", trained.connection, models=["wide"], datasets=["random-tokens"])
    (axes,) = curves(drawn)
    rows = trained.connection.execute(
        "select step, twonn, std_error, twonn_gaussian from lab.intrinsic_dimension_by_layer "
        "where model = 'wide' and dataset = 'random-tokens' and layer = 3 order by step"
    ).fetchall()
    steps, values, errors, gaussian = np.array(rows).T
    dashed, _, plain = (container.lines[0] for container in axes.containers)
    np.testing.assert_array_equal(plain.get_xydata(), np.stack([steps, values], 1))
    np.testing.assert_array_equal(dashed.get_ydata(), gaussian)
    assert dashed.get_linestyle() == "--"
    segments = np.array(axes.containers[-1].lines[2][0].get_segments())
    np.testing.assert_allclose(segments[:, 1, 1] - segments[:, 0, 1], 4 * errors)
    assert axes.get_title(loc="left") == "layer 3, the middle one, over training"
    assert "Gaussian cloud of the same spectrum" in legend_of(drawn)


def test_norms_show_the_smallest_and_largest_on_a_logarithmic_axis(trained):
    drawn = figure("norms", trained.connection, models=["wide"], datasets=["random-tokens"])
    (axes,) = curves(drawn)
    rows = trained.connection.execute(
        "select norm_min, norm_max, norm_max_not_first from lab.norms_by_layer "
        "where model = 'wide' and dataset = 'random-tokens' and step = 1000 order by layer"
    ).fetchall()
    for line, values in zip(axes.lines[-3:], np.array(rows).T, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert axes.get_yscale() == "log"
    assert len(legend_of(drawn)) == 4


def test_the_loss_has_a_line_a_model_on_an_axis_that_shows_step_0(trained):
    drawn = figure("loss", trained.connection)
    assert [axes.get_title(loc="left") for axes in drawn.axes] == ["on python-reference", "on random-tokens"]
    for axes in drawn.axes:
        assert len(axes.containers) == 3
        np.testing.assert_array_equal(axes.containers[0].lines[0].get_xdata(), STEPS)
        assert axes.get_xscale() == "symlog"
        assert axes.get_xlim()[0] < 0
        names = [text.get_text() for text in axes.get_legend().get_texts()]
        assert names == ["masked (encoder)", "narrow (decoder)", "wide (decoder)"]


@pytest.mark.parametrize("kind", ["anisotropy", "intrinsic-dimension", "norms"])
def test_one_checkpoint_without_a_step_has_curves_alone_named_by_its_revision(released, kind):
    drawn = figure(kind, released.connection)
    assert heat_maps(drawn) == bars(drawn) == []
    (axes,) = drawn.axes
    assert axes.get_title(loc="left") == "stories260K-hf (decoder)\non test.txt"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["revision 01234567"]
    assert not any("last step" in text for text in legend_of(drawn))


def test_the_loss_of_a_checkpoint_without_a_step_is_a_level_line(released):
    (axes,) = figure("loss", released.connection).axes
    (line,) = axes.lines
    assert len(set(line.get_ydata())) == 1
    assert line.get_label() == "stories260K-hf (decoder), revision 01234567"


def test_a_layer_without_a_value_is_left_blank(lab):
    for step in (0, 10):
        lab.dimension("d", [5.0, None, 7.0, 6.0], step=step, gaussian=[9.0] * 4, not_first=[5.0] * 4)
    (axes,) = heat_maps(figure("intrinsic-dimension", lab.connection))
    assert axes.images[0].get_array().mask.sum() == 2


def test_a_view_of_nothing_but_undefined_values_can_be_drawn(lab):
    for step in (0, 10):
        lab.dimension("d", [None] * 4, step=step)
    assert as_png(figure("intrinsic-dimension", lab.connection))


def test_no_text_lies_on_another_with_many_models_steps_and_long_names(lab, training):
    steps = [0, *(2**power for power in range(10)), *range(1000, 10_000, 1000)]
    choices = "[tokens=50000,sample=2000]"
    for model in ("EleutherAI/pythia-410m-deduped", "some-organisation/a-long-model-name-7b-instruct-v0.3"):
        for dataset in (f"python-reference{choices}", f"hf:wikitext:wikitext-103-raw-v1:test{choices}"):
            training(lab, model, "decoder", dataset, steps, blocks=24)
    for kind in ("norms", "loss"):
        assert overlapping(figure(kind, lab.connection)) == [], kind


def test_a_model_without_rows_is_refused_in_one_line_that_says_what_to_do(trained):
    with pytest.raises(BadInput) as caught:
        figure("norms", trained.connection, models=["wide", "gpt2"])
    assert str(caught.value) == "no rows of lab.norms_by_layer for model 'gpt2': run `isoscope shape` on it first"
    with pytest.raises(BadInput, match="for model 'wide' with dataset 'enwik8': run `isoscope shape`"):
        figure("loss", trained.connection, models=["wide"], datasets=["enwik8"])


@pytest.mark.parametrize("kind", sorted(set(KINDS) - TELL_THEMSELVES))
def test_an_empty_store_is_told_to_measure_first(lab, kind):
    with pytest.raises(BadInput, match=r"no rows of lab\.\w+ for any model: run `isoscope shape` first"):
        figure(kind, lab.connection)


def test_an_unknown_figure_is_answered_with_the_nearest(lab):
    with pytest.raises(UnknownName, match="unknown figure 'anisotropie': did you mean 'anisotropy'"):
        figure("anisotropie", lab.connection)


def test_more_panels_than_can_be_read_are_refused(lab):
    for index in range(25):
        lab.anisotropy(f"m{index}", [0.1, 0.2, 0.3])
    with pytest.raises(BadInput, match="at most 24 panels, one a model and dataset; 25 have rows"):
        figure("anisotropy", lab.connection)


def test_steps_are_short_and_thinned_with_both_ends():
    assert [step_label(step) for step in (0, 512, 1000, 1024, 1500, 143000, 1_500_000)] == [
        "0", "512", "1k", "1024", "1.5k", "143k", "1.5M",
    ]  # fmt: skip
    assert thinned(3, 20) == [0, 1, 2]
    assert thinned(154, 20)[0] == 0
    assert thinned(154, 20)[-1] == 153
    assert len(thinned(154, 20)) == 20
