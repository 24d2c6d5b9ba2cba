"""One choice changed at a time: each check is what the estimator gives on the data it names."""

import numpy as np
import pandas as pd
import pytest

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import adjusted, compare, donors, variants
from kokeilu_analysis.methods.design import Variant, Window

MONTHS = pd.date_range("2019-01-01", periods=24, freq="MS")
BASE = Window("baseline", MONTHS[0], MONTHS[11])
POST = Window("post", MONTHS[12], MONTHS[23])
NAMES = ("y", "unit", "month", "treated")


@pytest.fixture(scope="module")
def frame():
    """Twelve units in six clusters, the first four treated, sizes and a covariate apart."""
    rng = np.random.default_rng(5)
    units = [f"u{i:02d}" for i in range(12)]
    table = pd.DataFrame(rng.normal(size=(12, 24)).cumsum(axis=1), index=units, columns=MONTHS)
    long = table.rename_axis("unit").reset_index().melt("unit", var_name="month", value_name="y")
    number = long["unit"].str[1:].astype(int)
    return long.assign(
        treated=(number < 4).astype(int),
        near=number.isin([4, 5, 6]),
        cluster=number // 2,
        size=1.0 + number % 5,
        kind=number % 2,
    )


def check(**changes):
    return Variant(
        **({"spec": "c", "keep": "", "weights": "none", "baseline": BASE, "post": POST} | changes)
    )


def one(frame, **changes):
    return variants.run(frame, *NAMES, [check(**changes)], "cluster").iloc[0]


def test_a_plain_check_is_the_two_by_two_of_the_rows_it_keeps(frame):
    kept = frame[(frame["treated"] == 1) | (frame["size"] > 2)]
    direct = compare.did(kept, *NAMES, POST.first, "size", "cluster").iloc[0]
    row = one(frame, keep="treated == 1 or size > 2", weights="size")
    assert row["estimate"] == direct["estimate"] and row["se"] == direct["se"]
    assert row["note"] == "treated == 1 or size > 2"


def test_another_treatment_compares_controls_with_each_other(frame):
    controls = frame[frame["treated"] == 0].assign(near=lambda f: f["near"].astype(int))
    direct = compare.did(controls, "y", "unit", "month", "near", POST.first, None, "cluster")
    row = one(frame, treated="near", keep="treated == 0")
    assert row["estimate"] == direct.loc[0, "estimate"]
    assert "near as treated" in row["note"]


def test_a_matched_check_hands_its_options_on(frame):
    direct = donors.matched(
        frame, *NAMES, POST.first, neighbours=2, exact=["kind"], cluster="cluster"
    ).iloc[0]
    row = one(frame, estimator="matched", options={"neighbours": 2, "exact": ["kind"]})
    assert row["estimate"] == direct["estimate"]


def test_controls_matched_on_a_window_are_those_closest_in_it_alone(frame):
    window = Window("path", MONTHS[6], MONTHS[9])
    row = one(frame, estimator="matched", options={"neighbours": 1}, matched_on=window)
    wide = frame.pivot(index="unit", columns="month", values="y")
    path = wide.loc[:, window.first : window.last]
    path = path.sub(path.mean(axis=1), axis=0)
    change = wide.loc[:, POST.first :].mean(axis=1) - wide.loc[:, : BASE.last].mean(axis=1)
    gaps = []
    for treated in wide.index[:4]:
        apart = ((path.iloc[4:] - path.loc[treated]) ** 2).sum(axis=1)
        gaps.append(change[treated] - change[apart.idxmin()])
    assert row["estimate"] == pytest.approx(np.mean(gaps), abs=1e-12)


def test_a_covariate_check_is_the_doubly_robust_estimate(frame):
    direct = adjusted.doubly_robust(frame, *NAMES, POST.first, ["size"], cluster="cluster").iloc[0]
    row = one(frame, estimator="doubly_robust", options={"covariates": ["size"]})
    assert row["estimate"] == direct["estimate"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keep": "nothing_of_the_kind > 1"}, "Check c: cannot read"),
        ({"keep": "size > 99"}, "Check c: no row meets"),
        ({"treated": "absent"}, "Check c: .*no column 'absent'"),
        ({"estimator": "matched", "options": {"neighbours": 99}}, "Check c: .*at least 99"),
    ],
)
def test_a_check_that_cannot_be_run_is_named(frame, changes, said):
    with pytest.raises(KokeiluError, match=said):
        one(frame, **changes)
