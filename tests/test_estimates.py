import numpy as np
import pandas as pd
import pytest
from panels import NAMES, changed, simulated

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import compare, describe, estimates


def test_schema_of_estimates_is_the_contract():
    contract = (
        "outcome, estimand, estimator, weights, pre, post, controls, event_month, area_id, "
        "estimate, se, ci_low, ci_high, p, inference, bound_low, bound_high, n_units, "
        "n_clusters, spec, is_main, note"
    )
    assert contract.split(", ") == estimates.COLUMNS
    for call in (compare.did, compare.event_study):
        assert call(simulated(30), *NAMES, 5).columns.tolist() == estimates.COLUMNS


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
    with pytest.raises(KokeiluError, match="t 6, treated 1: y or its weight is missing"):
        describe.group_means(changed(simulated(32), 3, 6, y=np.nan), "y", "t", "treated", "w")


def test_balance_does_not_depend_on_the_unit_of_measurement():
    units = simulated(33).query("t == 0").assign(thousand=lambda f: f["y"] * 1000)
    found = describe.balance(units, "treated", ["y", "thousand"]).set_index("variable")
    assert found.loc["y", "standardised"] == pytest.approx(found.loc["thousand", "standardised"])
    assert found.loc["thousand", "difference"] == pytest.approx(1000 * found.loc["y", "difference"])


def test_a_hidden_outcome_stops_the_means_with_a_sentence_that_says_what_to_do():
    months = pd.date_range("2021-01-01", periods=2, freq="MS")
    frame = pd.DataFrame({"month": months, "group": "control", "y": [2.0, np.nan]})
    with pytest.raises(KokeiluError) as said:
        describe.group_means(frame, "y", "month", "group")
    text = str(said.value)
    assert text.startswith(
        "month 2021M02, group control: y or its weight is missing in 1 of 2 rows"
    )
    assert "hidden to protect persons, name an outcome in [main] of study.toml" in text
    assert text.endswith(".") and "\n" not in text
