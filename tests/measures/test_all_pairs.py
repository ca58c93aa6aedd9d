"""All layers against all layers, and the null of random pairings."""

import pytest
import torch
from paired import of_texts, related, unrelated

from service.errors import BadInput
from service.measures import Cloud, find_pair, pair_catalogue
from service.measures.all_pairs import all_pairs
from service.measures.permutation_null import judged, orders
from service.results import Estimate

EVERYTHING = list(pair_catalogue().values())


def networks():
    """Three layers of one network, two of another, one of which is constant."""
    a, b = related(1)
    c, _ = related(2, width_a=9)
    return [a, b, c], [b, Cloud(torch.ones(120, 3, dtype=torch.float64)), a]


def test_all_pairs_at_once_are_the_pairs_one_by_one():
    first, second = networks()
    found = list(all_pairs(first, second, EVERYTHING))
    assert len(found) == 3 * 3 * len(EVERYTHING)
    for one in found:
        alone = one.measure.of(first[one.row], second[one.column])
        assert one.null is None
        assert (one.estimate.note, one.estimate.n_used) == (alone.note, alone.n_used)
        assert one.estimate.value == (None if alone.value is None else pytest.approx(alone.value, rel=1e-12))
        assert (alone.value is None) == (one.column == 1)


def test_the_null_is_that_of_permuted_pairs_one_by_one():
    first, second = networks()
    drawn = orders(120, 6, seed=3)
    for one in all_pairs(first, second, EVERYTHING, 6, seed=3):
        if one.estimate.value is None:
            assert one.null is None
            continue
        draws = [one.measure.of(Cloud(first[one.row].points[order]), second[one.column]) for order in drawn]
        expected = judged(one.estimate.value, draws, one.measure.larger_is_more_alike)
        assert one.null.mean == pytest.approx(expected.mean, rel=1e-4, abs=1e-5), one.measure.name
        assert one.null.std == pytest.approx(expected.std, rel=1e-3, abs=1e-6), one.measure.name
        assert (one.null.p, one.null.permutations) == (expected.p, 6)


def test_rows_may_be_done_in_any_way_that_keeps_their_order():
    first, second = networks()

    def backwards(work, jobs):
        found = {job: work(jobs[job]) for job in reversed(range(len(jobs)))}
        return [found[job] for job in range(len(jobs))]

    plain = [(one.row, one.column, one.estimate) for one in all_pairs(first, second, EVERYTHING[:4])]
    assert [
        (one.row, one.column, one.estimate) for one in all_pairs(first, second, EVERYTHING[:4], apply=backwards)
    ] == plain


@pytest.mark.parametrize("fall", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("massive", [1, 1000])
def test_the_null_in_float32_is_that_in_float64_for_spectra_of_any_width(fall, massive):
    draw = torch.Generator().manual_seed(0)
    scales = torch.arange(1, 101, dtype=torch.float64) ** -fall
    scales[0] *= massive
    turns = [torch.linalg.qr(torch.randn(100, 100, generator=draw, dtype=torch.float64)).Q for _ in range(2)]
    a, b = (Cloud(torch.randn(400, 100, generator=draw, dtype=torch.float64) * scales @ turn) for turn in turns)
    measures = [measure for measure in EVERYTHING if measure.of_cross]
    drawn = orders(400, 5, seed=1)
    for one in all_pairs([a], [b], measures, 5, seed=1):
        exact = torch.tensor([one.measure.of(a, b, order).value for order in drawn], dtype=torch.float64)
        assert abs(one.null.mean - exact.mean().item()) < 0.01 * exact.std().item(), one.measure.name
        assert one.null.std == pytest.approx(exact.std().item(), rel=0.01), one.measure.name


@pytest.mark.parametrize("name", ["linear_cka", "procrustes", "mean_cca", "rsa_pearson", "mutual_knn"])
def test_p_is_uniform_where_the_pairing_means_nothing(name):
    found = sorted_p(name, [unrelated(40, 4, 3, seed) for seed in range(60)])
    # Kolmogorov and Smirnov's distance, below its 0.1 % point; mutual neighbours have ties, which make p larger
    assert from_uniform(found) < (0.25 if name != "mutual_knn" else 0.35)
    assert found[0] >= 0.05


@pytest.mark.parametrize("name", ["linear_cka", "mutual_knn"])
def test_p_of_texts_is_uniform_where_whole_texts_change_places_and_not_where_single_points_do(name):
    pairs = [of_texts(seed) for seed in range(60)]
    assert from_uniform(sorted_p(name, pairs)) < 0.25
    assert from_uniform(sorted_p(name, pairs[:20], permute="points")) > 0.5


def sorted_p(name, pairs, **asked):
    """The p of each pair against 19 random pairings, smallest first."""
    found = [next(all_pairs([a], [b], [find_pair(name)], 19, 1000 + n, **asked)) for n, (a, b) in enumerate(pairs)]
    return torch.tensor([one.null.p for one in found]).sort().values


def from_uniform(ranks):
    """Kolmogorov and Smirnov's distance of a multiple of 1 / 20 from the uniform distribution."""
    uniform = (torch.arange(len(ranks)) + 0.5) / len(ranks)
    return (ranks - 0.025 - uniform).abs().max()


def test_a_pair_that_belongs_together_beats_every_random_pairing():
    for one in all_pairs(*([cloud] for cloud in related(5)), EVERYTHING, 19):
        assert one.null.p == 0.05, one.measure.name
        assert one.null.z > 4, one.measure.name
        more = one.estimate.value > one.null.mean
        assert more == one.measure.larger_is_more_alike, one.measure.name


def test_a_null_by_hand():
    draws = [Estimate(value, None, 5) for value in (1.0, 2.0, 3.0)]
    null = judged(3.0, draws, larger_is_more_alike=True)
    assert (null.mean, null.std, null.z, null.p, null.permutations) == (2.0, 1.0, 1.0, 0.5, 3)
    assert judged(3.0, draws, larger_is_more_alike=False).p == 1.0
    assert judged(3.0, draws, larger_is_more_alike=False).z == -1.0
    assert judged(3.0, draws[:1], larger_is_more_alike=True).z is None
    assert judged(3.0, [], larger_is_more_alike=True) is None


def test_whole_texts_change_places_in_whatever_order_their_points_stand():
    items = torch.tensor([7, 3, 7, 3, 5, 7, 3, 5, 5])
    for order in orders(9, 20, 1, items=items):
        assert order.sort().values.tolist() == list(range(9))
        for text in (3, 5, 7):
            assert len(items[order][items == text].unique()) == 1  # all points of a text meet those of one


def test_the_same_seed_draws_the_same_pairings():
    assert all(torch.equal(a, b) for a, b in zip(orders(9, 3, 1), orders(9, 3, 1), strict=True))
    assert not torch.equal(orders(9, 1, 1)[0], orders(9, 1, 2)[0])
    items = torch.tensor([2, 3, 5, 5, 5, 7, 7])
    for order in orders(7, 20, 1, items=items):
        assert sorted(order.tolist()) == list(range(7))
        runs = items[order].unique_consecutive()
        assert len(runs) == 4  # no text is torn
        assert [order[items[order] == text].tolist() for text in (7, 5)] == [[5, 6], [2, 3, 4]]
    one_point_each, one_text = torch.arange(9), torch.zeros(9, dtype=torch.int64)
    for alike in (one_point_each, one_text):
        assert torch.equal(orders(9, 1, 1, items=alike)[0], orders(9, 1, 1)[0])
    with pytest.raises(BadInput, match="the number of permutations is 0 or more; got -1"):
        orders(9, -1, 0)
