import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import (
    MAR,
    NAMES,
    ROW,
    WITHOUT,
    at,
    by_hand,
    changed,
    estimate,
    filled,
    monthly,
    simulated,
    whole_unit,
)

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import compare, design, fixed_effects, frames, variants


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
@settings(max_examples=8, deadline=None)
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
@settings(max_examples=6, deadline=None)
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


def test_the_word_none_means_no_weights_as_in_the_tables():
    frame = simulated(7)
    for call in (compare.did, compare.event_study):
        plain, said = (call(frame, *NAMES, 5, weights=w) for w in (None, "none"))
        pd.testing.assert_frame_equal(plain, said)
    found = compare.two_by_twos(
        windowed_frame(), *NAMES, BASE, [LATER], ["w", None], "cluster", main=("later", "none")
    )
    assert found["is_main"].tolist() == [False, True]


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


@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize("weights", [None, "w"])
def test_regression_with_unit_and_time_effects_gives_the_same_number(weights):
    import pyfixest

    frame = simulated(8).assign(post=lambda f: f["treated"] * (f["t"] >= 5))
    fit = pyfixest.feols("y ~ post | unit + t", data=frame, vcov="iid", weights=weights)
    assert estimate(frame, weights=weights) == pytest.approx(fit.coef()["post"], abs=1e-10)


@pytest.mark.filterwarnings("ignore:The inplace keyword")
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
    found = variants.run(frame, *NAMES, checks, "cluster").set_index("spec")
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
        variants.run(windowed_frame(), *NAMES, [check], "cluster")


@pytest.mark.parametrize(
    ("keep", "said"), [("nonsense == 1", "nonsense"), ("unit >", "unit >"), ("unit > 99", "no row")]
)
def test_a_condition_that_cannot_be_met_or_read_names_its_check(keep, said):
    check = design.Variant("odd", keep, "none", BASE, LATER)
    with pytest.raises(KokeiluError, match="Check odd") as error:
        variants.run(windowed_frame(), *NAMES, [check], "cluster")
    assert said in str(error.value)


# Seasons.


@given(st.integers(0, 10_000))
@settings(max_examples=6, deadline=None)
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


def test_the_base_of_two_years_is_the_mean_of_the_two_months():
    changed = compare.seasonal_change(monthly(11), "y", "unit", "t", MAR[0], MAR[23])
    one = changed[changed["unit"] == 2].set_index("t")
    expected = one.loc["2021-07-01", "y"] - one.loc[["2019-07-01", "2020-07-01"], "y"].mean()
    assert one.loc["2021-07-01", "change"] == pytest.approx(expected, abs=1e-12)


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

