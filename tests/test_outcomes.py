"""Several outcomes: points where all cells are known, sharp sets where some are hidden."""

import itertools

import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import compare, multiple, outcomes
from kokeilu_analysis.methods.design import Outcome, Window

MONTHS = pd.date_range("2019-01-01", periods=4, freq="MS")
BASE, POST = Window("base", MONTHS[0], MONTHS[1]), Window("post", MONTHS[2], MONTHS[3])
LATER = Window("later", MONTHS[3], MONTHS[3])
NAMES = ("unit", "month", "treated")


def frame(hidden=0, seed=3, units=10):
    """Long frame with `hidden` cells of 1-4."""
    rng = np.random.default_rng(seed)
    rows = [(f"u{i}", m) for i in range(units) for m in MONTHS]
    f = pd.DataFrame(rows, columns=["unit", "month"])
    value = rng.integers(5, 20, len(f)).astype(float)
    f = f.assign(lower=value, upper=value, treated=f["unit"].isin(["u0", "u1", "u2"]).astype(int))
    at = rng.choice(len(f), hidden, replace=False)
    f.loc[at, "lower"], f.loc[at, "upper"] = 1.0, 4.0
    return f.assign(area=f["unit"], w=1.0 + f["unit"].str[1:].astype(int))


def test_without_hidden_cells_the_set_is_the_two_by_two():
    f = frame()
    row = outcomes.did_set(f, "lower", "upper", *NAMES, POST.first, "w", "area")
    pd.testing.assert_frame_equal(row, compare.did(f, "lower", *NAMES, POST.first, "w", "area"))


def test_every_filling_of_hidden_cells_lies_in_the_set_and_its_ends_are_attained():
    f = frame(hidden=6)
    row = outcomes.did_set(f, "lower", "upper", *NAMES, POST.first, "w", "area").iloc[0]
    at = f.index[f["lower"] < f["upper"]]
    found = []
    for filling in itertools.product([1.0, 4.0], repeat=len(at)):
        filled = f.assign(cell=f["lower"])
        filled.loc[at, "cell"] = filling
        found.append(compare.did(filled, "cell", *NAMES, POST.first, "w").loc[0, "estimate"])
    assert (row["bound_low"], row["bound_high"]) == pytest.approx((min(found), max(found)))
    assert np.isnan(row["estimate"]) and row["note"] == "6 of 40 cells hidden"


def test_the_interval_reaches_beyond_the_set_on_both_sides():
    row = outcomes.did_set(frame(6), "lower", "upper", *NAMES, POST.first, "w", "area").iloc[0]
    assert row["ci_low"] < row["bound_low"] <= row["bound_high"] < row["ci_high"]


def test_more_hidden_cells_never_narrow_the_set():
    f = frame(hidden=6)
    row = outcomes.did_set(f, "lower", "upper", *NAMES, POST.first).iloc[0]
    more = f.copy()
    more.loc[more.index[:3], ["lower", "upper"]] = more.loc[
        more.index[:3], ["lower", "upper"]
    ].to_numpy() + [-2, 2]
    wider = outcomes.did_set(more, "lower", "upper", *NAMES, POST.first).iloc[0]
    assert wider["bound_low"] <= row["bound_low"] and row["bound_high"] <= wider["bound_high"]


def pair():
    one = Outcome("one", ("a",), (), "lower", (POST, LATER))
    two = Outcome("two", ("b",), (), "higher", (POST,))
    return [(one, frame()), (two, frame(hidden=4, seed=8))]


def test_the_table_has_a_row_for_each_outcome_and_window_and_says_which_way_is_good():
    table = outcomes.table(pair(), *NAMES, BASE, "area")
    assert table["spec"].tolist() == ["one/post", "one/later", "two/post"]
    assert table["estimand"].str.rpartition(" ")[2].tolist() == ["lower", "lower", "higher"]


def test_the_joint_test_is_romano_wolf_on_the_window_that_all_have():
    found = outcomes.joint(pair(), *NAMES, BASE, "area", draws=199, seed=4)
    changes = {}
    for outcome, f in pair():
        wide = f.assign(m=(f["lower"] + f["upper"]) / 2).pivot(
            index="unit", columns="month", values="m"
        )
        changes[outcome.name] = wide[MONTHS[2:]].mean(axis=1) - wide[MONTHS[:2]].mean(axis=1)
    arm = [1, 1, 1] + [0] * 7
    direct = multiple.romano_wolf(pd.DataFrame(changes), arm, draws=199, seed=4)
    pd.testing.assert_frame_equal(found, direct)


def test_outcomes_without_a_common_window_are_refused():
    (one, f), (two, g) = pair()
    apart = Outcome("two", ("b",), (), "higher", (Window("x", MONTHS[2], MONTHS[2]),))
    with pytest.raises(KokeiluError, match="no window in common"):
        outcomes.joint([(one, f), (apart, g)], *NAMES, BASE, "area", draws=9)
