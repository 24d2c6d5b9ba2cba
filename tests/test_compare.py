import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokeilu_analysis import paths, results
from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import compare, describe, design, estimates

NAMES = ("y", "unit", "t", "treated")
MAR = pd.date_range("2019-03-01", "2022-02-01", freq="MS")


def simulated(seed, units=24, times=8, start=5, effect=0.0, clusters=12):
    """A long frame of independent normals; the first five twelfths of the clusters are treated."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(units) * clusters // units
    treated = (cluster < clusters * 5 / 12).astype(int)
    shape = (units, times)
    y = rng.normal(size=shape) + rng.normal(size=(units, 1)) + rng.normal(size=(1, times))
    y += effect * treated[:, None] * (np.arange(times) >= start)
    weight = rng.integers(1, 6, units).astype(float)
    by_unit = {"unit": np.arange(units), "treated": treated, "cluster": cluster, "w": weight}
    frame = pd.DataFrame({name: np.repeat(v, times) for name, v in by_unit.items()})
    return frame.assign(t=np.tile(np.arange(times), units), y=y.ravel(), cells=4)


def monthly(seed, units=6, first="2018-03-01", months=48):
    """A long frame by month; the first half of the units is treated."""
    rng = np.random.default_rng(seed)
    t = pd.date_range(first, periods=months, freq="MS")
    frame = pd.DataFrame({"unit": np.repeat(np.arange(units), months), "t": np.tile(t, units)})
    frame["treated"] = (frame["unit"] < units // 2).astype(int)
    return frame.assign(y=rng.normal(size=len(frame)), w=1.0 + frame["unit"] % 3)


def estimate(frame, start=5, **options):
    return compare.did(frame, *NAMES, start, **options).loc[0, "estimate"]


# The study's own numbers, recomputed without the package's estimators.


@pytest.fixture(scope="module")
def mainland():
    """Unemployed in per cent of the labour force of 2019, mainland municipality × month."""
    panel = pd.read_parquet(paths.PANEL)
    published = results.read("01_municipalities").set_index("municipality")
    force = panel[(panel["measure"] == "labour_force") & (panel["month"] == "2019-06-01")]
    force = force.set_index("municipality")["value"].reindex(published.index)
    people = panel[panel["measure"] == "unemployed"]
    people = people.pivot(index="municipality", columns="month", values="value")
    rate = 100 * people.reindex(published.index).div(force, axis=0)
    return rate, force, published["is_trial"] == 1


WINDOWS = {
    "covid_year": ("2020-03", "2021-02"),
    "first_year": ("2021-03", "2022-02"),
    "last_year": ("2022-11", "2023-10"),
}


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("weights", ["labour_force", "none"])
def test_published_two_by_two_is_what_plain_arithmetic_gives(mainland, window, weights):
    rate, force, trial = mainland
    before = rate.loc[:, "2019-03":"2020-02"]
    after = rate.loc[:, slice(*WINDOWS[window])]
    assert before.shape == after.shape == (293, 12)
    change = after.mean(axis=1) - before.mean(axis=1)
    if weights == "none":
        by_hand = change[trial].mean() - change[~trial].mean()
    else:
        by_hand = (change * force)[trial].sum() / force[trial].sum()
        by_hand -= (change * force)[~trial].sum() / force[~trial].sum()
    row = results.read("03_did").set_index("spec").loc[f"{window}/{weights}"]
    assert row["estimate"] == pytest.approx(by_hand, abs=1e-9)
    assert (row["n_units"], trial.sum(), (~trial).sum()) == (293, 118, 175)
    first, last = WINDOWS[window]
    assert (row["pre"], row["post"]) == (
        "2019M03–2020M02",
        f"{first.replace('-', 'M')}–{last.replace('-', 'M')}",
    )


def test_exactly_one_published_two_by_two_is_the_main_one_and_the_design_names_it():
    did, plan = results.read("03_did"), design.load()
    assert did.loc[did["is_main"], "spec"].tolist() == [f"{plan.post}/{plan.weights}"]
    assert len(did) == len(WINDOWS) * 2


@pytest.mark.parametrize("month", ["2017-03", "2020-06", "2021-03", "2023-10"])
def test_published_event_study_is_what_plain_arithmetic_gives(mainland, month):
    rate, force, trial = mainland
    now = pd.Timestamp(month)
    same_month = pd.Timestamp(2020 if now.month < 3 else 2019, now.month, 1)
    change = rate[now] - rate[same_month]
    by_hand = np.average(change[trial], weights=force[trial])
    by_hand -= np.average(change[~trial], weights=force[~trial])
    study = results.read("03_event_study").set_index("post")
    row = study.loc[f"{now:%YM%m}"]
    assert row["estimate"] == pytest.approx(by_hand, abs=1e-9)
    assert row["event_month"] == (now.year - 2021) * 12 + now.month - 3


def test_published_event_study_is_zero_on_average_in_its_base_year():
    study = results.read("03_event_study").set_index("post")["estimate"]
    assert np.allclose(study["2019M03":"2020M02"], 0, atol=1e-9)


def test_published_group_means_are_totals_over_totals(mainland):
    rate, force, trial = mainland
    means = results.read("03_group_means").set_index(["month", "group"])["mean"]
    for group, arm in (("trial", trial), ("control", ~trial)):
        total = rate.mul(force, axis=0)[arm].sum() / force[arm].sum()
        assert np.allclose(means.xs(group, level="group"), total["2017-03":"2023-10"], atol=1e-9)


def test_published_leave_one_out_is_what_plain_arithmetic_gives(mainland):
    rate, force, trial = mainland
    change = rate.loc[:, "2022-11":"2023-10"].mean(axis=1)
    change -= rate.loc[:, "2019-03":"2020-02"].mean(axis=1)
    area = results.read("01_municipalities").set_index("municipality")["area_id"]
    control = np.average(change[~trial], weights=force[~trial])
    left = results.read("05_leave_one_out").set_index("area_id")["estimate"]
    assert sorted(left.index) == sorted(area[trial].unique())
    for out in left.index:
        arm = trial & (area != out)
        by_hand = np.average(change[arm], weights=force[arm]) - control
        assert left[out] == pytest.approx(by_hand, abs=1e-9)


# The two-by-two.


def test_two_by_two_is_the_difference_of_the_changes():
    frame = pd.DataFrame(
        {
            "unit": list("aaabbbcccddd"),
            "t": [0, 1, 2] * 4,
            "treated": [1] * 6 + [0] * 6,
            "y": [4.0, 6, 9, 2, 2, 5, 1, 3, 3, 0, 2, 7],
            "w": [3.0] * 3 + [1.0] * 3 + [1.0] * 3 + [2.0] * 3,
        }
    )
    # changes from the mean of 0 and 1 to 2: a 9-5, b 5-2, c 3-2, d 7-1
    assert estimate(frame, 2) == pytest.approx((4 + 3) / 2 - (1 + 6) / 2, abs=1e-12)
    weighted = (3 * 4 + 1 * 3) / 4 - (1 * 1 + 2 * 6) / 3
    assert estimate(frame, 2, weights="w") == pytest.approx(weighted, abs=1e-12)


@given(st.integers(0, 10_000), st.floats(-3, 3))
@settings(max_examples=15, deadline=None)
def test_a_planted_effect_adds_exactly_itself(seed, effect):
    plain, planted = simulated(seed), simulated(seed, effect=effect)
    for weights in (None, "w"):
        gained = estimate(planted, weights=weights) - estimate(plain, weights=weights)
        assert gained == pytest.approx(effect, abs=1e-9)


def test_there_is_no_effect_when_both_groups_move_alike():
    frame = simulated(1)
    frame["y"] = frame["unit"] * 1.7 + np.sin(frame["t"])
    row = compare.did(frame, *NAMES, 5, weights="w", cluster="cluster").loc[0]
    assert row["estimate"] == pytest.approx(0, abs=1e-12)
    assert row["se"] == pytest.approx(0, abs=1e-12)


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_unit_and_time_effects_change_nothing(seed):
    frame = simulated(seed)
    rng = np.random.default_rng(seed + 1)
    shift = rng.normal(size=24)[frame["unit"]] + rng.normal(size=8)[frame["t"]]
    moved = frame.assign(y=frame["y"] + 50 * shift)
    for weights in (None, "w"):
        options = {"weights": weights, "cluster": "cluster"}
        plain, other = (compare.did(f, *NAMES, 5, **options) for f in (frame, moved))
        columns = ["estimate", "se", "ci_low", "ci_high"]
        assert np.allclose(plain[columns], other[columns], atol=1e-9)


def test_the_order_of_rows_changes_nothing():
    frame = simulated(3)
    shuffled = frame.sample(frac=1, random_state=4)
    for call in (compare.did, compare.event_study):
        options = {"weights": "w", "cluster": "cluster"}
        pd.testing.assert_frame_equal(
            call(frame, *NAMES, 5, **options), call(shuffled, *NAMES, 5, **options)
        )


def test_a_whole_weight_counts_as_that_many_equal_units():
    frame = simulated(5)
    copies = frame.loc[frame.index.repeat(frame["w"].astype(int))]
    copies = copies.assign(unit=copies["unit"] * 10 + copies.groupby(["unit", "t"]).cumcount())
    weighted = compare.did(frame, *NAMES, 5, weights="w", cluster="cluster").loc[0]
    copied = compare.did(copies, *NAMES, 5, cluster="cluster").loc[0]
    for column in ("estimate", "se", "ci_low", "ci_high", "p"):
        assert weighted[column] == pytest.approx(copied[column], abs=1e-10)


def test_the_scale_of_the_weights_does_not_matter():
    frame = simulated(6)
    scaled = frame.assign(w=frame["w"] * 1000)
    assert estimate(frame, weights="w") == pytest.approx(estimate(scaled, weights="w"), abs=1e-12)


def test_a_boolean_treatment_means_the_same_as_zero_and_one():
    frame = simulated(7)
    flagged = frame.assign(treated=frame["treated"] == 1)
    for call in (compare.did, compare.event_study):
        pd.testing.assert_frame_equal(call(frame, *NAMES, 5), call(flagged, *NAMES, 5))
    areas = [compare.area_effects(f, *NAMES, 5, "cluster") for f in (frame, flagged)]
    pd.testing.assert_frame_equal(*areas)


@pytest.mark.parametrize("weights", [None, "w"])
def test_regression_with_unit_and_time_effects_gives_the_same_number(weights):
    import pyfixest

    frame = simulated(8).assign(post=lambda f: f["treated"] * (f["t"] >= 5))
    fit = pyfixest.feols("y ~ post | unit + t", data=frame, vcov="iid", weights=weights)
    assert estimate(frame, weights=weights) == pytest.approx(fit.coef()["post"], abs=1e-10)


@pytest.mark.parametrize("weights", [None, "w"])
def test_event_study_equals_the_regression_with_one_indicator_a_time(weights):
    import pyfixest

    frame = simulated(9)
    fit = pyfixest.feols(
        "y ~ i(t, treated, ref=4) | unit + t", data=frame, vcov="iid", weights=weights
    )
    found = compare.event_study(frame, *NAMES, 5, weights=weights)
    expected = [fit.coef().get(f"t::{t}:treated", 0.0) for t in range(8)]
    assert len(fit.coef()) == 7
    assert np.allclose(found["estimate"], expected, atol=1e-10)


# Windows and variants.


def windowed_frame():
    return monthly(10, months=48).assign(cluster=lambda f: f["unit"])


def window(name, first, last):
    return design.Window(name, pd.Timestamp(first), pd.Timestamp(last))


BASE = window("baseline", "2018-03-01", "2019-02-01")
LATER = window("later", "2020-03-01", "2021-02-01")


def test_every_window_and_weighting_has_its_own_row_and_one_is_main():
    frame = windowed_frame()
    found = compare.two_by_twos(
        frame, *NAMES, BASE, [LATER], ["w", None], "cluster", main=("later", "w")
    )
    assert found["spec"].tolist() == ["later/w", "later/none"]
    assert found["is_main"].tolist() == [True, False]
    assert found["post"].tolist() == [LATER.text] * 2
    kept = frame[frame["t"].isin(BASE.months) | frame["t"].isin(LATER.months)]
    by_hand = compare.did(kept, *NAMES, LATER.first, weights="w", cluster="cluster")
    assert found.loc[0, "estimate"] == by_hand.loc[0, "estimate"]


def test_a_check_changes_only_what_it_names():
    frame = windowed_frame()
    checks = [
        design.Variant("plain", "", "none", BASE, LATER),
        design.Variant("fewer", "unit != 0", "w", BASE, LATER),
    ]
    found = compare.variants(frame, *NAMES, checks, "cluster").set_index("spec")
    pair = compare.two_by_twos(frame, *NAMES, BASE, [LATER], [None], "cluster", main=("", ""))
    assert found.loc["plain", "estimate"] == pair.loc[0, "estimate"]
    assert found.loc["fewer", ["n_units", "note", "weights"]].tolist() == [5, "unit != 0", "w"]


def test_a_month_without_rows_is_refused_instead_of_shortening_the_window():
    frame = windowed_frame()
    beyond = window("beyond", "2021-11-01", "2022-10-01")
    with pytest.raises(KokeiluError, match="2022M03 has no rows"):
        compare.two_by_twos(frame, *NAMES, BASE, [beyond], [None], "cluster", main=("", ""))


def test_windows_that_overlap_are_refused():
    early = window("early", "2019-02-01", "2020-01-01")
    check = design.Variant("early", "", "none", BASE, early)
    with pytest.raises(KokeiluError, match="early 2019M02–2020M01 must begin after"):
        compare.variants(windowed_frame(), *NAMES, [check], "cluster")


@pytest.mark.parametrize(
    ("keep", "said"), [("nonsense == 1", "nonsense"), ("unit >", "unit >"), ("unit > 99", "no row")]
)
def test_a_condition_that_cannot_be_met_or_read_names_its_check(keep, said):
    check = design.Variant("odd", keep, "none", BASE, LATER)
    with pytest.raises(KokeiluError, match="Check odd") as error:
        compare.variants(windowed_frame(), *NAMES, [check], "cluster")
    assert said in str(error.value)


# Seasons.


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_unit_month_and_calendar_patterns_leave_the_seasonal_study_unchanged(seed):
    frame = monthly(seed)
    rng = np.random.default_rng(seed + 1)
    month = frame["t"].dt.month.to_numpy() - 1
    shift = rng.normal(size=6)[frame["unit"]]
    shift = shift + rng.normal(size=48)[frame["t"].rank(method="dense").astype(int) - 1]
    shift = shift + rng.normal(size=(6, 12))[frame["unit"], month]
    studies = []
    for f in (frame, frame.assign(y=frame["y"] + 20 * shift)):
        changed = compare.seasonal_change(f, "y", "unit", "t", MAR[0], MAR[11])
        studies.append(
            compare.event_study(
                changed, "change", "unit", "t", "treated", MAR[24], weights="w", base=None
            )
        )
    assert np.allclose(studies[0]["estimate"], studies[1]["estimate"], atol=1e-9)


def test_a_month_changes_against_the_same_month_of_the_base_year():
    frame = monthly(11)
    changed = compare.seasonal_change(frame, "y", "unit", "t", MAR[0], MAR[11])
    one = changed[changed["unit"] == 2].set_index("t")
    expected = one.loc["2021-07-01", "y"] - one.loc["2019-07-01", "y"]
    assert one.loc["2021-07-01", "change"] == pytest.approx(expected, abs=1e-12)
    assert np.allclose(one.loc[MAR[0] : MAR[11], "change"], 0)


def test_plain_event_study_is_disturbed_by_a_season_of_its_own_and_the_seasonal_one_is_not():
    frame = monthly(12).assign(y=lambda f: f["treated"] * np.sin(f["t"].dt.month))
    seasonal = compare.seasonal_change(frame, "y", "unit", "t", MAR[0], MAR[11])
    options = {"unit": "unit", "time": "t", "treated": "treated", "start": MAR[24]}
    assert compare.event_study(frame, "y", **options)["estimate"].abs().max() > 0.5
    flat = compare.event_study(seasonal, "change", base=None, **options)["estimate"]
    assert flat.abs().max() < 1e-12


def test_baseline_without_whole_years_is_refused_with_unit_and_month():
    frame = monthly(13)
    with pytest.raises(KokeiluError, match="0 has month 2 0 times"):
        compare.seasonal_change(frame, "y", "unit", "t", MAR[0], MAR[10])
    gone = frame[(frame["unit"] != 3) | (frame["t"] != MAR[4])]
    with pytest.raises(KokeiluError, match="3 has month 7 0 times"):
        compare.seasonal_change(gone, "y", "unit", "t", MAR[0], MAR[11])


def test_base_of_the_event_study_can_be_a_mean_of_named_times():
    frame = simulated(14)
    found = compare.event_study(frame, *NAMES, 5, base=[1, 2, 3])
    matrix = frame.pivot(index="unit", columns="t", values="y")
    change = matrix.sub(matrix[[1, 2, 3]].mean(axis=1), axis=0)
    arm = frame.groupby("unit")["treated"].first() == 1
    assert np.allclose(found["estimate"], change[arm].mean() - change[~arm].mean(), atol=1e-12)
    assert set(found["pre"]) == {"1–3"}
    assert found["event_month"].tolist() == list(range(-5, 3))


def test_the_last_time_before_the_start_is_the_base_and_is_zero():
    found = compare.event_study(simulated(15), *NAMES, 5).set_index("event_month")
    assert found.loc[-1, ["estimate", "se"]].tolist() == [0, 0]
    assert set(found["pre"]) == {"4"}


def test_a_base_that_is_no_time_of_the_frame_is_refused():
    with pytest.raises(KokeiluError, match="99"):
        compare.event_study(simulated(16), *NAMES, 5, base=[99])


# Intervals of cells.


def interval_frame(seed):
    """Three units a group, three times, five cells that are intervals."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"unit": np.repeat(range(6), 3), "t": np.tile(range(3), 6)})
    frame["treated"] = (frame["unit"] < 3).astype(int)
    frame["low"] = rng.integers(0, 9, 18).astype(float)
    frame["up"] = frame["low"]
    hidden = rng.choice(18, 5, replace=False)
    frame.loc[hidden, "up"] += rng.integers(1, 4, 5)
    return frame.assign(w=1.0 + frame["unit"] % 3)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("weights", [None, "w"])