BAD = {
    "a missing column": (lambda f: f.drop(columns="w"), "no column 'w'"),
    "an infinite value": (lambda f: changed(f, 3, 6, y=np.inf), "unit 3 is missing or infi.* at 6"),
    "a doubled row": (lambda f: pd.concat([f, f.iloc[[9]]]), "unit 1, t 1 is there twice"),
    "a row without unit": (
        lambda f: f.assign(unit=f["unit"].where(f.index != 30)),
        "Row 30 has no unit",
    ),
    "words": (lambda f: f.assign(y=f["y"].astype(str)), "expected numbers"),
    "treatment that changes": (lambda f: changed(f, 2, 7, treated=0), "treated of unit 2 changes"),
    "a dose": (lambda f: whole_unit(f, 2, "treated", 2), "treated of unit 2 is 2; expected 0 or 1"),
    "no treatment": (lambda f: whole_unit(f, 2, "treated", np.nan), "treated of unit 2 is nan"),
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


GAPS = {
    "a missing value": (lambda f: changed(f, 3, 6, y=np.nan), "unit 3 is missing or infinite at 6"),
    "a missing row": (lambda f: f.drop(index=at(f, 4, 2)), "unit 4 is missing or infinite at 2"),
    "weights that change": (lambda f: changed(f, 5, 0, w=9.5), "w of unit 5 changes"),
}


@pytest.mark.parametrize("fault", GAPS)
def test_area_effects_refuse_gaps_and_varying_weights_and_name_the_place(fault):
    spoil, said = GAPS[fault]
    with pytest.raises(KokeiluError, match=said):
        compare.area_effects(spoil(simulated(28)), *NAMES, 5, "cluster", "w")


# Missing cells and weights that vary over time.


def unbalanced(seed):
    """A tenth of the cells gone; one unit enters late, another leaves early, a third has one."""
    frame = simulated(seed)
    rng = np.random.default_rng(seed)
    gone = rng.random(len(frame)) < 0.1
    gone |= (frame["unit"] == 1) & (frame["t"] < 3) | (frame["unit"] == 20) & (frame["t"] > 4)
    gone |= (frame["unit"] == 15) & (frame["t"] != 6)
    return frame.assign(v=rng.uniform(1, 5, len(frame)))[~gone]


def library(frame, formula, weights):
    import pyfixest

    return pyfixest.feols(
        formula,
        frame.assign(post=frame["treated"] * (frame["t"] >= 5)),
        vcov={"CRV3": "cluster"},
        weights=weights,
        ssc=pyfixest.ssc(k_adj=False, G_adj=False),
        fixef_tol=1e-13,
        fixef_maxiter=1_000_000,
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("weights", [None, "w", "v"])
def test_with_missing_cells_the_two_by_two_is_the_regression_of_the_library(weights):
    frame = unbalanced(31)
    fit = library(frame, "y ~ post | unit + t", weights)
    found = compare.did(frame, *NAMES, 5, weights=weights, cluster="cluster").loc[0]
    assert found["estimate"] == pytest.approx(fit.coef()["post"], abs=1e-10)
    # the library's jackknife lacks (G-1)/G; there are 12 clusters
    assert found["se"] == pytest.approx(fit.se()["post"] * np.sqrt(11 / 12), rel=1e-8)
    assert found["note"].startswith(f"{192 - len(frame)} of 192 cells missing")
    assert ("vary" in found["note"]) == (weights == "v")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("weights", [None, "v"])
def test_with_missing_cells_the_event_study_is_the_regression_of_the_library(weights):
    frame = unbalanced(32)
    fit = library(frame, "y ~ i(t, treated, ref=4) | unit + t", weights)
    found = compare.event_study(frame, *NAMES, 5, weights=weights, cluster="cluster")
    for column, values, factor in (("estimate", fit.coef(), 1), ("se", fit.se(), 11 / 12)):
        expected = [values.get(f"t::{t}:treated", 0.0) * np.sqrt(factor) for t in range(8)]
        assert np.allclose(found[column], expected, atol=1e-9)


@pytest.mark.parametrize("weights", [None, "w"])
def test_the_regression_equals_the_closed_form_where_nothing_is_missing(weights):
    frame = simulated(33)
    table = frames.panel(frame, *NAMES, weights, "cluster")
    columns = ["estimate", "se", "ci_low", "ci_high", "p"]
    closed = compare.did(frame, *NAMES, 5, weights=weights, cluster="cluster").loc[0]
    solved = fixed_effects.two_by_two(table, np.arange(8) >= 5)
    assert np.allclose([solved[c] for c in columns], closed[columns].astype(float), atol=1e-10)
    for base, places in (("last", [4]), ([1, 2], [1, 2]), (None, None)):
        options = {"weights": weights, "cluster": "cluster", "base": base}
        closed = compare.event_study(frame, *NAMES, 5, **options)
        solved = fixed_effects.by_time(table, places)
        for column in columns:
            assert np.allclose(solved[column], closed[column], atol=1e-10, equal_nan=True)


def test_a_missing_row_and_a_missing_value_are_the_same():
    frame = simulated(34)
    for call in (compare.did, compare.event_study):
        gone = call(frame.drop(index=at(frame, 4, 2)), *NAMES, 5)
        empty = call(changed(frame, 4, 2, y=np.nan), *NAMES, 5)
        pd.testing.assert_frame_equal(gone, empty)
        assert (gone["note"] == "1 of 192 cells missing").all()


def test_a_time_that_the_treated_lack_has_no_estimate_and_the_row_says_so():
    frame = simulated(35)
    frame = frame[(frame["treated"] == 0) | (frame["t"] != 6)]
    found = compare.event_study(frame, *NAMES, 5, cluster="cluster").set_index("event_month")
    assert np.isnan(found.loc[1, "estimate"]) and "no link" in found.loc[1, "note"]
    others = found.drop(index=1)
    assert others["estimate"].notna().all() and not others["note"].str.contains("no link").any()


def test_cells_that_never_join_before_and_after_identify_nothing():
    frame = simulated(36)
    early = frame["unit"] % 2 == 0
    apart = frame[(frame["treated"] == 0) | (early == (frame["t"] < 5))]
    with pytest.raises(KokeiluError, match="do not identify"):
        compare.did(apart, *NAMES, 5)


def test_a_check_on_a_panel_with_gaps_keeps_both_its_condition_and_the_gaps_in_the_note():
    frame = windowed_frame().drop(index=7)
    check = design.Variant("fewer", "unit != 5", "none", BASE, LATER)
    note = variants.run(frame, *NAMES, [check], "cluster").loc[0, "note"]
    assert note == "unit != 5; 1 of 120 cells missing"


@pytest.mark.parametrize(("start", "said"), [(0, "before the start 0"), (8, "after the start 8")])
def test_a_start_outside_the_times_is_refused(start, said):
    with pytest.raises(KokeiluError, match=said):
        compare.did(simulated(29), *NAMES, start)


# What the regression says where little is left of the panel.


def small(**gone):
    """Six units in three clusters, four times; cells as (unit, t) in `gone` are missing."""
    frame = simulated(34, units=6, times=4, start=2, clusters=6).assign(c=lambda f: f["unit"] % 3)
    frame["treated"] = (frame["unit"] < 3).astype(int)
    for unit, t in gone.get("cells", ()):
        frame = frame[(frame["unit"] != unit) | (frame["t"] != t)]
    return frame


def test_intervals_and_p_are_those_of_t_with_one_less_than_the_clusters():
    from scipy.special import stdtr

    gaps = simulated(35).drop(index=7)
    for frame in (simulated(35), gaps):
        for call in (compare.did, compare.event_study):
            for level in (0.95, 0.8):
                rows = call(frame, *NAMES, 5, cluster="cluster", level=level)
                rows = rows[rows["se"] > 1e-9]
                assert (rows["n_clusters"] == 12).all()
                for sign, end in ((-1, "ci_low"), (1, "ci_high")):
                    t = sign * (rows[end] - rows["estimate"]) / rows["se"]
                    assert np.allclose(2 * stdtr(11, t) - 1, level)
                expected = 2 * stdtr(11, -(rows["estimate"] / rows["se"]).abs())
                assert np.allclose(rows["p"], expected)


def test_a_change_without_base_is_the_difference_of_the_means_of_whoever_is_there():
    frame = unbalanced(36)
    found = compare.event_study(frame, *NAMES, 5, weights="v", cluster="cluster", base=None)
    assert set(found["pre"]) == {""}
    for t, row in zip(range(8), found.to_dict("records"), strict=True):
        now = frame[frame["t"] == t]
        means = [np.average(g["y"], weights=g["v"]) for _, g in now.groupby("treated")]
        assert row["estimate"] == pytest.approx(means[1] - means[0], abs=1e-12)
        left = []
        for c in range(12):
            rest = now[now["cluster"] != c]
            means = [np.average(g["y"], weights=g["v"]) for _, g in rest.groupby("treated")]
            left.append(means[1] - means[0])
        se = np.sqrt(11 / 12 * np.square(np.array(left) - row["estimate"]).sum())
        assert row["se"] == pytest.approx(se, abs=1e-10)


def test_a_time_without_treated_cells_has_no_estimate_and_says_so():
    frame = small(cells=[(0, 1), (1, 1), (2, 1)])
    found = compare.event_study(frame, *NAMES, 2, cluster="c", base=[0]).set_index("event_month")
    assert found["estimate"].isna().tolist() == [False, True, False, False]
    assert "no link to the base" in found.loc[-1, "note"]
    assert "no link" not in found.loc[0, "note"]
    rest = compare.event_study(frame[frame["t"] != 1], *NAMES, 2, cluster="c", base=[0])
    assert found["estimate"].dropna().tolist() == pytest.approx(rest["estimate"].tolist())


def test_cells_that_connect_no_time_before_with_one_after_identify_nothing():
    late = [(u, t) for u in (0, 1, 2) for t in (0, 1)]
    apart = [(0, 2), (0, 3), (1, 2), (1, 3), (2, 0), (2, 1)]  # nobody treated is on both sides
    never = [(u, t) for u in range(6) for t in ((0, 1) if u % 2 else (2, 3))]  # nobody is
    for cells in (apart, late, never):
        with pytest.raises(KokeiluError, match="do not identify an effect"):
            compare.did(small(cells=cells), *NAMES, 2, cluster="c")
    with pytest.raises(KokeiluError, match="at least 3 clusters; found 2"):
        two = small(cells=[(0, 0)])
        compare.did(two.assign(c=two["unit"] % 2), *NAMES, 2, cluster="c")
    three = compare.did(small(cells=[(0, 0)]), *NAMES, 2, cluster="c").loc[0]
    assert three["n_clusters"] == 3 and three["note"] == "1 of 24 cells missing"


def test_a_unit_without_any_outcome_says_nothing():
    frame = unbalanced(37)
    empty = frame.assign(y=frame["y"].where(frame["unit"] != 22))
    found = compare.did(empty, *NAMES, 5, cluster="cluster").loc[0]
    rest = compare.did(frame[frame["unit"] != 22], *NAMES, 5, cluster="cluster").loc[0]
    for column in ("estimate", "se", "p"):
        assert found[column] == pytest.approx(rest[column], abs=1e-10)


def test_there_must_be_times_on_both_sides_of_the_start():
    for start, side in ((0, "before"), (8, "after")):
        with pytest.raises(KokeiluError, match=f"No time lies {side} the start {start}"):
            compare.did(simulated(38), *NAMES, start)


def test_a_row_without_time_and_a_time_that_is_twice_there_are_named():
    frame = simulated(39)
    with pytest.raises(KokeiluError, match="Row 17 has no unit or no t"):
        compare.did(frame.assign(t=frame["t"].where(frame.index != 17)), *NAMES, 5)
    for weight in (0.0, -0.5, np.inf, "much"):
        with pytest.raises(KokeiluError, match="expected a positive number"):
            compare.did(changed(frame, 6, 3, w=weight), *NAMES, 5, weights="w")


@pytest.mark.parametrize("labels", ["text", "float", "object", "date"])
def test_labels_of_any_kind_in_blocks_or_mixed_give_the_same_panel(labels):
    frame = simulated(40, units=10, times=6)
    kind = {
        "text": lambda v: pd.Series([f"u{x:03d}" for x in v], dtype="str"),
        "float": lambda v: v.astype(float) / 2,
        "object": lambda v: pd.Series([(int(x),) for x in v], dtype=object),
        "date": lambda v: pd.date_range("2021-01-01", periods=12, freq="MS").to_numpy()[v],
    }[labels]
    plain = frames.panel(frame, *NAMES, "w", "cluster")
    for rows in (frame, frame.sample(frac=1, random_state=1), frame.sort_values(["t", "unit"])):
        rows = rows.reset_index(drop=True)
        named = rows.assign(unit=kind(rows["unit"]), cluster=kind(rows["cluster"]))
        if labels != "object":
            named = named.assign(t=kind(rows["t"]))
        found = frames.panel(named, *NAMES, "w", "cluster")
        assert np.array_equal(found.values, plain.values)
        assert np.array_equal(found.by_unit["weight"], plain.by_unit["weight"])
        assert np.array_equal(found.by_unit["treated"], plain.by_unit["treated"])
        codes = pd.factorize(pd.Series(list(found.by_unit["cluster"])))[0]
        assert np.array_equal(codes, pd.factorize(plain.by_unit["cluster"])[0])
        assert list(found.units) == sorted(set(named["unit"]))


def test_weights_that_vary_are_averaged_over_the_cells_that_are_there():
    frame = unbalanced(41)
    table = frames.panel(frame, *NAMES, "v")
    assert not table.steady and frames.panel(frame, *NAMES, "w").steady
    assert np.allclose(table.by_unit["weight"], frame.groupby("unit")["v"].mean())
    assert (table.cells > 0).sum() == len(frame)
    assert table.missing == 192 - len(frame)


def test_the_interval_of_an_area_follows_its_level_and_the_weights_within_areas():
    frame = simulated(42)
    found = compare.area_effects(frame, *NAMES, 5, "cluster", "w", level=0.8)
    matrix = frame.pivot(index="unit", columns="t", values="y")
    change = matrix.loc[:, 5:].mean(axis=1) - matrix.loc[:, :4].mean(axis=1)
    w = frame.groupby("unit")["w"].first()
    area = pd.Series(np.arange(24) // 2)
    means = (w * change).groupby(area).sum() / w.groupby(area).sum()
    spread = means.loc[5:].std() * np.sqrt(1 + 1 / 7)
    control = np.average(change.loc[10:], weights=w.loc[10:])
    assert found["estimate"].tolist() == pytest.approx((means.loc[:4] - control).tolist())
    reach = 1.439756 * spread  # the 90 % point of t with 6 degrees of freedom
    assert (found["ci_high"] - found["estimate"]).tolist() == pytest.approx([reach] * 5, rel=1e-6)
    assert (found["estimate"] - found["ci_low"]).tolist() == pytest.approx([reach] * 5, rel=1e-6)


# Whole rows by hand.

JACKKNIFED = ROW | {"inference": "cluster jackknife (CR3), t(G-1)", "n_clusters": 5}
T4 = 2.7764451052  # the 97.5 % point of t with 4 degrees of freedom


def test_the_whole_row_of_a_two_by_two():
    from scipy.special import stdtr

    effect = 14 / 3 - 1.9
    se = np.sqrt(4 / 5 * sum((left - effect) ** 2 for left in WITHOUT))
    row = filled(compare.did(by_hand(), *NAMES, 2, "w", "cluster").loc[0])
    expected = JACKKNIFED | {"estimator": "difference-in-differences"}
    assert {k: row.pop(k) for k in expected} == expected
    assert row == pytest.approx(
        {
            "estimate": effect,
            "se": se,
            "ci_low": effect - T4 * se,
            "ci_high": effect + T4 * se,
            "p": 2 * stdtr(4, -effect / se),
        }
    )


def test_the_whole_table_of_an_event_study():
    rows = compare.event_study(by_hand(), *NAMES, 2, "w", "cluster")
    # changes from time 1 by unit: -2 0 4 6 and 0 0 3 5; -1 0 1 1, 0 0 1 0, -1 0 2 4, 3 0 1 3
    assert rows["estimate"].tolist() == pytest.approx([-2 / 3, 0, 10 / 3 - 7 / 5, 16 / 3 - 12 / 5])
    for k, row in enumerate(map(filled, rows.to_dict("records"))):
        expected = JACKKNIFED | {"estimator": "event study", "pre": "1", "post": str(k)}
        assert {key: row[key] for key in expected} == expected
        assert row["event_month"] == k - 2 and "note" not in row
        assert row["ci_high"] - row["estimate"] == pytest.approx(T4 * row["se"])
    left = [3 - 7 / 5, 4 - 7 / 5, 10 / 3 - 5 / 3, 10 / 3 - 3 / 3, 10 / 3 - 6 / 4]
    se = np.sqrt(4 / 5 * sum((each - (10 / 3 - 7 / 5)) ** 2 for each in left))
    assert rows["se"].tolist()[1:3] == pytest.approx([0, se])
    mean = compare.event_study(by_hand(), *NAMES, 2, "w", "cluster", base=[0, 1])
    assert set(mean["pre"]) == {"0–1"}
    assert mean["estimate"].tolist() == pytest.approx((rows["estimate"] + 1 / 3).tolist())


def test_leaving_out_treated_areas_gives_these_estimates_in_order():
    found = compare.leave_one_out(by_hand(), *NAMES, 2, "cluster", "w")
    assert found.to_dict("list") == {"area_id": ["x", "y"], "estimate": pytest.approx(WITHOUT[:2])}
    turned = by_hand().assign(y=lambda f: -f["y"])
    assert compare.leave_one_out(turned, *NAMES, 2, "cluster")["area_id"].tolist() == ["y", "x"]


def test_the_whole_rows_of_area_effects():
    found = compare.area_effects(by_hand(), *NAMES, 2, "cluster", "w")
    spread = np.std([1.0, 3.5, 0.5], ddof=1) * np.sqrt(4 / 3)  # of z, u and v
    for row, (area, change) in zip(found.to_dict("records"), (("x", 6), ("y", 4)), strict=True):
        row, expected = filled(row), {
            **{k: ROW[k] for k in ("outcome", "estimand", "weights", "pre", "post", "is_main")},
            "estimator": "area change minus control mean",
            "inference": "spread of 3 control areas, t(C-1)",
            "area_id": area,
            "n_units": 1,
        }  # fmt: skip
        assert {k: row.pop(k) for k in expected} == expected
        reach = 4.302652730 * spread  # t with 2 degrees of freedom
        assert row == pytest.approx(
            {
                "estimate": change - 1.9,
                "se": spread,
                "ci_low": change - 1.9 - reach,
                "ci_high": change - 1.9 + reach,
            }
        )


def test_bounds_of_a_two_by_two_by_hand():
    frame = by_hand().assign(low=lambda f: f["y"], high=lambda f: f["y"] + f["t"] * (f["w"] == 1))
    # cells of a, c, d and f are open by their time: 0 and 1 before, 2 and 3 after
    low, high = compare.did_interval(frame, "low", "high", "unit", "t", "treated", 2, "w")
    effect = 14 / 3 - 1.9
    assert low == pytest.approx(effect - 0.5 / 3 - 3 * 2.5 / 5)
    assert high == pytest.approx(effect + 2.5 / 3 + 3 * 0.5 / 5)
    for column in ("low", "high"):
        with pytest.raises(KokeiluError, match="unit d, t 3: found .*expected two ends in order"):
            spoilt = changed(frame, "d", 3, **{column: np.nan})
            compare.did_interval(spoilt, "low", "high", "unit", "t", "treated", 2)


def test_bounds_of_the_seasonal_gap_by_hand():
    t = pd.date_range("2020-01-01", periods=26, freq="MS")
    frame = pd.DataFrame({"t": np.tile(t, 3), "d": np.repeat([1, 0, 0], 26), "w": 1.0})
    frame["w"] = np.repeat([1.0, 1.0, 3.0], 26)
    frame["low"] = frame["high"] = 10.0 * frame["d"] + np.tile(np.arange(26.0), 3)
    last, base = frame["t"] == t[25], frame["t"] == t[13]
    frame.loc[last & (frame["d"] == 1), "high"] += 3  # treated, February 2022
    frame.loc[base & (frame["w"] == 3), "high"] += 4  # a control, February 2021
    first, end = pd.Timestamp("2020-01-01"), pd.Timestamp("2021-12-01")
    found = compare.event_interval(frame, "low", "high", "t", "d", first, end, "w")
    assert found.columns.tolist() == ["t", "bound_low", "bound_high"]
    assert found["t"].tolist() == list(t[24:])
    # January: 24 - (0 + 12) / 2 both; February: the control's base may be higher by 3/4 x 4 / 2
    assert found["bound_low"].tolist() == pytest.approx([0, 0])
    assert found["bound_high"].tolist() == pytest.approx([0, 3 + 1.5])
    plain = compare.event_interval(frame, "low", "high", "t", "d", first, end)
    assert plain["bound_high"].tolist() == pytest.approx([0, 3 + 1.0])
    assert plain.equals(compare.event_interval(frame, "low", "high", "t", "d", first, end, "none"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f[f["t"] != "2021-05-01"], "equally often"),
        (lambda f: f[(f["t"] != "2021-05-01") | (f["d"] == 1)], "2021M05 are not those before"),
        (lambda f: f.assign(w=f["w"] + (f["t"] == "2022-01-01")), "2022M01 are not those before"),
        (lambda f: f.assign(w=0.0), "weights positive"),
        (lambda f: f.assign(d=f["d"] * 2), "must be 0 or 1"),
        (lambda f: f.assign(low=f["low"] + (f["t"] == "2021-03-01")), "two ends in order"),
        (lambda f: f.drop(columns="high"), "no column 'high'"),
    ],
)
def test_what_seasonal_bounds_cannot_use_is_said(spoil, message):
    t = pd.date_range("2020-01-01", periods=26, freq="MS")
    frame = pd.DataFrame({"t": np.tile(t, 2), "d": np.repeat([1, 0], 26), "w": 1.0, "low": 1.0})
    window = pd.Timestamp("2020-01-01"), pd.Timestamp("2021-12-01")
    with pytest.raises(KokeiluError, match=message):
        compare.event_interval(spoil(frame.assign(high=1.0)), "low", "high", "t", "d", *window, "w")


def test_a_panel_by_hand():
    frame = by_hand().drop(index=[3, 12])
    table = frames.panel(frame, *NAMES, "w", "cluster")
    assert list(table.units) == list("abcdef") and list(table.times) == [0, 1, 2, 3]
    assert table.missing == 2 and table.steady
    assert table.by_unit["weight"].tolist() == [1, 2, 1, 1, 2, 1]
    assert list(table.by_unit["cluster"]) == list("xyzzuv")
    assert table.cells[0].tolist() == [1, 1, 1, 0] and table.cells[1].tolist() == [2, 2, 2, 2]
    assert table.matrix.loc["d"].tolist()[1:] == [4, 5, 4] and np.isnan(table.matrix.loc["d", 0])
    assert table.facts.columns.tolist() == ["treated", "weight", "cluster"]
    bare = frames.panel(frame, *NAMES)
    assert list(bare.by_unit["cluster"]) == list("abcdef") and (bare.by_unit["weight"] == 1).all()


def test_what_is_doubled_or_changes_is_named_by_its_first_place():
    frame = by_hand()
    twice = pd.concat([frame, frame.iloc[[17, 9]]], ignore_index=True)
    with pytest.raises(KokeiluError, match="unit e, t 1 is there twice"):
        compare.did(twice, *NAMES, 2)
    two = changed(changed(frame, "e", 2, cluster="q"), "c", 1, cluster="q")
    with pytest.raises(KokeiluError, match="cluster of unit c changes"):
        compare.did(two, *NAMES, 2, cluster="cluster")
    with pytest.raises(KokeiluError, match="w of unit e changes"):
        compare.area_effects(changed(frame, "e", 2, w=9.0), *NAMES, 2, "cluster", "w")
    gap = changed(changed(frame, "f", 0, y=np.nan), "d", 3, y=np.nan)
    with pytest.raises(KokeiluError, match="y of unit d is missing or infinite at 3"):
        compare.area_effects(gap, *NAMES, 2, "cluster")
    for value, named in ((np.inf, "missing or infinite at 2"), (-np.inf, "infinite at 2")):
        with pytest.raises(KokeiluError, match=f"y of unit c .*{named}"):
            compare.did(changed(frame, "c", 2, y=value), *NAMES, 2)
