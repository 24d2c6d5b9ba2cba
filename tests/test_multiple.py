import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.inference import (
    assignments,
    difference,
    difference_covariance,
    randomization,
)
from kokeilu_analysis.methods.multiple import (
    romano_wolf,
    specification_curve,
    specification_sums,
    stepdown,
    uniform_band,
)


def units(seed, k, clusters=12, size=3, treated=5):
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), size)
    change = rng.normal(size=(len(cluster), k)) + rng.normal(size=(clusters, 1))[cluster]
    return change, (cluster < treated).astype(int), cluster, rng.integers(1, 5, len(cluster))


def test_joint_covariance_has_the_squared_errors_on_its_diagonal():
    d, treated, cluster, w = units(1, 4)
    alone = difference(d, treated, w, cluster)
    for kind, key in (("CR3", "se"), ("CR1", "se_cr1")):
        cov = difference_covariance(d, treated, w, cluster, kind)
        assert np.sqrt(np.diag(cov)) == pytest.approx(alone[key], abs=1e-12)
        total = difference_covariance(d.sum(axis=1), treated, w, cluster, kind)
        assert cov.sum() == pytest.approx(total[0, 0], abs=1e-12)


def test_band_of_independent_coefficients_has_the_known_critical_value():
    assert uniform_band([1.0], [[4.0]])["critical"] == pytest.approx(1.95996, abs=0.02)
    assert uniform_band(np.zeros(10), np.eye(10))["critical"] == pytest.approx(2.7996, abs=0.02)
    same = uniform_band(np.zeros(3), np.ones((3, 3)))
    assert same["critical"] == pytest.approx(1.95996, abs=0.02)


@pytest.mark.parametrize("draws", [1, 8192, 8193, 20_000])
def test_the_critical_value_is_the_quantile_of_the_largest_of_the_draws(draws):
    largest = np.abs(np.random.default_rng(3).standard_normal((draws, 2))).max(axis=1)
    band = uniform_band([1.0, -2.0], np.diag([4.0, 9.0]), level=0.8, draws=draws, seed=3)
    assert band["critical"] == pytest.approx(np.quantile(largest, 0.8))
    assert band["low"] == pytest.approx([1 - 2 * band["critical"], -2 - 3 * band["critical"]])
    assert band["high"] == pytest.approx([1 + 2 * band["critical"], -2 + 3 * band["critical"]])


def test_a_band_is_of_95_per_cent_from_100_000_draws_of_seed_0_unless_told_otherwise():
    given = [1.0, 2.0], [[1.0, 0.5], [0.5, 1.0]]
    assert uniform_band(*given)["critical"] == uniform_band(*given, 0.95, 100_000, 0)["critical"]


def test_correlation_makes_the_joint_band_narrower():
    from scipy.stats import multivariate_normal

    cov = np.array([[1.0, 2 * 0.8], [2 * 0.8, 4.0]])
    c = uniform_band([0.0, 0.0], cov)["critical"]
    joint = multivariate_normal(cov=[[1, 0.8], [0.8, 1]])
    inside = joint.cdf([c, c], lower_limit=[-c, -c])
    assert inside == pytest.approx(0.95, abs=0.003)


def test_base_period_has_no_width():
    band = uniform_band([0.0, 1.0], np.diag([0.0, 1.0]))
    assert band["low"][0] == band["high"][0] == 0.0 < band["high"][1]


def test_joint_p_is_never_below_the_single_one_and_keeps_the_order():
    d, *rest, w = units(2, 6)
    found = romano_wolf(d, *rest, draws=999, weights=w).sort_values("t", key=np.abs)
    assert (found["p_adjusted"] >= found["p"]).all()
    assert found["p_adjusted"].is_monotonic_decreasing
    one = randomization(d[:, 0], *rest, draws=999, weights=w, statistic="t")
    assert found.loc[0, "p"] == one["p"] and found.loc[0, "t"] == pytest.approx(one["statistic"])


