"""One area at a time: whom it is compared with, and what its backlog leaves open."""

import itertools

import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import areas


def frame(controls=("n", "n", "n", "s")):
    """Area A in region n, controls with outcomes 1, 2, 3 … in regions given, two months."""
    units = [("A", 1, "n", 10.0, 1.0), ("A", 1, "n", 20.0, 3.0)]
    units += [(f"SK{i}", 0, region, float(i + 1), 1.0) for i, region in enumerate(controls)]
    rows = [(t, *unit) for t in (0, 1) for unit in units]
    return pd.DataFrame(rows, columns=["t", "area", "d", "region", "y", "w"])


def compared(data, **choices):
    return areas.own_comparison(data, "y", "t", "area", "d", "region", **choices)


def test_an_area_is_compared_with_controls_of_its_own_region():
    made = compared(frame())
    assert made["comparison"].tolist() == [2.0, 2.0]  # of 1, 2, 3; the 4 lies elsewhere
    assert set(made["controls"]) == {"same_region"} and set(made["n_controls"]) == {3}


def test_too_few_controls_in_the_region_give_way_to_all():
    made = compared(frame(controls=("n", "n", "s", "s")))
    assert made["comparison"].tolist() == [2.5, 2.5]
    assert set(made["controls"]) == {"all"} and set(made["n_controls"]) == {4}


def test_a_region_without_controls_is_compared_with_all():
    assert set(compared(frame(controls=("s", "s")))["controls"]) == {"all"}


def test_means_are_weighted():
    assert compared(frame(), weights="w")["area"].tolist() == [17.5, 17.5]


def test_an_area_in_two_regions_has_the_controls_of_both():
    data = frame()
    data.loc[data["y"] == 20, "region"] = "s"
    assert set(compared(data)["n_controls"]) == {4}


def test_the_order_of_rows_does_not_matter():
    data = frame()
    mixed = data.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(compared(data), compared(mixed))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda f: f.assign(d=1), "one value only"),
        (lambda f: f.assign(y=f["y"].where(f.index != 3)), "missing"),
        (lambda f: f.drop(columns="region"), "region"),
    ],
)
def test_a_frame_that_cannot_be_compared_is_an_error(broken, message):
    with pytest.raises(KokeiluError, match=message):
        compared(broken(frame()))


EFFECTS = pd.Series({"A": 1.0, "B": -2.0})
LOW, HIGH = pd.Series({"A": 0.1, "B": 0.5}), pd.Series({"A": 0.8, "B": 0.5})


def bounds(slope, low=LOW, high=HIGH):
    made = areas.without_backlog(EFFECTS, low, high, slope).set_index("area_id")
    return made["bound_low"], made["bound_high"]


def test_without_a_slope_the_backlog_changes_nothing():
    for end in bounds((0, 0)):
        assert end.tolist() == EFFECTS.tolist()


@pytest.mark.parametrize("slope", [(-0.4, 6.9), (1, 2), (-3, -1)])
def test_bounds_are_the_extremes_over_slopes_and_backlogs(slope):
    low, high = bounds(slope)
    for area in EFFECTS.index:
        grid = itertools.product(np.linspace(*slope, 31), np.linspace(LOW[area], HIGH[area], 31))
        tried = [EFFECTS[area] - s * b for s, b in grid]
        assert low[area] == pytest.approx(min(tried))
        assert high[area] == pytest.approx(max(tried))


def test_a_narrower_backlog_never_widens_the_bounds():
    wide, narrow = bounds((-1, 5)), bounds((-1, 5), LOW + 0.1 * (HIGH - LOW), HIGH)
    assert (narrow[0] >= wide[0] - 1e-12).all() and (narrow[1] <= wide[1] + 1e-12).all()


@pytest.mark.parametrize(
    ("low", "high", "slope", "message"),
    [
        (LOW.drop("A"), HIGH, (0, 1), "area A"),
        (HIGH, LOW, (0, 1), "area A"),
        (LOW, 100 * HIGH, (0, 1), "shares between 0 and 1"),
        (LOW, HIGH, (1, 0), "lower end first"),
    ],
)
def test_limits_that_are_no_limits_are_refused(low, high, slope, message):
    with pytest.raises(KokeiluError, match=message):
        areas.without_backlog(EFFECTS, low, high, slope)