def test_bounds_of_the_two_by_two_are_the_extremes_over_all_fillings(seed, weights):
    frame = interval_frame(seed)
    hidden = frame.index[frame["low"] < frame["up"]]
    found = []
    for ends in itertools.product(("low", "up"), repeat=len(hidden)):
        filled = frame.assign(y=frame["low"])
        for cell, end in zip(hidden, ends, strict=True):
            filled.loc[cell, "y"] = frame.loc[cell, end]
        change = filled[filled["t"] == 2].set_index("unit")["y"]
        change = change - filled[filled["t"] < 2].groupby("unit")["y"].mean()
        w = frame.groupby("unit")["w"].first() if weights else change * 0 + 1
        arm = change.index < 3
        found.append(
            np.average(change[arm], weights=w[arm]) - np.average(change[~arm], weights=w[~arm])
        )
    bounds = compare.did_interval(frame, "low", "up", "unit", "t", "treated", 2, weights)
    assert bounds == pytest.approx((min(found), max(found)), abs=1e-12)


def test_bounds_without_hidden_cells_are_the_estimate():
    frame = simulated(17)
    bounds = compare.did_interval(frame, "y", "y", "unit", "t", "treated", 5, "w")
    assert bounds == pytest.approx([estimate(frame, weights="w")] * 2, abs=1e-12)


