"""What the views make of a concept's probes, of its ensembles and of what is left of it without some items."""

from __future__ import annotations

import shutil

import pytest
from concept_builders import CONCEPT, ENSEMBLE, TRAINED_ON, record_members
from edit_builders import asked
from store_builders import DATASET, FACTS, a_checkpoint, a_run

from service.storage.attribution_rows import About, Retrained, record_attributions
from service.storage.database import open_store

ABOUT = About("a" * 16, ENSEMBLE, CONCEPT.concept_id, 1, "trak", "all", 5, 5, TRAINED_ON.name)
# by removal and seed: accuracy at layers 0 and 1, and the share of the dimensions that holds half of the weights
NONE = [((0.70, 0.90), 0.20), ((0.70, 0.92), 0.20), ((0.70, 0.94), 0.20)]
TOP = [((0.72, 0.60), 0.30), ((0.70, 0.62), 0.32), ((0.71, 0.64), 0.31)]
RANDOM = [((0.70, 0.89), 0.20), ((0.70, 0.91), 0.20), ((0.70, 0.93), 0.20)]
BOTTOM = [((0.70, 0.88), 0.20), ((0.70, 0.92), 0.20), ((0.70, 0.93), 0.20)]
UNTRAINED = [((0.68, 0.60), 0.20), ((0.70, 0.60), 0.20), ((0.69, 0.60), 0.20)]
REMOVED = {("none", 0): NONE, ("top", 10): TOP, ("random", 10): RANDOM, ("bottom", 10): BOTTOM}


def retrained(store, removals, untrained):
    """Networks trained without some items, as if probed: each seed with what it was before its first step."""
    before = [a_checkpoint(0, f"net-{seed}") for seed in range(len(untrained))]
    members = [(one, ENSEMBLE, *found) for one, found in zip(before, untrained, strict=True)]
    rows = []
    for (removal, removed), found in removals.items():
        for seed, probes in enumerate(found):
            checkpoint = a_checkpoint(200, f"net-{removal}-{seed}")
            members.append((checkpoint, removal, *probes))
            made = removal, removed, 1000 - removed, seed, checkpoint.checkpoint_id, 0.9
            rows.append(Retrained(ABOUT, *made, before[seed].checkpoint_id if untrained else None))
    record_members(store, members)
    networks = [(checkpoint, FACTS) for checkpoint, *_ in members]
    run = a_run(members[0][0], 300, experiment="concept_counterfactuals")
    record_attributions(store, run, networks, [DATASET, TRAINED_ON], retrained=rows)


def by_removal(store, columns, where="layer is null"):
    query = f"select removal, {columns} from lab.concept_counterfactuals where {where}"
    return {row.pop("removal"): row for row in asked(store, query)}


def near(*values):
    return pytest.approx(values, abs=1e-6)


@pytest.fixture(scope="module")
def taken(fresh_store, tmp_path_factory):
    """A store with all of these networks."""
    place = tmp_path_factory.mktemp("taken") / "store"
    shutil.copytree(fresh_store, place)
    store = open_store(place, lock_wait=20)
    retrained(store, REMOVED, UNTRAINED)
    return store


def ends(row, name):
    return [row[f"{name}{end}"] for end in ("", "_low", "_high")]


def test_changes_have_intervals_over_networks_each_less_its_own_seed(taken):
    found = by_removal(taken, "* exclude removal")
    # -0.18, -0.22 and -0.23 have the standard error 0.0152753, and Student's t is 4.303
    assert ends(found["top"], "accuracy_change") == near(-0.21, -0.21 - 0.0657296, -0.21 + 0.0657296)
    assert ends(found["random"], "accuracy_change") == near(-0.01, -0.01, -0.01)
    assert ends(found["none"], "accuracy_change") == near(0, 0, 0)
    # 0.10, 0.12 and 0.11: 0.0057735
    assert ends(found["top"], "share_of_weights_50_change") == near(0.11, 0.11 - 0.0248434, 0.11 + 0.0248434)
    # 0.17, 0.15 and 0.16 at layer 0 and 0.05, 0.07 and 0.09 at layer 1, less those of 0.15 and 0.35, 0.37, 0.39
    assert ends(found["top"], "centroid_change") == near(-0.4094354, -0.5509933, -0.2678775)
    assert ends(found["top"], "against_random") == near(-0.20, -0.2657296, -0.1342704)
    assert found["random"]["against_random"] is found["none"]["against_random"] is None


