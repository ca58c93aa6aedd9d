"""The claims hold on planted shapes that have them, and not on those that have not."""

from __future__ import annotations

import duckdb
import pytest

from service.report.claims import Point, bell_shaped, grows, judge, more_uniform, rises_then_falls

BELL = [0.10, 0.30, 0.50, 0.60, 0.50, 0.30]
FLAT = [0.30, 0.31, 0.30, 0.31, 0.30, 0.31]
RISING = [0.10, 0.20, 0.30, 0.40, 0.50, 0.60]


def verdicts(lab, **wanted):
    claims = judge(lab.connection, **wanted)
    return {claim.statement: claim for claim in claims}


def only(lab, *words, **wanted):
    found = [claim for text, claim in verdicts(lab, **wanted).items() if all(word in text for word in words)]
    (claim,) = [claim for claim in found if ("without first" in claim.statement) == ("without first tokens" in words)]
    return claim


def planted(lab, values, *, model="d", kind="decoder", **given):
    lab.model(model, kind)
    lab.anisotropy(model, [*values, 0.9], kind=kind, **given)


def test_a_dome_of_anisotropy_is_bell_shaped_and_its_numbers_are_shown(lab):
    planted(lab, BELL)
    claim = only(lab, "bell-shaped", "python-reference")
    assert claim.holds is True
    assert claim.numbers == (
        "largest inside 0.6 ± 0.005 at layer 3 of 5; first layer 0.1 ± 0.005, last layer 0.3 ± 0.005"
    )
    assert "arXiv:2311.05928" in claim.source


@pytest.mark.parametrize("values", [FLAT, RISING, RISING[::-1], [*BELL[:3], 0.2, 0.4, 0.9]])
def test_a_flat_or_monotone_curve_is_not_bell_shaped(lab, values):
    planted(lab, values)
    assert only(lab, "bell-shaped", "python-reference").holds is False


def test_the_state_after_the_last_norm_is_no_end_of_the_bell(lab):
    planted(lab, BELL)  # the final state, 0.9, lies above the dome
    assert only(lab, "bell-shaped", "python-reference").holds is True


def test_a_dome_within_the_noise_does_not_hold(lab):
    planted(lab, BELL, std_error=0.2)
    assert only(lab, "bell-shaped", "python-reference").holds is False


def test_a_dome_made_by_first_tokens_holds_only_with_them(lab):
    planted(lab, BELL, not_first=[*FLAT, 0.3])
    assert only(lab, "bell-shaped", "python-reference").holds is True
    assert only(lab, "bell-shaped", "python-reference", "without first tokens").holds is False


def test_only_the_last_step_is_judged_for_its_shape(lab):
    planted(lab, BELL, step=10)
    lab.anisotropy("d", [*FLAT, 0.9], step=2000)
    assert only(lab, "bell-shaped", "python-reference").holds is False


def test_a_checkpoint_without_a_step_is_judged_for_its_shape_but_not_for_training(lab):
    planted(lab, BELL, step=None, revision="abc")
    assert only(lab, "bell-shaped", "python-reference").holds is True
    growth = only(lab, "grows")
    assert growth.holds is None
    assert growth.numbers == "no rows"


def test_two_revisions_at_the_last_step_are_not_mixed(lab):
    planted(lab, BELL, step=None, revision="abc")
    lab.anisotropy("d", [*FLAT, 0.9], step=None, revision="def")
    claim = only(lab, "bell-shaped", "python-reference")
    assert claim.holds is None
    assert claim.numbers == "several revisions at layer 0"


def test_an_encoder_is_more_uniform_when_its_spread_is_smaller_than_every_decoder_s(lab):
    planted(lab, BELL)
    planted(lab, FLAT, model="e", kind="encoder")
    claim = only(lab, "uniform")
    assert claim.holds is True
    assert claim.numbers == "greatest less least over layers: e 0.01 ± 0.007, d 0.5 ± 0.007"
    planted(lab, FLAT, model="d2")
    assert only(lab, "uniform").holds is False


def test_a_store_without_an_encoder_is_told_what_is_lacking(lab):
    planted(lab, BELL)
    claim = only(lab, "uniform")
    assert claim.holds is None
    assert claim.numbers == "no rows of anisotropy for an encoder"
    assert "an encoder (none is known)" in claim.statement


def phases(lab, means, **given):
    lab.model("d")
    for step, mean in means.items():
        lab.dimension("d", [90.0, mean - 1, mean, mean + 1, 90.0], step=step, **given)