def test_every_outcome_has_its_weighted_difference_as_estimate():
    d, treated, cluster, w = units(2, 3)
    found = romano_wolf(d, treated, cluster, draws=9, weights=w)
    assert found["estimate"].to_numpy() == pytest.approx(
        difference(d, treated, w, cluster)["estimate"]
    )


def test_the_table_of_several_outcomes_is_that_of_each_alone_and_the_step_down():
    d, treated, cluster, w = units(2, 3, clusters=6, size=2, treated=2)
    table = pd.DataFrame(d, columns=["a", "b", "c"])
    for weights in (w, None):
        found = romano_wolf(table, treated, cluster, draws=199, seed=5, weights=weights)
        options = {"draws": 199, "seed": 5, "weights": weights, "statistic": "t"}
        alone = [randomization(column, treated, cluster, **options) for column in d.T]
        assert found["outcome"].tolist() == ["a", "b", "c"]
        assert found["estimate"].tolist() == pytest.approx([r["estimate"] for r in alone])
        assert found["t"].tolist() == pytest.approx([r["statistic"] for r in alone])
        assert found["p"].tolist() == [r["p"] for r in alone]
        null = np.column_stack([r["placebo"] for r in alone])
        assert found["p_adjusted"].tolist() == stepdown(found["t"], null).tolist()
    single = romano_wolf(table, treated, draws=19)
    own = romano_wolf(table, treated, np.arange(12), draws=19, seed=0)
    assert single.equals(own)
    assert len(np.unique((romano_wolf(table, treated)["p"] * 10_000).round(6) % 1)) == 1


def test_outcomes_that_are_copies_cost_nothing():
    d, *rest, _ = units(3, 1)
    found = romano_wolf(np.repeat(d, 4, axis=1), *rest, draws=499)
    assert (found["p_adjusted"] == found["p"]).all()


def test_stepdown_is_the_textbook_algorithm():
    rng = np.random.default_rng(4)
    t, null = np.abs(rng.normal(1, 1, 5)), np.abs(rng.normal(size=(200, 5)))
    left, last, expected = list(np.argsort(-t)), 0.0, np.empty(5)
    while left:
        p = (1 + (null[:, left].max(axis=1) >= t[left[0]]).sum()) / 201
        expected[left[0]] = last = max(last, p)
        left.pop(0)
    assert stepdown(t, null) == pytest.approx(expected)


def test_each_specification_equals_randomization_of_it_alone():
    d, treated, cluster, w = units(5, 3)
    weights = np.column_stack([w, w * (cluster != 7), w * (cluster % 5 > 0)])
    found = specification_curve(*specification_sums(d, weights, treated, cluster), draws=999)
    for spec in range(3):
        arm, used = treated == 1, weights[:, spec]
        means = [np.average(d[a, spec], weights=used[a]) for a in (arm, ~arm)]
        assert found["table"].loc[spec, "estimate"] == pytest.approx(means[0] - means[1])
    alone = randomization(d[:, 0], treated, cluster, draws=999, weights=w)
    assert found["table"].loc[0, "p"] == alone["p"]
    assert found["median"] == np.median(found["table"]["estimate"])