def test_the_best_layer_is_one_of_several_and_the_kept_layer_was_chosen_where_nothing_was_taken(taken):
    found = by_removal(taken, "* exclude removal")
    assert {row["kept_layer"] for row in found.values()} == {1}
    assert found["top"]["accuracy"] == pytest.approx(0.71 + 0.01)  # at layer 0; a probe's seeds are 0 and 0.02 better
    assert found["top"]["kept_layer_accuracy"] == pytest.approx(0.62 + 0.01)
    assert ends(found["top"], "kept_layer_accuracy_change") == near(-0.3, -0.3, -0.3)
    layers = by_removal(taken, "accuracy, kept_layer, kept_layer_accuracy", "layer = 0")
    assert layers["top"] == {"accuracy": pytest.approx(0.72), "kept_layer": None, "kept_layer_accuracy": None}


def test_the_floor_is_the_same_seed_s_untrained_network_or_chance(taken):
    found = by_removal(taken, "untrained_accuracy, above_floor, above_floor_low, above_floor_high")
    assert [row["untrained_accuracy"] for row in found.values()] == near(*[0.70] * 4)
    assert ends(found["top"], "above_floor") == near(0.02, 0.02 - 0.0496868, 0.02 + 0.0496868)  # 0.04, 0 and 0.02
    at_one = by_removal(taken, "untrained_accuracy, above_floor", "layer = 1")
    assert at_one["top"] == {"untrained_accuracy": pytest.approx(0.61), "above_floor": pytest.approx(0.02)}


def test_the_verdicts_say_what_moved_fell_and_is_owed_to_these_items_alone(taken):
    found = by_removal(taken, "moved, at_chance, diffuse, spread_out")
    assert found == {
        "none": {"moved": None, "at_chance": False, "diffuse": None, "spread_out": None},
        "top": {"moved": True, "at_chance": True, "diffuse": False, "spread_out": True},
        "random": {"moved": False, "at_chance": False, "diffuse": None, "spread_out": False},
        "bottom": {"moved": False, "at_chance": False, "diffuse": True, "spread_out": False},
    }


def test_an_ensemble_has_a_row_of_its_own_at_each_layer_with_the_spread_over_its_members(taken):
    query = f"""select * from lab.concept_probes where ensemble = '{ENSEMBLE}' and labels = 'real' and layer = 0
    order by model nulls last"""
    found = asked(taken, query)
    assert [(row["model"], row["members"]) for row in found] == [("net-0", 1), ("net-1", 1), ("net-2", 1), (None, 3)]
    # 0.68, 0.70 and 0.69, each 0.01 better in the mean over its two probes
    whole = found[-1]
    assert [whole[f"accuracy{end}"] for end in ("", "_std", "_min", "_max")] == near(0.70, 0.01, 0.69, 0.71)
    assert [found[0][f"accuracy{end}"] for end in ("", "_std", "_min", "_max")] == near(0.69, 0.0141421, 0.68, 0.70)
    assert (whole["step"], whole["revision"], whole["seeds"], whole["width"]) == (0, None, 2, 8)
    shuffled = f"""select selectivity, accuracy_std from lab.concept_probes where model is null
    and labels = 'shuffled' and layer = 0 and ensemble = '{ENSEMBLE}'"""
    assert asked(taken, shuffled) == [{"selectivity": None, "accuracy_std": pytest.approx(0)}]


def test_one_network_decides_nothing_and_without_an_untrained_one_nothing_is_at_chance(store):
    retrained(store, {removal: found[:1] for removal, found in REMOVED.items()}, UNTRAINED[:1])
    verdicts = by_removal(store, "moved, at_chance, diffuse, spread_out")
    assert {value for row in verdicts.values() for value in row.values()} == {None}


def test_networks_whose_untrained_ones_were_never_probed_have_no_floor(store):
    retrained(store, REMOVED, [])
    found = by_removal(store, "moved, at_chance, above_floor, untrained_accuracy")
    assert found["top"] == {"moved": True, "at_chance": None, "above_floor": None, "untrained_accuracy": None}
