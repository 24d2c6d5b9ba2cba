import itertools

import numpy as np
import pandas as pd
import pytest
from panels import MAR, estimate, monthly, simulated

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import compare


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
    ends = "y", "y", "t", "treated", MAR[0], MAR[11]
    plain, ones = compare.event_interval(frame, *ends), frame.assign(w=1.0)
    assert plain.equals(compare.event_interval(ones, *ends, "w"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: f.assign(low=f["low"].where(f.index != 7)), "nan"),
        (lambda f: f.assign(low=f["low"].where(f.index != 7, 99.0)), "99.0"),
        (lambda f: f.drop(columns="up"), "'up'"),
        (lambda f: f.assign(treated=f["treated"] * 2), "0 or 1"),
        (lambda f: f.assign(w=-f["w"]), "positive"),
        (lambda f: f.assign(w=f["w"].where(f.index != 7, 0.0)), "positive"),
        (lambda f: f.drop(index=30), "2019M09"),
        (lambda f: f[f["t"] > MAR[0]], "every calendar month"),
    ],
)
def test_seasonal_bounds_refuse_what_would_be_silently_left_out(spoil, said):
    frame = monthly(22, units=4, first="2019-03-01", months=24)
    frame["low"], frame["up"] = frame["y"], frame["y"] + 0.1
    with pytest.raises(KokeiluError, match=said):
        compare.event_interval(spoil(frame), "low", "up", "t", "treated", MAR[0], MAR[11], "w")


def test_a_column_of_ends_that_is_not_there_is_named():
    frame = interval_frame(1).drop(columns="up")
    with pytest.raises(KokeiluError, match="'up'"):
        compare.did_interval(frame, "low", "up", "unit", "t", "treated", 2)


def test_bounds_with_ends_the_wrong_way_round_name_the_cell():
    frame = interval_frame(1)
    frame.loc[4, ["low", "up"]] = [5.0, 3.0]
    with pytest.raises(KokeiluError, match="unit 1, t 1: found low 5.0, up 3.0"):
        compare.did_interval(frame, "low", "up", "unit", "t", "treated", 2)