def test_the_curve_by_hand_where_reassignments_leave_a_specification_without_a_group():
    """Five clusters of one unit; the second specification leaves the last two out."""
    s = np.array([[4.0, -4], [1, -1], [2, 1], [0, 0], [7, 0]])
    n = np.array([[1.0, 1], [1, 1], [1, 1], [1, 0], [1, 0]])
    treated = np.array([True, True, False, False, False])
    found = specification_curve(s, n, treated, draws=60, seed=2)
    assert found["table"]["estimate"].tolist() == pytest.approx([2.5 - 3, -2.5 - 1])
    assert found["table"]["rank"].tolist() == [2, 1]
    assert found["median"] == pytest.approx(-2.0) and found["share_negative"] == 1.0
    large, medians = np.zeros(2), []
    for chosen in np.concatenate(list(assignments(treated, 60, 2))):
        gaps = []
        for k in range(2):
            one, other = n[chosen, k].sum(), n[~chosen, k].sum()
            empty = one == 0 or other == 0
            gap = np.nan if empty else s[chosen, k].sum() / one - s[~chosen, k].sum() / other
            large[k] += empty or abs(gap) >= abs([-0.5, -3.5][k]) - 1e-9
            gaps.append(gap)
        medians.append(np.nanmean(gaps))  # of two the median is the mean
    assert found["table"]["p"].tolist() == ((1 + large) / 61).tolist()
    assert found["placebo_median"] == pytest.approx(medians)
    assert found["p_median"] == (1 + (np.abs(medians) >= 2 - 1e-9).sum()) / 61
    mixed = specification_curve(s * [1, -1], n, treated, draws=60)
    assert mixed["share_negative"] == 0.5
    told = specification_curve(s * [1, -1], n, treated, draws=60, seed=0)
    assert mixed["placebo_median"].tolist() == told["placebo_median"].tolist()


def test_sums_of_specifications_by_hand():
    """Cluster b has two units; the second specification leaves one and weighs the other by 3."""
    changes = [[1.0, 1.0], [2, 5], [4, np.nan], [8, 8]]
    weights = [[1.0, 1], [1, 3], [2, 0], [1, 1]]
    s, n, treated = specification_sums(changes, weights, [1, 0, 0, 0], list("abbc"))
    assert s.tolist() == [[1, 1], [2 + 8, 15], [8, 8]]
    assert n.tolist() == [[1, 1], [3, 3], [1, 1]] and treated.tolist() == [True, False, False]
    one = specification_sums(np.array(changes)[:, :1], [1, 1, 2, 1], [1, 0, 0, 0], list("abbc"))
    assert one[0].tolist() == s[:, :1].tolist() and one[1].tolist() == n[:, :1].tolist()


@pytest.mark.parametrize(
    ("changes", "weights", "said"),
    [
        (np.ones(4), np.ones(4), r"must both have shape"),
        (np.ones((4, 2)), np.ones((4, 3)), r"must both have shape"),
        (np.ones((4, 1)), [1, np.inf, 1, 1], "Weights must be 0 or more"),
        (np.ones((4, 1)), [1, np.nan, 1, 1], "Weights must be 0 or more"),
        (np.array([[1.0], [1], [np.inf], [1]]), np.ones(4), "0 uses unit 2 .* is inf"),
        (np.ones((4, 1)), [1, 0, 0, 0], "Specification 0 .* no control"),
        (np.ones((4, 1)), [0, 1, 1, 1], "Specification 0 .* no treated"),
    ],
)
def test_what_a_specification_cannot_use_is_said(changes, weights, said):
    with pytest.raises(KokeiluError, match=said):
        specification_sums(changes, weights, [1, 0, 0, 0], list("abcd"))


@pytest.mark.parametrize(
    "given", [(np.ones(3), np.ones(3)), (np.ones((3, 2)), np.ones((3, 1))), (np.ones((2, 1)),) * 2]
)
def test_sums_sizes_and_treatment_of_a_curve_must_fit(given):
    with pytest.raises(KokeiluError, match="no fit"):
        specification_curve(*given, [True, False, False], draws=9)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_the_weights_changes_no_p(unit):
    d, treated, cluster, w = units(5, 2, clusters=5, treated=2)
    w = (w * np.where(cluster < 2, 0.1, 0.7))[:, None] * [1, 0.3]
    w[cluster > 2, 1] = 0  # most reassignments leave the second specification without a group
    one, other = (
        specification_curve(*specification_sums(d, w * by, treated, cluster), draws=199)
        for by in (1.0, unit)
    )
    assert one["table"]["p"].tolist() == other["table"]["p"].tolist()
    assert one["placebo_median"] == pytest.approx(other["placebo_median"], rel=1e-6)