def test_a_dimension_that_rises_and_falls_holds_on_the_mean_of_residual_layers(lab):
    phases(lab, {0: 5, 16: 9, 128: 12, 1000: 7})
    claim = only(lab, "rises, then falls", "python-reference")
    assert claim.holds is True
    assert claim.numbers == "step 0: 5 ± 0.1; largest at step 128: 12 ± 0.1; step 1000: 7 ± 0.1"


@pytest.mark.parametrize("means", [{0: 5, 16: 6, 128: 7}, {0: 7, 16: 6, 128: 5}, {0: 5, 16: 5.1, 128: 5}])
def test_a_dimension_that_only_rises_or_falls_or_stays_does_not_hold(lab, means):
    phases(lab, means)
    assert only(lab, "rises, then falls", "python-reference").holds is False


def test_steps_are_ordered_as_numbers(lab):
    phases(lab, {1000: 5, 9: 5, 64: 12})
    assert only(lab, "rises, then falls", "python-reference").holds is True


def test_two_steps_are_too_few_for_phases(lab):
    phases(lab, {0: 5, 16: 9})
    claim = only(lab, "rises, then falls", "python-reference")
    assert claim.holds is None
    assert claim.numbers == "needs three steps or more; there are values at 2"


def test_a_step_with_an_undefined_layer_is_left_out(lab):
    phases(lab, {0: 5, 16: 9, 128: 5})
    lab.dimension("d", [90.0, None, 80.0, 80.0, 90.0], step=64)
    assert "step 16: 9" in only(lab, "rises, then falls", "python-reference").numbers


def test_rows_without_standard_errors_are_not_judged(lab):
    phases(lab, {0: 5, 16: 9, 128: 5}, std_error=None)
    claim = only(lab, "rises, then falls", "python-reference")
    assert claim.holds is None
    assert claim.numbers == "no value or no standard error at step 0"


@pytest.mark.parametrize(("last", "holds"), [(BELL, True), (FLAT, False)])
def test_growth_is_judged_between_step_0_and_the_last(lab, last, holds):
    planted(lab, FLAT, step=0)
    lab.anisotropy("d", [*last, 0.9], step=64)
    claim = only(lab, "grows")
    assert claim.holds is holds
    assert claim.numbers.startswith("step 0: 0.306 ± 0.005; step 64: ")


def test_growth_is_not_judged_without_step_0(lab):
    planted(lab, FLAT, step=8)
    lab.anisotropy("d", [*BELL, 0.9], step=64)
    claim = only(lab, "grows")
    assert claim.holds is None
    assert claim.numbers == "needs step 0 and a later one; there are steps 8 to 64"


def test_random_tokens_are_judged_by_the_same_rules_on_their_own_rows(lab):
    planted(lab, FLAT)
    lab.anisotropy("d", [*BELL, 0.9], dataset="uniform")
    assert only(lab, "bell-shaped", "python-reference").holds is False
    assert only(lab, "bell-shaped", "on uniform", random_dataset="uniform").holds is True
    assert only(lab, "rises, then falls", "on uniform", random_dataset="uniform").numbers == "no rows"


def test_an_empty_store_gives_claims_that_say_what_is_lacking(lab):
    claims = judge(lab.connection)
    assert len(claims) == 10
    assert {claim.holds for claim in claims} == {None}
    assert all(claim.numbers for claim in claims)


def test_the_sql_of_every_claim_runs_by_hand_and_quotes_names(lab, tmp_path):
    planted(lab, BELL, model="it's", dataset="a 'quoted' text")
    lab.connection.execute("checkpoint")
    claims = judge(lab.connection, dataset="a 'quoted' text")
    lab.database.close()
    with duckdb.connect(str(tmp_path / "published.duckdb"), read_only=True) as connection:
        answers = [connection.execute(claim.sql).fetchall() for claim in claims]
    assert claims[0].holds is True
    assert len(answers[0]) == len(BELL)


def test_the_rules_ask_for_enough_points():
    point = Point(0, 1.0, 0.1)
    assert bell_shaped([point, point])[0] is None
    assert rises_then_falls([])[0] is None
    assert grows([]) == (None, "needs step 0 and a later one; there are none")
    assert more_uniform([("e", "encoder", 1, None, None)]) == (None, "a layer has no value or no standard error")
    assert more_uniform([("d", "decoder", None, 0.1, 0.1)] * 2) == (
        None,
        "a model has several revisions and no last step",
    )
