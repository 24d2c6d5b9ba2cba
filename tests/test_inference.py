import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import NAMES, simulated

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import clusters, compare
from kokeilu_analysis.methods.clusters import arms, cluster_sums
from kokeilu_analysis.methods.inference import (
    assignments,
    difference,
    difference_covariance,
    effective_clusters,
    mean_error,
    minimum_detectable,
    randomization,
    reassigned,
)


def units(seed, clusters=9, size=4, treated=4, mixed=False):
    """Changes with a cluster shock; every cluster in one group, or half of each if mixed."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), size)
    n = len(cluster)
    frame = pd.DataFrame({"cluster": cluster, "w": rng.integers(1, 6, n).astype(float)})
    frame["treated"] = np.arange(n) % 2 if mixed else (cluster < treated).astype(int)
    frame["change"] = rng.normal(size=n) + rng.normal(size=clusters)[cluster]
    return frame


def of(frame, **options):
    return difference(frame["change"], frame["treated"], frame["w"], frame["cluster"], **options)


def gap(frame):
    arm = frame["treated"] == 1
    treated, control = (np.average(f["change"], weights=f["w"]) for f in (frame[arm], frame[~arm]))
    return treated - control


# Clusters.


@pytest.mark.parametrize("mixed", [False, True])
def test_jackknife_error_is_the_spread_of_leaving_each_cluster_out(mixed):
    frame = units(1, mixed=mixed)
    left = np.array([gap(frame[frame["cluster"] != g]) for g in range(9)])
    by_hand = np.sqrt(8 / 9 * ((left - gap(frame)) ** 2).sum())
    found = of(frame)
    assert found["estimate"] == pytest.approx(gap(frame), abs=1e-12)
    assert found["se"] == pytest.approx(by_hand, abs=1e-12)
    # the 97.5 % point of t with 8 degrees of freedom
    assert found["ci_high"] - found["estimate"] == pytest.approx(2.306004 * by_hand, abs=1e-6)
    assert found["estimate"] - found["ci_low"] == pytest.approx(2.306004 * by_hand, abs=1e-6)
    assert found["n_clusters"] == 9


@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize("mixed", [False, True])
def test_both_cluster_errors_equal_pyfixest_up_to_its_small_sample_factors(mixed):
    import pyfixest

    frame = units(2, mixed=mixed)
    n, g, k = len(frame), 9, 2
    small = np.sqrt((n - 1) / (n - k))
    found = of(frame)
    fits = {
        kind: pyfixest.feols("change ~ treated", data=frame, vcov={kind: "cluster"}, weights="w")
        for kind in ("CRV1", "CRV3")
    }
    assert found["estimate"] == pytest.approx(fits["CRV1"].coef()["treated"], abs=1e-10)
    assert found["se_cr1"] * small == pytest.approx(fits["CRV1"].se()["treated"], abs=1e-10)
    # pyfixest leaves (G-1)/G out of the jackknife and multiplies by G/(G-1)
    factor = g / (g - 1) * small
    assert found["se"] * factor == pytest.approx(fits["CRV3"].se()["treated"], abs=1e-10)


@pytest.mark.parametrize("mixed", [False, True])
def test_sandwich_error_equals_statsmodels(mixed):
    import statsmodels.api as sm

    frame = units(3, mixed=mixed)
    fit = sm.WLS(frame["change"], sm.add_constant(frame["treated"]), weights=frame["w"]).fit(
        cov_type="cluster", cov_kwds={"groups": frame["cluster"], "use_correction": False}
    )
    bare = fit.bse["treated"]
    assert of(frame)["se_cr1"] == pytest.approx(bare * np.sqrt(9 / 8), abs=1e-10)


def test_cluster_errors_of_the_panel_regression_follow_from_the_changes():
    """The two-by-two on unit changes and the panel regression have the same CR1 sandwich."""
    frame = simulated(4)
    row = compare.did(frame, *NAMES, 5, weights="w", cluster="cluster").loc[0]
    y = frame.pivot(index="unit", columns="t", values="y")
    facts = frame.groupby("unit")[["treated", "w", "cluster"]].first()
    facts["change"] = y.loc[:, 5:].mean(axis=1) - y.loc[:, :4].mean(axis=1)
    assert row["se"] == pytest.approx(of(facts)["se"], abs=1e-12)
    w, d = frame["w"].to_numpy(), frame["treated"] * (frame["t"] >= 5)
    dummies = pd.get_dummies(frame[["unit", "t"]].astype(str), dtype=float)
    x = np.column_stack([d, dummies])
    beta, *_ = np.linalg.lstsq(x * np.sqrt(w)[:, None], frame["y"] * np.sqrt(w), rcond=None)
    score = pd.DataFrame(x * (w * (frame["y"] - x @ beta).to_numpy())[:, None])
    score = score.groupby(frame["cluster"]).sum().to_numpy()
    bread = np.linalg.pinv(x.T @ (x * w[:, None]))
    sandwich = bread @ score.T @ score @ bread
    assert of(facts)["se_cr1"] == pytest.approx(np.sqrt(12 / 11 * sandwich[0, 0]), abs=1e-8)


def test_a_small_comparison_by_hand():
    """Four clusters of one unit: means 2 and 1; each left out moves the gap by 1, -1, 1 and -1."""
    found = difference([1.0, 3, 0, 2], [1, 1, 0, 0], [1, 1, 1, 1], ["a", "b", "c", "d"])
    assert found["estimate"] == 1
    assert found["se"] == pytest.approx(np.sqrt(3 / 4 * 4))
    assert found["se_cr1"] == pytest.approx(np.sqrt(4 / 3 * (0.25 * 4)))
    # t with 3 degrees of freedom: 3.182446 at 97.5 %; P(|t| > 1 / sqrt 3) = 0.604...
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(
        (1 - 3.182446 * np.sqrt(3), 1 + 3.182446 * np.sqrt(3)), abs=1e-5
    )
    at = 1 / np.sqrt(3)  # distribution of t with 3 degrees: 1/2 + (atan u + u / (1 + u2)) / pi
    u = at / np.sqrt(3)
    assert found["p"] == pytest.approx(1 - 2 / np.pi * (np.arctan(u) + u / (1 + u**2)))
    assert found["n_clusters"] == 4


def test_sums_by_cluster_are_in_the_order_of_the_labels_as_text():
    d = np.array([[1.0, 10], [2, 20], [4, 40], [8, 80], [16, 160]])
    arm, w = arms([1, 1, 0, 0, 0]), np.array([1.0, 2, 1, 3, 1])
    s, n, total, size = cluster_sums(d, arm, w, [10, 9, 9, 9, 2])
    # clusters "10", "2", "9"; controls first
    assert n.tolist() == [[0, 1, 4], [1, 0, 2]]
    assert s[..., 0].tolist() == [[0, 16, 4 + 24], [1, 0, 4]]
    assert (s[..., 1] == 10 * s[..., 0]).all()
    assert total[:, 0].tolist() == [44, 5] and size.tolist() == [5, 3]


def test_many_outcomes_are_summed_in_parts_of_any_size(monkeypatch):
    rng = np.random.default_rng(1)
    d, w = rng.normal(size=(12, 7)), rng.random(12) + 0.1
    given = d, arms(np.arange(12) % 2), w, np.arange(12) % 5
    whole = cluster_sums(*given)
    for block in (1, 12, 36, 60):
        monkeypatch.setattr(clusters, "BLOCK", block)
        for part, all_at_once in zip(cluster_sums(*given), whole, strict=True):
            assert np.array_equal(part, all_at_once)


@pytest.mark.parametrize("short", range(4))
def test_each_input_needs_one_entry_a_unit(short):
    given = [np.ones((4, 1)), arms([1, 1, 0, 0]), np.ones(4), np.arange(4)]
    given[short] = given[short][:-1]
    with pytest.raises(KokeiluError, match="one entry a unit"):
        cluster_sums(*given)


@pytest.mark.parametrize("value", [-0.5, 1.5, -1, 2, "1", None])
def test_only_none_and_one_are_treatments(value):
    kind = object if value is None or isinstance(value, str) else float
    with pytest.raises(KokeiluError, match=f"unit 2 .* is {value}"):
        arms(np.array([1, 0, value, value], dtype=kind))
    assert arms([True, False]).tolist() == arms(np.array([1, 0], dtype=object)).tolist()


def test_covariance_of_two_changes_by_hand():
    d = np.array([[1.0, 0], [3, 0], [0, 0], [2, 4]])
    given = d, [1, 1, 0, 0], np.ones(4), list("abcd")
    # influence: -1/2, 1/2, 1/2, -1/2 and 0, 0, 1, -1; left out: 1, -1, -1, 1 and 0, 0, -2, 2
    assert difference_covariance(*given, "CR1") == pytest.approx(4 / 3 * np.array([[1, 1], [1, 2]]))
    assert difference_covariance(*given) == pytest.approx(3 / 4 * np.array([[4, 4], [4, 8]]))


def test_several_outcomes_at_once_equal_each_alone():
    frame = units(5)
    two = np.column_stack([frame["change"], frame["change"] ** 2])
    both = difference(two, frame["treated"], frame["w"], frame["cluster"])
    alone = of(frame.assign(change=frame["change"] ** 2))
    for key in ("estimate", "se", "se_cr1", "ci_low", "ci_high", "p"):
        assert both[key].shape == (2,)
        assert both[key][1] == pytest.approx(alone[key], abs=1e-12)


@given(st.integers(0, 10_000), st.floats(0.51, 0.98))
@settings(max_examples=20, deadline=None)
def test_a_higher_level_gives_a_wider_interval_around_the_same_estimate(seed, level):
    frame = units(seed)
    narrow, wide = of(frame, level=level), of(frame, level=level + 0.01)
    assert wide["ci_low"] < narrow["ci_low"] < narrow["estimate"] < narrow["ci_high"]
    assert narrow["ci_high"] < wide["ci_high"]


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_p_is_below_five_per_cent_exactly_when_the_interval_leaves_zero_out(seed):
    found = of(units(seed))
    assert (found["p"] < 0.05) == (found["ci_low"] > 0 or found["ci_high"] < 0)


def test_swapping_the_groups_turns_the_sign_and_nothing_else():
    frame = units(6)
    one, other = of(frame), of(frame.assign(treated=1 - frame["treated"]))
    assert other["estimate"] == pytest.approx(-one["estimate"], abs=1e-12)
    assert other["se"] == pytest.approx(one["se"], abs=1e-12)
    assert other["ci_low"] == pytest.approx(-one["ci_high"], abs=1e-12)


def test_there_is_no_jackknife_when_a_whole_group_is_one_cluster():
    found = of(units(7, treated=1))
    assert np.isnan([found["se"], found["ci_low"], found["ci_high"], found["p"]]).all()
    assert np.isfinite([found["estimate"], found["se_cr1"]]).all()


def test_interval_covers_the_planted_effect_about_as_often_as_it_says():
    rng = np.random.default_rng(8)
    cluster = np.repeat(np.arange(30), 4)
    treated = (cluster < 12).astype(int)
    weight = rng.integers(1, 4, len(cluster))
    shock = rng.normal(size=(30, 400))[cluster]
    change = 0.7 * treated[:, None] + shock + rng.normal(size=(len(cluster), 400))
    found = difference(change, treated, weight, cluster)
    covered = (found["ci_low"] < 0.7) & (found["ci_high"] > 0.7)
    assert 0.90 <= covered.mean() <= 0.99
    assert found["estimate"].mean() == pytest.approx(0.7, abs=0.1)
    # ignoring the clusters would not do
    alone = difference(change, treated, weight, np.arange(len(cluster)))
    naive = (alone["ci_low"] < 0.7) & (alone["ci_high"] > 0.7)
    assert naive.mean() < 0.85


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"change": np.nan}, "missing or infinite"),
        ({"change": np.inf}, "missing or infinite"),
        ({"w": 0.0}, "positive"),
        ({"w": np.inf}, "positive"),
        ({"treated": 0.5}, "unit 5 .* is 0.5; expected 0 or 1"),
        ({"w": np.nan}, "positive"),
        ({"treated": 2}, "unit 5 .* is 2.0; expected 0 or 1"),
        ({"treated": np.nan}, "unit 5 .* is nan"),
        ({"cluster": np.nan}, "Unit 5 .* no cluster"),
    ],
)
def test_input_that_could_pass_for_something_else_is_refused(spoil, said):
    frame = units(9).astype({"treated": float, "cluster": float})
    frame.loc[5, list(spoil)] = list(spoil.values())
    with pytest.raises(KokeiluError, match=said):
        of(frame)
    with pytest.raises(KokeiluError, match=said):
        randomization(
            frame["change"], frame["treated"], frame["cluster"], draws=9, weights=frame["w"]
        )


def test_groups_and_clusters_must_be_there():
    frame = units(10)
    with pytest.raises(KokeiluError, match="one group is empty"):
        of(frame.assign(treated=0))
    with pytest.raises(KokeiluError, match="at least 3 clusters; found 2"):
        of(units(10, clusters=2, treated=1))
    with pytest.raises(KokeiluError, match="one entry a unit"):
        difference(frame["change"], frame["treated"], frame["w"], frame["cluster"][:-1])


def test_treatment_may_be_written_as_objects_but_not_as_words():
    frame = units(10)
    assert of(frame.astype({"treated": object})) == of(frame)
    with pytest.raises(KokeiluError, match="unit 0 .* is yes; expected 0 or 1"):
        of(frame.assign(treated="yes"))


def test_three_clusters_are_enough_and_may_have_any_label():
    frame = units(10, clusters=3, mixed=True)
    found = of(frame)
    assert found["n_clusters"] == 3 and found["se"] > 0
    for labels in ({0: 100, 1: -2, 2: 7}, {0: "b", 1: "ä", 2: ""}, {0: 0.5, 1: 2.5, 2: 1e9}):
        other = of(frame.assign(cluster=frame["cluster"].map(labels)))
        assert other["se"] == pytest.approx(found["se"], abs=1e-12)


def test_a_group_that_is_one_cluster_leaves_the_sandwich_only():
    frame = units(7, treated=1)
    facts = frame["change"], frame["treated"], frame["w"], frame["cluster"]
    with pytest.raises(KokeiluError, match="no jackknife. Use CR1"):
        difference_covariance(*facts)
    assert difference_covariance(*facts, "CR1")[0, 0] == pytest.approx(of(frame)["se_cr1"] ** 2)
    with pytest.raises(KokeiluError, match="CR2"):
        difference_covariance(*facts, "CR2")


def test_error_of_a_mean_is_the_spread_of_leaving_each_cluster_out():
    frame = units(11)
    kept = [frame[frame["cluster"] != g] for g in range(9)]
    left = np.array([np.average(f["change"], weights=f["w"]) for f in kept])
    whole = np.average(frame["change"], weights=frame["w"])
    found = mean_error(frame["change"], frame["w"], frame["cluster"])
    assert found == pytest.approx(np.sqrt(8 / 9 * ((left - whole) ** 2).sum()))


@pytest.mark.parametrize("spoil", [{"w": 0.0}, {"w": np.inf}, {"change": np.nan}, {"w": -0.5}])
def test_a_mean_of_cells_that_cannot_be_used_has_no_error(spoil):
    frame = units(11)
    frame.loc[5, list(spoil)] = list(spoil.values())
    with pytest.raises(KokeiluError, match="finite numbers and weights positive"):
        mean_error(frame["change"], frame["w"], frame["cluster"])
    with pytest.raises(KokeiluError, match="at least 3 clusters; found 2"):
        mean_error([1.0, 2.0, 4.0], np.ones(3), [1, 1, 2])


def test_effective_clusters_are_fewer_when_sizes_differ_and_empty_ones_do_not_count():
    assert effective_clusters([2.0, 2.0, 2.0]) == pytest.approx(3)
    assert effective_clusters([3.0, 1.0, 0.0]) == pytest.approx(16 / 10)
    assert effective_clusters([0.25, 0.25]) == pytest.approx(2)
    for sizes in ([1.0, -0.5], [0.0, 0.0], [1.0, np.inf], [np.nan, 1.0]):
        with pytest.raises(KokeiluError, match="0 or more, and not all 0"):
            effective_clusters(sizes)


def test_detectable_effect_is_found_with_the_power_asked_for():
    from scipy.special import stdtr

    effect = minimum_detectable(2.0, 9, power=0.7, level=0.9)
    critical = 1.833113  # the 95 % point of t with 9 degrees of freedom
    assert effect > 0 and stdtr(9, effect / 2.0 - critical) == pytest.approx(0.7, abs=1e-6)
    assert minimum_detectable(0.0, 1) == 0
    assert minimum_detectable([1.0, 2.0], 9).tolist() == pytest.approx(
        [minimum_detectable(1.0, 9), 2 * minimum_detectable(1.0, 9)]
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"se": -0.5}, "Error -0.5"),
        ({"se": np.nan}, "Error nan"),
        ({"df": 0.5}, "0.5 degrees of freedom"),
        ({"df": np.nan}, "nan degrees of freedom"),
        ({"power": 0}, "Power 0"),
        ({"power": 1}, "Power 1"),
        ({"level": 0}, "level 0"),
        ({"level": 1}, "level 1"),
    ],
)
def test_detectable_effect_of_no_test_is_refused(options, said):
    with pytest.raises(KokeiluError, match=said):
        minimum_detectable(**{"se": 1.0, "df": 5} | options)


# Randomization.


def every_assignment(frame):
    """Statistic of each way to treat as many whole clusters."""
    labels = frame["cluster"].unique()
    count = frame.loc[frame["treated"] == 1, "cluster"].nunique()
    return np.array(
        [
            gap(frame.assign(treated=frame["cluster"].isin(chosen).astype(int)))
            for chosen in itertools.combinations(labels, count)
        ]
    )


def drawn(frame, **options):
    return randomization(
        frame["change"], frame["treated"], frame["cluster"], weights=frame["w"], **options
    )


@pytest.mark.parametrize("seed", range(4))
def test_p_is_the_share_of_all_assignments_that_are_as_extreme(seed):
    frame = units(seed, clusters=7, size=3, treated=3)
    exact = (np.abs(every_assignment(frame)) >= abs(gap(frame)) - 1e-12).mean()
    found = drawn(frame, draws=9999, seed=seed)
    assert found["estimate"] == pytest.approx(gap(frame), abs=1e-12)
    assert abs(found["p"] - exact) < 4 * np.sqrt(exact * (1 - exact) / 9999) + 1e-4


def test_whole_clusters_move_and_as_many_are_treated_in_every_draw():
    frame = units(11, clusters=6, size=3, treated=2)
    possible = np.unique(every_assignment(frame).round(9))
    found = drawn(frame, draws=2000, seed=3)
    reached = np.unique(found["placebo"].round(9))
    assert len(possible) == 15
    assert np.allclose(reached, possible, atol=1e-8)
    assert (found["n_treated"], found["n_clusters"]) == (2, 6)


def test_every_assignment_is_drawn_about_equally_often():
    frame = units(12, clusters=6, size=2, treated=2)
    found = drawn(frame, draws=15_000, seed=4)
    _, times = np.unique(found["placebo"].round(9), return_counts=True)
    assert times.min() > 800 and times.max() < 1200  # 1,000 expected, 31 their deviation


def test_moving_single_units_would_claim_more_than_moving_their_clusters():
    frame = units(13, clusters=8, size=25, treated=4)
    frame["change"] += 8 * np.random.default_rng(13).normal(size=8)[frame["cluster"]]
    whole = drawn(frame, draws=999)["p"]
    single = drawn(frame.assign(cluster=np.arange(len(frame))), draws=999)["p"]
    assert single < whole / 2


def test_the_same_seed_draws_the_same_and_another_seed_does_not():
    frame = units(14)
    first, again, other = (drawn(frame, draws=500, seed=s)["placebo"] for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_p_is_never_below_one_over_the_draws_and_the_real_assignment():
    frame = units(15, clusters=20, treated=10)
    frame["change"] += 1000 * frame["treated"]
    assert drawn(frame, draws=99)["p"] == 1 / 100


def test_no_difference_at_all_gives_p_one():
    frame = units(16).assign(change=1.0)
    assert drawn(frame, draws=99)["p"] == 1


def test_without_clusters_each_unit_is_its_own():
    frame = units(17, clusters=6, size=1, treated=2)
    alone = randomization(frame["change"], frame["treated"], draws=99, weights=frame["w"])
    assert np.array_equal(alone["placebo"], drawn(frame, draws=99)["placebo"])


def test_a_partly_treated_cluster_cannot_be_reassigned():
    with pytest.raises(KokeiluError, match="partly treated"):
        drawn(units(18, mixed=True), draws=9)


def test_taking_every_assignment_once_gives_the_exact_p():
    frame = units(19, clusters=7, size=3, treated=3)
    exact = (np.abs(every_assignment(frame)) >= abs(gap(frame)) - 1e-12).mean()
    found = drawn(frame, draws="all")
    assert len(found["placebo"]) == 35 and found["p"] == pytest.approx(exact, abs=1e-12)


def test_t_of_each_assignment_is_its_difference_over_its_cr1_error():
    frame = units(20, clusters=7, size=3, treated=3)
    labels = frame["cluster"].unique()
    by_hand = []
    for chosen in itertools.combinations(labels, 3):
        f = of(frame.assign(treated=frame["cluster"].isin(chosen).astype(int)))
        by_hand.append(f["estimate"] / f["se_cr1"])
    found = drawn(frame, draws="all", statistic="t")
    assert found["placebo"] == pytest.approx(by_hand, abs=1e-9)


def test_strata_keep_how_many_are_treated_within_each():
    frame = units(21, clusters=6, size=2, treated=2)
    # clusters 0 and 1 are treated; with 0, 2, 3 and 1, 4, 5 as strata 3 x 3 assignments remain
    strata = frame["cluster"].isin([1, 4, 5])
    found = drawn(frame, draws=500, strata=strata)
    assert len(np.unique(found["placebo"].round(9))) == 9
    with pytest.raises(KokeiluError, match="more than one stratum"):
        drawn(frame, draws=5, strata=np.arange(len(frame)))
    for broken in (strata[:-1], strata.astype(object).where(frame.index > 0)):
        with pytest.raises(KokeiluError, match="one entry a unit, none missing"):
            drawn(frame, draws=5, strata=broken)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"draws": 0}, "Draws is 0"),
        ({"draws": "some"}, "Draws is 'some'"),
        ({"statistic": "ratio"}, "'ratio'; expected difference or t"),
        ({"draws": "all", "strata": np.zeros(36)}, "or strata, to take all"),
    ],
)
def test_draws_and_statistic_must_be_known(options, said):
    with pytest.raises(KokeiluError, match=said):
        drawn(units(22), **options)


def test_a_seed_shuffles_the_treatment_row_by_row():
    treated = np.arange(7) < 3
    rng, rows = np.random.default_rng(4), np.tile(treated.astype(float), (2500, 1))
    expected = rng.permuted(rows, axis=1).astype(bool)
    for size in (1, 1000, 1024, 5000):
        blocks = list(assignments(treated, 2500, 4, rows=size))
        assert np.array_equal(np.concatenate(blocks), expected)
        assert [len(b) for b in blocks[:-1]] == [size] * ((2500 - 1) // size)
    assert len(next(assignments(treated, 2500))) == 1024
    assert np.array_equal(next(assignments(treated, 9)), next(assignments(treated, 9, seed=0)))


def test_every_assignment_comes_once_in_blocks_as_large_as_asked():
    treated = np.array([False, True, False, True, False])
    for size, lengths in ((4, [4, 4, 2]), (10, [10]), (1024, [10])):
        blocks = list(assignments(treated, "all", rows=size))
        assert [len(b) for b in blocks] == lengths
        together = np.concatenate(blocks)
        assert (together.sum(axis=1) == 2).all() and len(np.unique(together, axis=0)) == 10


def test_strata_are_shuffled_one_after_the_other():
    treated, layers = np.array([1, 0, 0, 1, 1, 0], dtype=bool), np.array([1, 0, 1, 0, 1, 0])
    found = np.concatenate(list(assignments(treated, 40, 3, layers)))
    assert (found[:, layers == 0].sum(axis=1) == 1).all()
    assert (found[:, layers == 1].sum(axis=1) == 2).all()
    assert len(np.unique(found, axis=0)) == 9
    assert np.array_equal(found, np.concatenate(list(assignments(treated, 40, 3, layers))))


def test_the_t_of_one_assignment_by_hand():
    """Sums 6, 0, 3, 3 of 2, 1, 1, 2 units, the first two treated: means 2 and 2, ..."""
    sums, sizes = np.array([6.0, 0, 3, 3]), np.array([2.0, 1, 1, 2])
    chosen = np.array([[True, True, False, False], [True, False, False, True]])
    assert reassigned(chosen, sums, sizes, "difference").tolist() == [0, 9 / 4 - 3 / 2]
    # scores 6 - 2 x 9/4 = 3/2 and -3/2 over 4; 0 - 3/2 and 3 - 3/2 over 2
    variance = (2 * 1.5**2) / 4**2 + (2 * 1.5**2) / 2**2
    t = reassigned(chosen, sums, sizes, "t")
    assert t == pytest.approx([0, 0.75 / np.sqrt(4 / 3 * variance)])


def test_one_draw_is_a_draw_and_9999_are_taken_unless_told_otherwise():
    frame = units(22)
    one = drawn(frame, draws=1)
    assert len(one["placebo"]) == 1 and one["p"] in (0.5, 1.0)
    with pytest.raises(KokeiluError, match="Draws is -1"):
        drawn(frame, draws=-1)
    told = drawn(frame, draws=9999, seed=0, statistic="difference")
    assert np.array_equal(drawn(frame)["placebo"], told["placebo"])
    found = drawn(frame)
    assert len(found["placebo"]) == 9999 and found["p"] * 10_000 == pytest.approx(
        round(found["p"] * 10_000)
    )


def test_every_assignment_of_many_clusters_is_too_much():
    with pytest.raises(KokeiluError, match="Too many assignments"):
        drawn(units(23, clusters=24, size=1, treated=12), draws="all")
