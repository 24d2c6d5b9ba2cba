"""The specification curve: every combination once, each equal to the estimator it stands for."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import compare, design, specifications
from kokeilu_analysis.methods.design import Curve, Window

MONTHS = pd.date_range("2018-01-01", periods=48, freq="MS")


def window(first, last):
    return Window("w", MONTHS[first], MONTHS[last])


CURVE = Curve(
    baselines=(window(12, 23), window(0, 23)),
    posts=(window(36, 47), window(24, 35)),
    weights=("size", "none"),
    trends=("none", "linear"),
    controls={"all": "", "small": "size < 4"},
    treated={"all": "", "without_first": "area_id != 'a0'"},
    draws=199,
    seed=1,
)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(9)
    units = [f"u{i:02d}" for i in range(24)]
    matrix = pd.DataFrame(rng.normal(size=(24, 48)).cumsum(axis=1), index=units, columns=MONTHS)
    number = np.arange(24)
    places = pd.DataFrame(
        {"is_trial": (number < 8).astype(int), "area_id": [f"a{n // 2}" for n in number]},
        index=units,
    ).assign(size=1.0 + number % 5)
    return matrix, places


@pytest.fixture(scope="module")
def curve(data):
    return specifications.estimate(*data, CURVE, window(0, 23))


def test_every_combination_is_there_once(curve):
    choices = ["baseline", "post", "weights", "trend", "controls", "treated"]
    assert len(curve[0]) == 2**6
    assert not curve[0].duplicated(choices).any()


def test_each_specification_is_the_two_by_two_of_its_own_data(data, curve):
    matrix, places = data
    long = matrix.rename_axis("unit").reset_index().melt("unit", var_name="month", value_name="y")
    long = long.merge(places, left_on="unit", right_index=True)
    t = np.arange(24) - 11.5
    slope = matrix.iloc[:, :24].to_numpy() @ t / (t @ t)
    line = pd.DataFrame(np.outer(slope, np.arange(48)), index=matrix.index, columns=MONTHS)
    keys = pd.MultiIndex.from_frame(long[["unit", "month"]])
    long["line"] = (
        line.melt(ignore_index=False)
        .set_index("variable", append=True)["value"]
        .reindex(keys)
        .to_numpy()
    )
    for row in curve[0].sample(20, random_state=1).itertuples():
        ends = [
            pd.to_datetime(e, format="%YM%m")
            for w in (row.baseline, row.post)
            for e in w.split("–")
        ]
        kept = long[long["month"].between(*ends[:2]) | long["month"].between(*ends[2:])]
        kept = kept.assign(z=kept["y"] - (kept["line"] if row.trend == "linear" else 0))
        if row.controls == "small":
            kept = kept[(kept["is_trial"] == 1) | (kept["size"] < 4)]
        if row.treated == "without_first":
            kept = kept[kept["area_id"] != "a0"]
        direct = compare.did(kept, "z", "unit", "month", "is_trial", ends[2], row.weights)
        assert row.estimate == pytest.approx(direct.loc[0, "estimate"], abs=1e-10), row


def test_the_median_is_that_of_the_table_and_its_p_counts_the_real_assignment(curve):
    table, said = curve
    assert said["median"] == pytest.approx(table["estimate"].median())
    larger = (np.abs(said["placebo_median"]) >= abs(said["median"]) * (1 - 1e-9)).sum()
    assert said["p_median"] == pytest.approx((1 + larger) / 200)


def test_the_studys_curve_has_over_two_thousand_specifications_and_starts_with_the_main_one():
    plan = design.load()
    grid = specifications.grid(plan.curve)
    assert len(grid) >= 2000 and not grid.duplicated().any()
    first = grid.iloc[0]
    assert first["baseline"] == plan.windows["baseline"].text
    assert first["post"] == plan.windows[plan.post].text
    assert first["weights"] == plan.weights
    assert (first["trend"], first["controls"], first["treated"]) == ("none", "all", "all")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"controls": {"x": "absent > 1"}}, "cannot read the condition"),
        ({"weights": ("absent",)}, "no column 'absent'"),
        (
            {"posts": (Window("w", MONTHS[40], MONTHS[47] + pd.DateOffset(months=1)),)},
            "2022M01 has no column",
        ),
        ({"treated": {"x": "size > 99"}}, "no treated unit"),
    ],
)
def test_a_choice_that_cannot_be_made_is_named(data, changes, said):
    with pytest.raises(KokeiluError, match=said):
        specifications.estimate(*data, dataclasses.replace(CURVE, **changes), window(0, 23))
