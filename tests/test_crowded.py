"""Tables in which most counts are small are protected for all cells at once."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from linked_tables import draw, one_small, small_differences, widths

from kokeilu_analysis.methods import complementary, crowded, suppression

KEYS = ("unit", "month", "measure")
FLOW = ("unemployed", "inflow", "outflow")


def spec(**options):
    within = [("young", "unemployed"), ("youngest", "young"), ("unemployed", "jobseekers")]
    sums = [("jobseekers", ["valid", "old", "none"])]
    return suppression.Spec(KEYS, {"measure": sums}, {"measure": within}, (FLOW,), **options)


def thin(seed, units=6, months=12, mean=6):
    """Made-up counts by unit and month, most of them small, linked as those of a register are."""
    rng = np.random.default_rng(seed)
    parts = []
    for unit in range(units):
        stock = rng.poisson(mean)
        for month in range(months):
            outflow = rng.binomial(stock, 0.3)
            inflow = rng.poisson(0.3 * mean)
            stock = stock - outflow + inflow
            young = rng.binomial(stock, 0.4)
            jobseekers = stock + rng.poisson(2)
            valid, old, none = rng.multinomial(jobseekers, [0.3, 0.4, 0.3])
            counts = {"unemployed": stock, "inflow": inflow, "outflow": outflow, "young": young}
            counts |= {"youngest": rng.binomial(young, 0.5), "jobseekers": jobseekers}
            counts |= {"valid": valid, "old": old, "none": none}
            parts.append(pd.DataFrame({"measure": counts.keys(), "value": counts.values()}))
            parts[-1] = parts[-1].assign(unit=unit, month=month)
    table = pd.concat(parts, ignore_index=True)
    return table.assign(kept=table["measure"] == "unemployed", flow=table["measure"].isin(FLOW[1:]))


@pytest.fixture
def at_once(monkeypatch):
    """Take every table for a crowded one; return a count of the searches made all the same."""
    searched, search = [], complementary.Hiding._hide_around

    def count(state, cell):
        searched.append(cell)
        return search(state, cell)

    monkeypatch.setattr(crowded, "MANY", 1)
    monkeypatch.setattr(complementary.Hiding, "_hide_around", count)
    return searched


@pytest.mark.parametrize("seed", range(8))
def test_what_is_hidden_at_once_stands_against_an_attacker_who_shares_no_code(at_once, seed):
    table, sums, within = draw(seed)
    rounding = 3 if seed % 4 == 3 else 0
    made, _ = suppression.protect(
        table, suppression.Spec(("unit", "measure"), sums, within, rounding=rounding)
    )
    asked = small_differences(table, within, 5)
    cells, rests = widths(made, sums, within, rounding, asked)
    assert len(cells) and (cells >= 5).all() and min(rests, default=5) >= 5


@pytest.mark.parametrize("seed", range(3))
def test_small_counts_with_flows_are_safe_by_the_audit_and_hardly_searched(at_once, seed):
    table, limits = thin(seed), spec(kept="kept", zeros="flow")
    made, log = suppression.protect(table, limits)
    small = table["value"].between(1, 4)
    assert small.mean() > 0.4 and (made["status"][small] == "hidden").all()
    found = suppression.attack(made, limits)
    assert len(found) > small.sum() and not found["determined"].any()
    assert len(at_once) <= 0.02 * len(log)


@pytest.mark.parametrize(
    ("seed", "mean", "digest"),
    [(0, 6, "e9f9633b"), (1, 40, "08d51e54"), (2, 15, "1903d32a"), (3, 25, "53e6cdf3")],
)
def test_a_crowded_table_is_protected_as_it_was_before(at_once, seed, mean, digest):
    made, _ = suppression.protect(thin(seed, mean=mean), spec(kept="kept", zeros="flow"))
    # which cells are hidden is a choice among many; to change it is to publish something else
    assert hashlib.sha256(made.to_csv(index=False).encode()).hexdigest()[:8] == digest


def test_at_once_hides_at_most_a_quarter_more_than_the_search(at_once, monkeypatch):
    table, limits = thin(1, mean=40), spec(kept="kept", zeros="flow")
    many = (suppression.protect(table, limits)[0]["status"] == "hidden").sum()
    monkeypatch.setattr(crowded, "MANY", 10**6)
    few = (suppression.protect(table, limits)[0]["status"] == "hidden").sum()
    assert many <= 1.25 * few


def test_what_is_kept_is_hidden_at_once_only_where_nothing_else_protects(at_once):
    def shown(*kept):
        table, sums = one_small(kept)
        made, _ = suppression.protect(table, suppression.Spec(("unit",), sums, kept="kept"))
        return set(made.loc[made["status"] == "observed", "unit"])

    assert shown("b") == {"b"} and shown("all") == {"all"}
    assert len(shown("b", "all")) == 1
    assert not at_once


def test_few_cells_are_searched_one_by_one():
    table = pd.DataFrame({"unit": ["a", "b", "all"], "value": [3, 8, 11]})
    limits = suppression.Spec(("unit",), {"unit": [("all", ["a", "b"])]})
    links = suppression.linked_cells.build(table[["unit"]], limits.sums, {})
    none = np.zeros(3, dtype=bool)
    state = complementary.Hiding(
        links,
        table["value"].to_numpy(float),
        np.full(3, 5.0),
        np.array([True, False, False]),
        complementary.Marks(none, none, none),
        0,
    )
    assert crowded.hide(state, 8) == 0 and state.hidden.tolist() == [True, False, False]