def test_opening_one_more_cell_never_narrows_the_bounds():
    frame = simulated(18).assign(low=lambda f: f["y"], up=lambda f: f["y"])
    rng = np.random.default_rng(19)
    low, high = compare.did_interval(frame, "low", "up", "unit", "t", "treated", 5)
    for cell in rng.choice(len(frame), 10, replace=False):
        frame.loc[cell, "up"] += 1
        below, above = compare.did_interval(frame, "low", "up", "unit", "t", "treated", 5)
        assert below <= low + 1e-12 and above >= high - 1e-12
        assert above - below > high - low
        low, high = below, above


def test_bounds_of_the_seasonal_gap_are_the_extremes_over_all_fillings():
    frame = monthly(20, units=4, first="2019-03-01", months=14)
    frame["low"] = frame["up"] = frame["y"]
    march = frame.index[(frame["t"] == MAR[0]) | (frame["t"] == MAR[12])]
    frame.loc[march, "up"] += np.arange(1, 9) / 4
    bounds = compare.event_interval(
        frame, "low", "up", "t", "treated", MAR[0], MAR[11], "w"
    ).set_index("t")
    found = []
    for ends in itertools.product(("low", "up"), repeat=len(march)):
        value = pd.Series(
            [frame.loc[c, e] for c, e in zip(march, ends, strict=True)],
            index=pd.MultiIndex.from_frame(frame.loc[march, ["unit", "t"]]),
        ).unstack()
        change = value[MAR[12]] - value[MAR[0]]
        w = np.array([1.0, 2, 3, 1])
        found.append(np.average(change[:2], weights=w[:2]) - np.average(change[2:], weights=w[2:]))
    assert bounds.loc[MAR[12]].tolist() == pytest.approx([min(found), max(found)], abs=1e-12)
    assert bounds.index.tolist() == [MAR[12], MAR[13]]
    point = bounds.loc[MAR[13]]
    assert point["bound_low"] == pytest.approx(point["bound_high"], abs=1e-12)