def test_the_curve_takes_9999_draws_unless_told_otherwise():
    d, treated, cluster, w = units(6, 1)
    found = specification_curve(*specification_sums(d, w, treated, cluster))
    assert len(found["placebo_median"]) == 9999


def test_one_specification_has_the_median_and_p_of_its_own():
    d, treated, cluster, w = units(6, 1)
    found = specification_curve(*specification_sums(d, w, treated, cluster), draws=499)
    assert found["p_median"] == found["table"].loc[0, "p"]


def test_a_planted_effect_moves_the_median_out_of_its_distribution():
    d, treated, cluster, w = units(7, 20)
    d = d + 5 * treated[:, None]
    found = specification_curve(*specification_sums(d, w, treated, cluster), draws=499)
    assert found["p_median"] < 0.05 and found["share_negative"] == 0


def test_specifications_without_a_group_or_with_a_gap_are_named():
    d, treated, cluster, w = units(8, 2)
    with pytest.raises(KokeiluError, match=r"Specification 1 .* no treated"):
        specification_sums(d, np.column_stack([w, w * (treated == 0)]), treated, cluster)
    d[4, 1] = np.nan
    with pytest.raises(KokeiluError, match=r"Specification 1 uses unit 4"):
        specification_sums(d, w, treated, cluster)
    with pytest.raises(KokeiluError, match="Weights must be 0 or more"):
        specification_sums(d, w - np.where(w == w.min(), w.min() + 0.5, 0), treated, cluster)
    with pytest.raises(KokeiluError, match="partly treated"):
        specification_sums(d[:, :1], w, np.arange(len(w)) % 2, cluster)
    with pytest.raises(KokeiluError, match="missing or infinite"):
        uniform_band([np.nan], [[1.0]])
    for t, null in (
        ([1.0], [[1.0, 2.0]]),
        ([1.0], [1.0]),
        ([[1.0]], [[1.0]]),
        ([1.0], np.empty((0, 1))),
    ):
        with pytest.raises(KokeiluError, match="do not fit"):
            stepdown(t, np.array(null))
    for sizes, null in (([1.0, np.nan], [[1.0, 2.0]]), ([1.0, 2.0], [[1.0, np.nan]])):
        with pytest.raises(KokeiluError, match="A statistic is missing"):
            stepdown(sizes, pd.DataFrame(null, columns=["a", "b"]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([1.0], [[-0.5]]), "variance of coefficient 0"),
        (([1.0], [[1.0]], 1.0), "Level 1.0"),
        (([1.0], [[1.0]], 0.0), "Level 0.0"),
        (([1.0], [[1.0]], 0.95, 0), "draws 0"),
        (([1.0, 2.0], [[1.0, 3.0], [3.0, 1.0]]), "negative eigenvalue"),
        (([1.0, 2.0], [[1.0]]), "k x k covariance"),
        (([[1.0]], [[1.0]]), "k x k covariance"),
        (([1.0], [[np.nan]]), "missing or infinite"),
        (([np.inf], [[1.0]]), "missing or infinite"),
        (([1.0, 2.0], [[1.0, 0.0], [0.0, -0.5]]), "variance of coefficient 1"),
    ],
)
def test_a_band_needs_a_covariance_a_level_and_draws(arguments, said):
    with pytest.raises(KokeiluError, match=said):
        uniform_band(*arguments)


def test_one_draw_is_enough_for_a_band_and_no_variance_at_all_needs_none():
    assert uniform_band([1.0], [[1.0]], draws=1)["critical"] > 0
    still = uniform_band([1.0, 2.0], np.zeros((2, 2)))
    assert still["low"].tolist() == still["high"].tolist() == [1.0, 2.0]
    assert np.isnan(still["critical"])
