"""Comparisons adjusted for covariates, trends and size, and matched controls."""

import numpy as np
import pandas as pd
import pytest
from panels import NAMES, ROW, by_hand, changed, filled, simulated, whole_unit

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import adjusted, compare, donors, inference


def drawn(seed=20210301, units=60):
    """Two periods, two covariates on which both treatment and change depend."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=units), rng.integers(0, 2, units)])
    chance = 1 / (1 + np.exp(-(-0.4 + 0.7 * x[:, 0] - 0.5 * x[:, 1])))
    d = (rng.random(units) < chance).astype(int)
    y0 = 1 + x[:, 0] + rng.normal(size=units)
    y1 = y0 + 0.3 * x[:, 0] - 0.2 * x[:, 1] + 0.5 * d + rng.normal(size=units)
    w = rng.integers(1, 6, units).astype(float)
    by_unit = {"unit": np.arange(units), "treated": d, "a": x[:, 0], "b": x[:, 1], "w": w}
    frame = pd.DataFrame({name: np.repeat(v, 2) for name, v in by_unit.items()})
    y = np.column_stack([y0, y1]).ravel()
    return frame.assign(t=np.tile([0, 1], units), y=y)


# Doubly robust.


@pytest.mark.parametrize(
    ("weights", "estimate", "se"),
    [
        (None, -0.04220925657546558, 0.3023254397939784),
        ("w", -0.07780827838713279, 0.3659256871130422),
    ],
)
def test_doubly_robust_is_the_number_of_an_independent_implementation(weights, estimate, se):
    # moderndid 0.2.0, drdid_imp_panel on the same arrays; its error lacks n/(n-1)
    found = adjusted.doubly_robust(drawn(), *NAMES, 1, ["a", "b"], weights=weights).loc[0]
    assert found["estimate"] == pytest.approx(estimate, abs=1e-9)
    assert found["se"] * np.sqrt(59 / 60) == pytest.approx(se, abs=1e-8)


@pytest.mark.parametrize("weights", [None, "w"])
def test_without_covariates_it_is_the_two_by_two_with_its_sandwich_error(weights):
    frame = simulated(61)
    options = {"weights": weights, "cluster": "cluster"}
    found = adjusted.doubly_robust(frame, *NAMES, 5, [], **options).loc[0]
    plain = compare.did(frame, *NAMES, 5, **options).loc[0]
    assert found["estimate"] == pytest.approx(plain["estimate"], abs=1e-12)
    matrix = frame.pivot(index="unit", columns="t", values="y")
    facts = frame.groupby("unit").first()
    change = matrix.loc[:, 5:].mean(axis=1) - matrix.loc[:, :4].mean(axis=1)
    w = facts["w"] if weights else np.ones(24)
    sandwich = inference.difference(change, facts["treated"], w, facts["cluster"])["se_cr1"]
    assert found["se"] == pytest.approx(sandwich, rel=1e-10)


def test_a_whole_weight_counts_as_that_many_equal_units():
    frame = drawn().assign(cluster=lambda f: f["unit"])
    copies = frame.loc[frame.index.repeat(frame["w"].astype(int))]
    copies = copies.assign(unit=copies["unit"] * 10 + copies.groupby(["unit", "t"]).cumcount())
    call = {"covariates": ["a", "b"], "cluster": "cluster"}
    weighted = adjusted.doubly_robust(frame, *NAMES, 1, weights="w", **call).loc[0]
    copied = adjusted.doubly_robust(copies, *NAMES, 1, **call).loc[0]
    for column in ("estimate", "se", "ci_low", "p"):
        assert weighted[column] == pytest.approx(copied[column], abs=1e-9)


def test_scaling_and_mixing_the_covariates_changes_nothing():
    frame = drawn()
    mixed = frame.assign(c=1e-9 * frame["a"] + 5e-9, e=1000 * frame["a"] - 3000 * frame["b"])
    plain = adjusted.doubly_robust(frame, *NAMES, 1, ["a", "b"]).loc[0]
    other = adjusted.doubly_robust(mixed, *NAMES, 1, ["c", "e"]).loc[0]
    for column in ("estimate", "se"):
        assert plain[column] == pytest.approx(other[column], abs=1e-9)


@pytest.mark.parametrize("wrong", ["treatment model", "outcome model"])
def test_one_right_model_of_two_is_enough(wrong):
    rng = np.random.default_rng(62)
    robust, plain = [], []
    for _ in range(60):
        x = rng.normal(size=300)
        if wrong == "treatment model":  # a step, not a logit; the outcome is linear
            chance, trend = np.where(x > 0.3, 0.7, 0.2), 2 * x
        else:
            chance, trend = 1 / (1 + np.exp(0.5 - x)), np.exp(0.8 * x)
        d = (rng.random(300) < chance).astype(int)
        change = trend + 0.5 * d + 0.5 * rng.normal(size=300)
        frame = pd.DataFrame({"unit": np.repeat(np.arange(300), 2), "t": np.tile([0, 1], 300)})
        frame = frame.assign(treated=np.repeat(d, 2), x=np.repeat(x, 2))
        frame["y"] = np.column_stack([np.zeros(300), change]).ravel()
        robust.append(adjusted.doubly_robust(frame, *NAMES, 1, ["x"]).loc[0, "estimate"])
        plain.append(compare.did(frame, *NAMES, 1).loc[0, "estimate"])
    assert abs(np.mean(robust) - 0.5) < 0.05
    assert abs(np.mean(plain) - 0.5) > 0.5


def test_a_covariate_that_varies_enters_by_its_mean_before_the_start():
    frame = simulated(63)
    frame["x"] = np.random.default_rng(63).normal(size=len(frame))
    mean = frame[frame["t"] < 5].groupby("unit")["x"].mean()
    fixed = frame.assign(x=frame["unit"].map(mean))
    later = frame.assign(x=frame["x"].where(frame["t"] < 5, 99.0))
    results = [adjusted.doubly_robust(f, *NAMES, 5, ["x"]) for f in (frame, fixed, later)]
    for other in results[1:]:
        assert results[0].loc[0, "estimate"] == pytest.approx(other.loc[0, "estimate"], abs=1e-12)


def test_groups_that_do_not_overlap_are_refused():
    frame = drawn().assign(a=lambda f: f["treated"] * 10 + f["a"] / 10)
    with pytest.raises(KokeiluError, match=r"treated \(a\): there is no common support"):
        adjusted.doubly_robust(frame, *NAMES, 1, ["b", "a"])


COVARIATES = {
    "words": (lambda f: f.assign(a="x"), "Covariate a holds"),
    "a gap": (lambda f: changed(f, 7, 0, a=np.nan), "Covariate a of unit 7 is missing"),
    "the same": (lambda f: f.assign(a=2.0), "Covariate a is the same in every unit"),
    "a copy": (lambda f: f.assign(a=f["b"] * 2), "repeat one another"),
    "no column": (lambda f: f.drop(columns="a"), "no column 'a'"),
    "one group": (lambda f: f.assign(treated=0), "one group is empty"),
}


@pytest.mark.parametrize("fault", COVARIATES)
def test_bad_covariates_are_refused_and_named(fault):
    spoil, said = COVARIATES[fault]
    with pytest.raises(KokeiluError, match=said):
        adjusted.doubly_robust(spoil(drawn()), *NAMES, 1, ["a", "b"])


# Trends.


@pytest.mark.parametrize("weights", [None, "w"])
def test_any_linear_trend_of_a_unit_leaves_the_estimate_unchanged(weights):
    frame = simulated(64, effect=1.0)
    slope = np.random.default_rng(64).normal(size=24)[frame["unit"]]
    bent = frame.assign(y=frame["y"] + 10 * slope * frame["t"])
    plain, other = (
        adjusted.trend_adjusted(f, *NAMES, 5, weights, "cluster").loc[0] for f in (frame, bent)
    )
    for column in ("estimate", "se", "ci_low"):
        assert plain[column] == pytest.approx(other[column], abs=1e-9)
    moved = compare.did(bent, *NAMES, 5, weights).loc[0, "estimate"]
    assert abs(moved - compare.did(frame, *NAMES, 5, weights).loc[0, "estimate"]) > 0.5


def test_a_planted_effect_on_pure_trends_is_returned_exactly():
    frame = simulated(65)
    frame["y"] = frame["unit"] + 0.3 * frame["unit"] * frame["t"]
    frame["y"] += 0.8 * frame["treated"] * (frame["t"] >= 5)
    found = adjusted.trend_adjusted(frame, *NAMES, 5, cluster="cluster").loc[0]
    assert found["estimate"] == pytest.approx(0.8, abs=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_trend_adjusted_is_the_estimate_of_the_library():
    from diff_diff import LWDiD

    frame = simulated(66, effect=1.0)
    first = frame.assign(first=np.where(frame["treated"] == 1, 5, 0))
    first["post"] = frame["treated"] * (frame["t"] >= 5)
    fit = LWDiD(rolling="detrend").fit(
        first, outcome="y", unit="unit", time="t", treatment="post", first_treat="first"
    )
    found = adjusted.trend_adjusted(frame, *NAMES, 5).loc[0, "estimate"]
    assert found == pytest.approx(fit.att, abs=1e-9)


def test_a_missing_cell_shortens_the_fit_of_its_unit_and_is_counted():
    frame = simulated(67)
    gone = frame[(frame["unit"] != 3) | (frame["t"] != 2)]
    found = adjusted.trend_adjusted(gone, *NAMES, 5).loc[0]
    assert found["note"] == "1 of 192 cells missing"

    def change(unit):
        own = gone[gone["unit"] == unit]
        early = own[own["t"] < 5]
        line = np.poly1d(np.polyfit(early["t"], early["y"], 1))
        late = own[own["t"] >= 5]
        return (late["y"] - line(late["t"])).mean()

    by_hand = np.mean([change(u) for u in range(10)]) - np.mean([change(u) for u in range(10, 24)])
    assert found["estimate"] == pytest.approx(by_hand, abs=1e-10)


def test_months_count_as_equal_steps_whatever_their_days():
    frame = simulated(68)
    dated = frame.assign(t=pd.date_range("2021-01-01", periods=8, freq="MS")[frame["t"]])
    by_number = adjusted.trend_adjusted(frame, *NAMES, 5).loc[0, "estimate"]
    by_month = adjusted.trend_adjusted(dated, *NAMES, pd.Timestamp("2021-06-01"))
    assert by_month.loc[0, "estimate"] == pytest.approx(by_number, abs=1e-9)


def test_one_time_before_the_start_is_no_trend():
    with pytest.raises(KokeiluError, match="fewer than two outcomes before"):
        adjusted.trend_adjusted(simulated(69), *NAMES, 1)


# Counts.


def counts(seed):
    rng = np.random.default_rng(seed)
    frame = simulated(seed)
    return frame.assign(y=rng.poisson(np.exp(2 + 0.3 * frame["y"])).astype(float))


def test_poisson_is_the_log_of_the_double_ratio_of_totals():
    frame = counts(71)
    total = frame.groupby(["treated", frame["t"] >= 5])["y"].sum()
    by_hand = np.log(total[1, True] / total[1, False] * total[0, False] / total[0, True])
    found = adjusted.poisson(frame, *NAMES, 5, cluster="cluster").loc[0]
    assert found["estimate"] == pytest.approx(by_hand, abs=1e-8)
    assert found["note"] == "" and found["n_clusters"] == 12


def test_poisson_error_is_that_of_a_regression_with_an_indicator_for_every_unit_and_time():
    import statsmodels.api as sm

    frame = counts(72).query("t != 3 or unit != 4").reset_index(drop=True)
    effect = (frame["treated"] * (frame["t"] >= 5)).rename("effect")
    x = pd.concat(
        [
            effect,
            pd.get_dummies(frame["unit"], prefix="u"),
            pd.get_dummies(frame["t"], prefix="t", drop_first=True),
        ],
        axis=1,
    ).astype(float)
    fit = sm.GLM(frame["y"], x, family=sm.families.Poisson()).fit(
        cov_type="cluster",
        cov_kwds={"groups": frame["cluster"], "use_correction": False},
        tol=1e-12,
    )
    found = adjusted.poisson(frame, *NAMES, 5, cluster="cluster").loc[0]
    assert found["estimate"] == pytest.approx(fit.params["effect"], abs=1e-7)
    assert found["note"] == "1 of 192 cells missing"
    assert found["se"] == pytest.approx(fit.bse["effect"] * np.sqrt(12 / 11), rel=1e-6)


def test_units_with_zeros_only_are_left_out_and_counted():
    frame = counts(73)
    empty = frame.assign(y=frame["y"].where(frame["unit"] != 20, 0.0))
    found = adjusted.poisson(empty, *NAMES, 5).loc[0]
    assert found["note"].startswith("8 cells of units or times with zeros only")
    rest = adjusted.poisson(empty[empty["unit"] != 20], *NAMES, 5).loc[0]
    assert found["estimate"] == pytest.approx(rest["estimate"], abs=1e-8)


def test_negative_counts_are_refused_with_the_unit():
    with pytest.raises(KokeiluError, match="y of unit 6 is -2"):
        adjusted.poisson(changed(counts(74), 6, 1, y=-2.0), *NAMES, 5)


# Matched controls.


def test_a_twin_among_the_controls_is_found_and_gives_the_effect_alone():
    frame = simulated(75)
    matrix = frame.pivot(index="unit", columns="t", values="y").to_numpy().copy()
    effect = 0.9 * (np.arange(8) >= 5)
    matrix[:10] = matrix[10:20][::-1] + 7 + effect  # level apart, path the same
    frame["y"] = matrix.ravel()
    row, pairs = donors.matched(frame, *NAMES, 5, neighbours=1, cluster="unit", pairs=True)
    assert row.loc[0, "estimate"] == pytest.approx(0.9, abs=1e-12)
    assert pairs["control"].tolist() == list(range(19, 9, -1))
    assert pairs["distance"].max() < 1e-12


def test_matching_every_control_is_the_two_by_two():
    frame = simulated(76)
    found = donors.matched(frame, *NAMES, 5, neighbours=14).loc[0]
    plain = compare.did(frame, *NAMES, 5).loc[0]
    assert found["estimate"] == pytest.approx(plain["estimate"], abs=1e-12)
    assert found["note"] == "14 of 14 controls used"


def test_weights_of_treated_units_pass_to_their_controls():
    frame = simulated(77)
    row, pairs = donors.matched(frame, *NAMES, 5, neighbours=2, weights="w", pairs=True)
    matrix = frame.pivot(index="unit", columns="t", values="y")
    change = matrix.loc[:, 5:].mean(axis=1) - matrix.loc[:, :4].mean(axis=1)
    own = frame.groupby("unit")["w"].first().loc[:9]
    gaps = [change[u] - change[pairs.loc[pairs["unit"] == u, "control"]].mean() for u in own.index]
    assert row.loc[0, "estimate"] == pytest.approx(np.average(gaps, weights=own), abs=1e-12)


def test_controls_are_drawn_from_the_same_class_and_outside_the_ring():
    frame = simulated(78).assign(region=lambda f: f["unit"] % 2)
    allowed = pd.DataFrame(True, index=range(10), columns=range(10, 24))
    allowed[[12, 13]] = False
    _, pairs = donors.matched(
        frame, *NAMES, 5, neighbours=2, exact=["region"], allowed=allowed, pairs=True
    )
    assert (pairs["unit"] % 2 == pairs["control"] % 2).all()
    assert not pairs["control"].isin([12, 13]).any()


def test_too_few_controls_in_reach_are_refused_with_the_unit():
    frame = simulated(79).assign(region=lambda f: np.where(f["unit"].isin([0, 10]), "x", "y"))
    with pytest.raises(KokeiluError, match="0 has 1 controls to choose from; expected at least 2"):
        donors.matched(frame, *NAMES, 5, neighbours=2, exact=["region"])
    with pytest.raises(KokeiluError, match="'country'"):
        donors.alike(frame, "unit", ["country"], pd.Index([0]), pd.Index([10]))


def test_a_class_without_value_or_changing_over_time_is_refused():
    frame = simulated(80).assign(region=1.0)
    with pytest.raises(KokeiluError, match="region of unit 4 is missing"):
        donors.matched(whole_unit(frame, 4, "region", np.nan), *NAMES, 5, exact=["region"])
    with pytest.raises(KokeiluError, match="region of unit 4 changes"):
        donors.matched(changed(frame, 4, 2, region=2.0), *NAMES, 5, exact=["region"])


def test_a_quarter_of_the_globe_is_ten_thousand_kilometres():
    places = pd.DataFrame({"i": list("abc"), "lon": [0.0, 90, 0], "lat": [0.0, 0, 90]})
    km = donors.distances(places, "i", "lon", "lat")
    quarter = np.pi / 2 * 6371.0088
    assert np.allclose(km, [[0, quarter, quarter], [quarter, 0, quarter], [quarter, quarter, 0]])


def test_a_control_near_any_treated_unit_is_out_for_all_and_a_far_one_only_for_its_own():
    spots = pd.Series({"a": 0.0, "b": 100.0, "c": 10.0, "d": 60.0, "e": 200.0})
    km = pd.DataFrame(abs(spots.to_numpy()[:, None] - spots.to_numpy()), spots.index, spots.index)
    treated = pd.Series({"a": 1, "b": 1, "c": 0, "d": 0, "e": 0})
    found = donors.ring(km, treated, near=30, far=100)
    assert found.loc["a"].to_dict() == {"c": False, "d": True, "e": False}
    assert found.loc["b"].to_dict() == {"c": False, "d": True, "e": True}
    with pytest.raises(KokeiluError, match="empty"):
        donors.ring(km, treated, near=50, far=50)
    with pytest.raises(KokeiluError, match="z has no distances"):
        donors.ring(km, pd.Series({"a": 1, "z": 0}))


def test_places_out_of_range_or_doubled_are_refused():
    places = pd.DataFrame({"i": ["a", "b"], "lon": [25.0, 25], "lat": [60.0, 6100]})
    with pytest.raises(KokeiluError, match="lat of i b is 6100"):
        donors.distances(places, "i", "lon", "lat")
    with pytest.raises(KokeiluError, match="i a is there twice"):
        donors.distances(places.assign(i="a", lat=60.0), "i", "lon", "lat")


# Intervals, and the edges of what is accepted.

CALLS = {
    "doubly robust": lambda f, **o: adjusted.doubly_robust(f, *NAMES, 5, [], **o),
    "trend": lambda f, **o: adjusted.trend_adjusted(f, *NAMES, 5, **o),
    "matched": lambda f, **o: donors.matched(f, *NAMES, 5, **o),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_intervals_and_p_are_those_of_t_with_one_less_than_the_clusters(call):
    from scipy.special import stdtr

    frame = simulated(81)
    plain, narrow = (call(frame, cluster="cluster", **o).loc[0] for o in ({}, {"level": 0.8}))
    df = plain["n_clusters"] - 1
    for row, share in ((plain, 0.95), (narrow, 0.8)):
        for end in ("ci_low", "ci_high"):
            t = abs(row[end] - row["estimate"]) / row["se"]
            assert 2 * stdtr(df, t) - 1 == pytest.approx(share, abs=1e-9)
        assert row["ci_low"] < row["estimate"] < row["ci_high"]
        assert row["p"] == pytest.approx(2 * stdtr(df, -abs(row["estimate"]) / row["se"]))


def test_controls_that_weigh_alike_are_worth_their_number_and_others_less():
    frame = drawn()
    plain = adjusted.doubly_robust(frame, *NAMES, 1, []).loc[0]
    controls = (frame.groupby("unit")["treated"].first() == 0).sum()
    assert plain["note"] == f"weighted controls worth {controls:.1f} equal ones"
    weighted = adjusted.doubly_robust(frame, *NAMES, 1, [], weights="w").loc[0]
    w = frame[frame["treated"] == 0].groupby("unit")["w"].first()
    assert (
        weighted["note"] == f"weighted controls worth {w.sum() ** 2 / (w**2).sum():.1f} equal ones"
    )
    two = frame[frame["unit"].isin(frame["unit"].unique()[:6])]
    with pytest.raises(KokeiluError, match="at least 3 clusters; found 2"):
        adjusted.doubly_robust(two.assign(c=two["unit"] % 2), *NAMES, 1, [], cluster="c")


def test_a_trend_needs_outcomes_on_both_sides_and_one_weight():
    frame = simulated(82)
    for gone, unit in (((frame["t"] > 4), 7), ((frame["t"] < 4), 9)):
        with pytest.raises(KokeiluError, match=f"unit {unit} has fewer than two outcomes before"):
            adjusted.trend_adjusted(frame[~gone | (frame["unit"] != unit)], *NAMES, 5)
    just = frame[(frame["t"] > 2) & (frame["t"] < 6)]  # two before and one after
    assert adjusted.trend_adjusted(just, *NAMES, 5).loc[0, "note"] == ""
    with pytest.raises(KokeiluError, match="w changes over time"):
        adjusted.trend_adjusted(changed(frame, 5, 0, w=9.5), *NAMES, 5, weights="w")


def test_days_count_as_parts_of_their_month_and_words_by_their_order():
    frame = simulated(83)
    start = pd.DatetimeIndex(["2021-02-01", "2021-02-15", "2021-03-01"])
    assert adjusted._clock(start) == pytest.approx(2021 * 12 + np.array([2, 2.5, 3]))
    words = frame.assign(t=frame["t"].map(dict(enumerate("abcdefgh"))))
    by_word = adjusted.trend_adjusted(words, *NAMES, "f").loc[0, "estimate"]
    assert by_word == pytest.approx(adjusted.trend_adjusted(frame, *NAMES, 5).loc[0, "estimate"])


def test_a_whole_weight_counts_as_that_many_equal_units_in_counts_too():
    frame = counts(84).query("unit % 4 != 3").assign(w=lambda f: 1.0 + f["unit"] % 2)
    copies = frame.loc[frame.index.repeat(frame["w"].astype(int))]
    copies = copies.assign(unit=copies["unit"] * 10 + copies.groupby(["unit", "t"]).cumcount())
    weighted = adjusted.poisson(frame, *NAMES, 5, "w", "cluster").loc[0]
    copied = adjusted.poisson(copies, *NAMES, 5, None, "cluster").loc[0]
    for column in ("estimate", "se", "ci_low", "ci_high", "p"):
        assert weighted[column] == pytest.approx(copied[column], abs=1e-8)
    assert weighted["ci_low"] < weighted["estimate"] < weighted["ci_high"]


def test_a_ratio_of_nothing_is_not_identified():
    frame = counts(85)
    empty = frame.assign(y=frame["y"].where((frame["treated"] == 0) | (frame["t"] >= 5), 0.0))
    empty["y"] = empty["y"].where(empty["treated"] == 0, 0.0)
    with pytest.raises(KokeiluError, match="do not identify a ratio"):
        adjusted.poisson(empty, *NAMES, 5)


# What is known of places.

PLACES = pd.DataFrame(
    {"i": list("abcd"), "d": [1, 0, 0, 1], "r": ["x", "x", "y", "z"], "at": [0.0, 10.0, 30.0, 75.0]}
)


def kilometres():
    at = PLACES["at"].to_numpy()
    return pd.DataFrame(np.abs(at[:, None] - at), PLACES["i"], PLACES["i"])


def test_traits_say_how_near_the_treated_are_and_who_else_is_in_the_region():
    found = donors.traits(PLACES, kilometres(), "i", "d", "r", near=30).set_index("i")
    assert found["nearest_trial_km"].tolist() == [0, 10, 30, 0]
    assert found["near_trial"].tolist() == [True, True, False, True]  # 30 is not below 30
    assert found["mixed_region"].tolist() == [True, True, False, False]
    assert found["controls_in_region"].tolist() == [1, 1, 1, 0]
    with pytest.raises(KokeiluError, match="d has no distances"):
        donors.traits(PLACES, kilometres().loc["a":"c", "a":"c"], "i", "d", "r", near=30)


def test_a_ring_holds_its_own_ends():
    treated = PLACES.set_index("i")["d"]
    assert donors.ring(kilometres(), treated, 10, 30).loc["a"].tolist() == [True, True]
    assert donors.ring(kilometres(), treated, 10.1, 29.9).loc["a"].tolist() == [False, False]
    assert donors.ring(kilometres(), treated).to_numpy().all()


def test_the_way_from_helsinki_to_turku_is_the_same_by_another_formula():
    places = pd.DataFrame({"i": ["h", "t"], "lon": [24.94, 22.27], "lat": [60.17, 60.45]})
    (x, y), (u, v) = np.radians(places[["lon", "lat"]].to_numpy())
    angle = np.arccos(np.sin(y) * np.sin(v) + np.cos(y) * np.cos(v) * np.cos(x - u))
    km = donors.distances(places, "i", "lon", "lat")
    assert km.loc["h", "t"] == pytest.approx(6371.0088 * angle, rel=1e-9)
    assert 145 < km.loc["t", "h"] < 155


@pytest.mark.parametrize(("lon", "lat"), [(180.5, 60), (-180.5, 60), (25, 90.5), (25, -90.5)])
def test_degrees_end_at_the_poles_and_the_date_line(lon, lat):
    places = pd.DataFrame({"i": ["a", "b"], "lon": [180.0, lon], "lat": [-90.0, lat]})
    with pytest.raises(KokeiluError, match="expected degrees from"):
        donors.distances(places, "i", "lon", "lat")
    with pytest.raises(KokeiluError, match="lat of i b is nan"):
        donors.distances(places.assign(lon=0.0, lat=[90.0, np.nan]), "i", "lon", "lat")


def test_equally_near_controls_are_taken_in_order_and_each_distance_is_a_root_mean_square():
    can = pd.DataFrame(True, ["a"], list("bcd"))
    path = np.array([[3.0, 3], [1, -1], [-1, 1]])
    found = donors.nearest(np.zeros((1, 2)), path, can, 2)
    assert found["control"].tolist() == ["c", "d"]
    assert found["distance"].tolist() == pytest.approx([1, 1])
    assert donors.nearest(np.zeros((1, 2)), path, can, 3)["distance"].max() == pytest.approx(3)
    with pytest.raises(KokeiluError, match="at least one neighbour; asked for 0"):
        donors.nearest(np.zeros((1, 2)), path, can, 0)


def test_controls_can_be_matched_on_their_level_or_on_another_path():
    frame = simulated(86)
    shifted = frame.assign(y=frame["y"] + 100 * (frame["unit"] % 12))
    _, pairs = donors.matched(shifted, *NAMES, 5, neighbours=1, level_matters=True, pairs=True)
    # levels 0 … 9 of the treated stand again in units 12 … 21
    assert pairs["control"].tolist() == list(range(12, 22))
    _, shape = donors.matched(shifted, *NAMES, 5, neighbours=1, pairs=True)
    _, plain = donors.matched(frame, *NAMES, 5, neighbours=1, pairs=True)
    assert shape["control"].tolist() == plain["control"].tolist()
    other = simulated(87)
    _, by_path = donors.matched(frame, *NAMES, 5, neighbours=2, path=other, pairs=True)
    matrix = other.pivot(index="unit", columns="t", values="y")
    matrix = matrix.sub(matrix.mean(axis=1), axis=0)
    apart = np.sqrt(((matrix.loc[10:] - matrix.loc[0]) ** 2).mean(axis=1)).sort_values()
    own = by_path[by_path["unit"] == 0]
    assert own["control"].tolist() == apart.index[:2].tolist()
    assert own["distance"].tolist() == pytest.approx(apart.iloc[:2].tolist())
    with pytest.raises(KokeiluError, match="units of the frame, no others"):
        donors.matched(frame, *NAMES, 5, path=other[other["unit"] != 3])


def test_who_is_not_named_in_the_table_of_allowed_controls_may_not_be_chosen():
    frame = simulated(88)
    allowed = pd.DataFrame(True, range(10), range(20, 24))
    row, pairs = donors.matched(frame, *NAMES, 5, neighbours=2, allowed=allowed, pairs=True)
    assert pairs["control"].min() >= 20
    assert row.loc[0, "controls"] == "2 nearest of all"
    assert row.loc[0, "n_units"] == 10 + pairs["control"].nunique()


# Whole rows by hand.

NUMBERS = ["estimate", "se", "ci_low", "ci_high", "p"]


def told(row, left, expected):
    """Texts as expected; numbers those of a jackknife over the values without each cluster."""
    from scipy.special import stdtr, stdtrit

    row, groups = filled(row), len(left)
    numbers = {k: row.pop(k) for k in NUMBERS}
    assert row == ROW | expected | {"n_clusters": groups}
    effect = numbers["estimate"]
    se = np.sqrt((groups - 1) / groups * np.square(np.array(left) - effect).sum())
    reach = stdtrit(groups - 1, 0.975) * se
    p = 2 * stdtr(groups - 1, -abs(effect) / se)
    assert list(numbers.values()) == pytest.approx([effect, se, effect - reach, effect + reach, p])
    return effect


def test_the_whole_row_of_a_trend_adjusted_comparison():
    row = adjusted.trend_adjusted(by_hand(), *NAMES, 2, "w", "cluster").loc[0]
    # off their own trends: 2 and 4; -0.5, 0.5, 1.5 and 6.5
    left = [4 - 1.9, 2 - 1.9, 10 / 3 - 9.5 / 3, 10 / 3 - 6.5 / 3, 10 / 3 - 3 / 4]
    expected = {"estimator": "unit trends", "inference": "cluster jackknife (CR3), t(G-1)"}
    assert told(row, left, expected) == pytest.approx(10 / 3 - 1.9)


def test_the_whole_row_of_a_matched_comparison_and_its_pairs():
    row, pairs = donors.matched(
        by_hand(), *NAMES, 2, neighbours=2, weights="w", cluster="cluster", pairs=True
    )
    assert pairs.to_dict("list") == {
        "unit": ["a", "a", "b", "b"],
        "control": ["c", "e", "d", "c"],
        "distance": pytest.approx([0.5, 0.5, 0, 0.5]),
    }
    # c stands for half of a and half of b's two: 1.5; d for 1 and e for 0.5
    left = [4 - 1.5, 6 - 1.5, 14 / 3 - 3.5, 14 / 3 - 2.75 / 2.5]
    expected = {
        "estimator": "matched on the past",
        "controls": "2 nearest of all",
        "inference": "cluster jackknife (CR3), t(G-1), matches as given",
        "note": "3 of 4 controls used",
        "n_units": 5,
    }
    assert told(row.loc[0], left, expected) == pytest.approx(14 / 3 - 1.5)
    three = donors.matched(by_hand(), *NAMES, 2)
    assert three.equals(donors.matched(by_hand(), *NAMES, 2, neighbours=3, level_matters=False))
    one = donors.matched(by_hand(), *NAMES, 2, 1, exact=["w"], pairs=True)[1]
    assert one["control"].tolist() == ["c", "e"]  # b, of weight 2, may only take e
    level = donors.matched(by_hand(), *NAMES, 2, 1, level_matters=True, pairs=True)[1]
    assert level["control"].tolist() == ["e", "e"]
    assert level["distance"].tolist() == pytest.approx([np.sqrt(0.5), np.sqrt(0.5)])


def test_what_the_rows_of_counts_and_covariates_say():
    texts = [k for k in (*ROW, "estimator", "controls", "inference", "n_clusters")]
    poisson = filled(adjusted.poisson(by_hand(), *NAMES, 2, "w", "cluster").loc[0])
    assert {k: poisson[k] for k in texts if k in poisson} == ROW | {
        "estimator": "Poisson, log points",
        "inference": "cluster sandwich (CR1) with G/(G-1), t(G-1)",
        "n_clusters": 5,
    }
    robust = filled(adjusted.doubly_robust(by_hand(), *NAMES, 2, ["size"], "w", "cluster").loc[0])
    assert {k: robust[k] for k in texts if k in robust} == ROW | {
        "estimator": "doubly robust",
        "controls": "size",
        "inference": "influence function by cluster, G/(G-1), t(G-1)",
        "n_clusters": 5,
    }
    gone = adjusted.poisson(by_hand().drop(index=[2, 9]), *NAMES, 2).loc[0, "note"]
    assert gone == "2 of 24 cells missing"
    zeros = by_hand().assign(y=lambda f: f["y"].where(f["unit"] != "c", 0.0)).drop(index=[2])
    assert adjusted.poisson(zeros, *NAMES, 2).loc[0, "note"] == (
        "1 of 24 cells missing; 4 cells of units or times with zeros only left out"
    )


def test_the_first_covariate_that_cannot_be_used_is_named_with_its_unit():
    frame = by_hand().assign(one=1.0, word="x")
    given = (*NAMES, 2)
    for column, message in (
        ("one", "Covariate one is the same in every unit"),
        ("word", "Covariate word holds .*expected numbers"),
        ("none", "no column 'none'"),
    ):
        with pytest.raises(KokeiluError, match=message):
            adjusted.doubly_robust(frame, *given, [column])
    for value in (np.nan, np.inf):
        wrong = changed(changed(frame, "e", 1, size=value), "d", 0, size=value)
        with pytest.raises(KokeiluError, match="Covariate size of unit d is missing or infinite"):
            adjusted.doubly_robust(wrong, *given, ["size"])
    late = changed(frame, "d", 3, size=np.nan)  # after the start nobody looks
    assert np.isfinite(adjusted.doubly_robust(late, *given, ["size"]).loc[0, "estimate"])
    with pytest.raises(KokeiluError, match="y of unit e is -3; expected a count"):
        adjusted.poisson(changed(changed(frame, "c", 0, y=-1.0), "e", 3, y=-3.0), *given)