def test_seasonal_bounds_without_hidden_cells_are_the_seasonal_event_study():
    frame = monthly(21)
    changed = compare.seasonal_change(frame, "y", "unit", "t", MAR[0], MAR[11])
    study = compare.event_study(
        changed, "change", "unit", "t", "treated", MAR[24], weights="w", base=None
    ).set_index("post")["estimate"]
    bounds = compare.event_interval(frame, "y", "y", "t", "treated", MAR[0], MAR[11], "w")
    expected = study[[f"{t:%YM%m}" for t in bounds["t"]]]
    assert np.allclose(bounds["bound_low"], expected, atol=1e-9)
    assert np.allclose(bounds["bound_high"], expected, atol=1e-9)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: f.assign(low=f["low"].where(f.index != 7)), "nan"),
        (lambda f: f.assign(low=f["low"].where(f.index != 7, 99.0)), "99.0"),
        (lambda f: f.drop(columns="up"), "'up'"),
        (lambda f: f.assign(treated=f["treated"] * 2), "0 or 1"),
        (lambda f: f.assign(w=-f["w"]), "positive"),
        (lambda f: f.drop(index=30), "2020M10"),
        (lambda f: f[f["t"] > MAR[0]], "whole|every calendar month"),
    ],
)
def test_seasonal_bounds_refuse_what_would_be_silently_left_out(spoil, said):
    frame = monthly(22, units=4, first="2019-03-01", months=24)
    frame["low"], frame["up"] = frame["y"], frame["y"] + 0.1
    frame = frame.reset_index(drop=True)
    frame.loc[:, "t"] = frame["t"]
    with pytest.raises(KokeiluError, match=said):
        compare.event_interval(spoil(frame), "low", "up", "t", "treated", MAR[0], MAR[11], "w")


def test_bounds_with_ends_the_wrong_way_round_name_the_cell():
    frame = interval_frame(1)
    frame.loc[4, ["low", "up"]] = [5.0, 3.0]
    with pytest.raises(KokeiluError, match="unit 1, t 1: found low 5.0 and up 3.0"):
        compare.did_interval(frame, "low", "up", "unit", "t", "treated", 2)


# Areas.


def test_leaving_an_area_out_equals_the_two_by_two_without_its_rows():
    frame = simulated(23)
    left = compare.leave_one_out(frame, *NAMES, 5, "cluster", "w").set_index("area_id")
    assert sorted(left.index) == list(range(5))
    assert left["estimate"].is_monotonic_increasing
    for area in left.index:
        rest = estimate(frame[frame["cluster"] != area], weights="w")
        assert left.loc[area, "estimate"] == pytest.approx(rest, abs=1e-12)


def test_leaving_out_the_only_treated_area_is_refused():
    frame = simulated(24).query("cluster == 0 or treated == 0")
    with pytest.raises(KokeiluError, match="one group is empty"):
        compare.leave_one_out(frame, *NAMES, 5, "cluster")


def test_weighted_area_effects_average_to_the_two_by_two():
    frame = simulated(25)
    areas = compare.area_effects(frame, *NAMES, 5, "cluster", "w")
    size = frame[frame["t"] == 0].groupby("cluster")["w"].sum().loc[:4]
    mean = np.average(areas["estimate"], weights=size)
    assert mean == pytest.approx(estimate(frame, weights="w"), abs=1e-12)
    assert areas["n_units"].tolist() == [2] * 5


def test_interval_of_an_area_is_the_spread_of_the_control_areas():
    frame = simulated(26)
    found = compare.area_effects(frame, *NAMES, 5, "cluster").loc[0]
    matrix = frame.pivot(index="unit", columns="t", values="y")
    change = matrix.loc[:, 5:].mean(axis=1) - matrix.loc[:, :4].mean(axis=1)
    controls = change.groupby(np.arange(24) // 2).mean().loc[5:]
    spread = np.sqrt(controls.var() * (1 + 1 / 7))
    assert found["se"] == pytest.approx(spread, abs=1e-12)
    # t with 6 degrees of freedom
    assert found["ci_high"] - found["estimate"] == pytest.approx(2.446912 * spread, abs=1e-6)


def test_an_area_of_both_groups_has_no_effect_of_its_own():
    frame = simulated(27).assign(mixed=lambda f: f["cluster"].where(f["cluster"] != 5, 4))
    with pytest.raises(KokeiluError, match="Area 4 is partly treated"):
        compare.area_effects(frame, *NAMES, 5, "mixed")


# Bad input.


def at(frame, unit, t):
    return frame.index[(frame["unit"] == unit) & (frame["t"] == t)][0]


def changed(frame, unit, t, **cells):
    out = frame.astype(dict.fromkeys(cells, object))
    for column, value in cells.items():
        out.loc[at(frame, unit, t), column] = value
    return out.infer_objects()


def whole_unit(frame, unit, column, value):
    return frame.assign(**{column: frame[column].where(frame["unit"] != unit, value)})


BAD = {
    "a missing column": (lambda f: f.drop(columns="w"), "no column 'w'"),
    "a missing value": (lambda f: changed(f, 3, 6, y=np.nan), "unit 3 is missing or infinite at 6"),
    "an infinite value": (lambda f: changed(f, 3, 6, y=np.inf), "unit 3 is missing or infi.* at 6"),
    "a missing row": (lambda f: f.drop(index=at(f, 4, 2)), "unit 4 is missing or infinite at 2"),
    "a doubled row": (lambda f: pd.concat([f, f.iloc[[9]]]), "unit 1 has t 1 twice"),
    "a row without unit": (lambda f: changed(f, 3, 6, unit=np.nan), "Row 30 has no unit"),
    "words": (lambda f: f.assign(y=f["y"].astype(str)), "expected numbers"),
    "treatment that changes": (lambda f: changed(f, 2, 7, treated=0), "treated of unit 2 changes"),
    "a dose": (lambda f: whole_unit(f, 2, "treated", 2), "treated of unit 2 is 2; expected 0 or 1"),
    "no treatment": (lambda f: whole_unit(f, 2, "treated", np.nan), "treated of unit 2 is nan"),
    "weights that change": (lambda f: changed(f, 5, 0, w=9.5), "w of unit 5 changes"),
    "a weight of zero": (lambda f: whole_unit(f, 6, "w", 0.0), "w of unit 6 is 0.0; .* positive"),
    "no weight": (lambda f: whole_unit(f, 6, "w", np.nan), "w of unit 6 is nan"),
    "no cluster": (lambda f: whole_unit(f, 7, "cluster", np.nan), "cluster of unit 7 is nan"),
    "no controls": (lambda f: f[f["treated"] == 1], "one group is empty"),
    "no treated": (lambda f: f[f["treated"] == 0], "one group is empty"),
}


@pytest.mark.parametrize("fault", BAD)
@pytest.mark.parametrize("call", [compare.did, compare.event_study])
def test_bad_input_is_refused_and_the_message_names_the_place(call, fault):
    spoil, said = BAD[fault]
    with pytest.raises(KokeiluError, match=said):
        call(spoil(simulated(28)), *NAMES, 5, weights="w", cluster="cluster")


@pytest.mark.parametrize(("start", "said"), [(0, "before the start 0"), (8, "after the start 8")])
def test_a_start_outside_the_times_is_refused(start, said):
    with pytest.raises(KokeiluError, match=said):
        compare.did(simulated(29), *NAMES, start)


# The schema and the descriptions.


def test_schema_of_estimates_is_the_contract():
    contract = (
        "outcome, estimand, estimator, weights, pre, post, controls, event_month, area_id, "
        "estimate, se, ci_low, ci_high, p, inference, bound_low, bound_high, n_units, "
        "n_clusters, spec, is_main, note"
    )
    assert contract.split(", ") == estimates.COLUMNS
    for call in (compare.did, compare.event_study):
        assert call(simulated(30), *NAMES, 5).columns.tolist() == estimates.COLUMNS


def test_published_estimates_follow_the_schema():
    for name in ("03_did", "03_event_study", "04_area_effects", "04_adjusted", "05_robustness"):
        assert results.read(name).columns.tolist() == estimates.COLUMNS


def test_a_column_that_the_schema_does_not_know_is_refused():
    with pytest.raises(KokeiluError, match="estimat_e"):
        estimates.table([{"estimat_e": 1.0}])


def test_what_a_row_leaves_out_is_empty_and_not_main():
    row = estimates.table([{"outcome": "unemployed", "n_units": 3}, {"is_main": True}])
    assert row["is_main"].tolist() == [False, True]
    assert row.loc[0, ["note", "area_id"]].tolist() == ["", ""]
    assert np.isnan(row.loc[0, "estimate"]) and row.loc[1, "n_units"] is pd.NA


def test_group_means_of_equal_weights_are_plain_means():
    frame = simulated(31)
    found = describe.group_means(frame, "y", "t", "treated")
    expected = frame.groupby(["t", "treated"])["y"].mean()
    assert np.allclose(found["mean"], expected, atol=1e-12)
    assert found["n_units"].tolist() == [14, 10] * 8


def test_a_group_mean_with_a_missing_value_is_refused():
    with pytest.raises(KokeiluError, match="y or its weight is missing at 6 in 1"):
        describe.group_means(changed(simulated(32), 3, 6, y=np.nan), "y", "t", "treated", "w")


def test_balance_does_not_depend_on_the_unit_of_measurement():
    units = simulated(33).query("t == 0").assign(thousand=lambda f: f["y"] * 1000)
    found = describe.balance(units, "treated", ["y", "thousand"]).set_index("variable")
    assert found.loc["y", "standardised"] == pytest.approx(found.loc["thousand", "standardised"])
    assert found.loc["thousand", "difference"] == pytest.approx(1000 * found.loc["y", "difference"])
