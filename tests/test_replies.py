"""Whose reply narrows a bound most."""

import time

import numpy as np
import pandas as pd
import pytest
from panels import signed_zeros

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.backlog import EmptySetError, FeasibleSet
from kokeilu_analysis.methods.replies import rank_replies

COLUMNS = ["statement_id", "subject", "kind", "lower", "upper", "weight", "count_high"]


def known(rows, areas, **more):
    filled = [(f"s{i}", *row, *("", np.nan)[len(row) - 4 :]) for i, row in enumerate(rows)]
    return FeasibleSet.from_evidence(pd.DataFrame(filled, columns=COLUMNS), areas, **more)


@pytest.fixture
def five():
    rows = [
        ("all", "mean", 0.45, 0.55, "areas"),
        ("A", "range", 0.6, 0.8),
        ("B", "smallest", 0.1, 0.1),
        ("E", "range", 0.3, 0.4),
        ("all", "few_below", np.nan, 0.5, "", 2),
    ]
    return known(rows, list("ABCDE"))


WEIGHTS = pd.Series({"A": 0.1, "B": 0.2, "C": 0.4, "D": 0.2, "E": 0.1})


def test_widths_equal_those_of_bounds_recomputed_with_the_reply_as_a_statement(five):
    ranked = rank_replies(five, WEIGHTS, grid=7).set_index("area_id")
    for area, row in ranked.iterrows():
        widths = []
        for value in np.linspace(row["bound_low"], row["bound_high"], 7):
            reply = {"statement_id": "r", "subject": area, "kind": "value", "lower": value}
            try:
                low, high = five.with_statement(reply).bounds(WEIGHTS)
            except EmptySetError:
                low, high = np.nan, np.nan
            widths.append(high - low)
        assert row["width_best"] == pytest.approx(np.nanmin(widths), abs=1e-8)
        assert row["width_worst"] >= np.nanmax(widths) - 1e-8
        steps = (np.array(widths[1:]) + widths[:-1]) / 2
        assert row["width_mean"] == pytest.approx(np.nanmean(steps), abs=1e-8)


def test_the_worst_answer_between_the_grid_points_is_not_missed(five):
    coarse = rank_replies(five, WEIGHTS, grid=2).set_index("area_id")["width_worst"]
    fine = rank_replies(five, WEIGHTS, grid=41).set_index("area_id")["width_worst"]
    assert coarse[fine.index].to_numpy() == pytest.approx(fine.to_numpy(), abs=1e-7)


def test_an_answer_in_the_middle_can_be_the_least_telling():
    # A + B + C = 1.5: hearing A = 0 or 1 halves what B can be, hearing A = 0.5 teaches nothing
    linked = known([("all", "mean", 0.5, 0.5, "areas")], ["A", "B", "C"])
    row = rank_replies(linked, {"B": 1.0}, grid=2).set_index("area_id").loc["A"]
    assert row["width_worst"] == pytest.approx(1.0, abs=1e-9)
    assert row["width_best"] == pytest.approx(0.5, abs=1e-9)


def test_the_whole_table_of_three_linked_areas_by_hand():
    """A + B + C = 1.5: of B anything is possible; A or C at an end leaves half of it."""
    linked = known([("all", "mean", 0.5, 0.5, "areas")], ["A", "B", "C"])
    table = rank_replies(linked, {"B": 2.0}, grid=3)
    assert (
        table.columns.tolist()
        == (
            "rank area_id bound_low bound_high width_now width_worst width_best width_mean "
            "gain_worst gain_best gain_mean"
        ).split()
    )
    assert table.to_numpy().tolist() == [
        [1, "B", 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0],
        [2, "A", 0.0, 1.0, 2.0, 2.0, 1.0, 1.5, 0.0, 1.0, 0.5],
        [3, "C", 0.0, 1.0, 2.0, 2.0, 1.0, 1.5, 0.0, 1.0, 0.5],
    ]
    assert signed_zeros(table) == 0
    nine = rank_replies(linked, {"B": 1.0})
    assert nine.equals(rank_replies(linked, {"B": 1.0}, grid=9))
    # trapezoids: 0.5 at the ends, one in the middle, a straight line between
    assert nine["width_mean"].tolist() == [0.0, 0.75, 0.75]


def test_of_equal_mean_gains_the_larger_in_the_worst_case_comes_first():
    rows = [("A;B", "mean", 0.5, 0.5, "areas"), ("D", "range", 0.25, 0.75)]
    ranked = rank_replies(known(rows, list("ABCD")), {"A": 0.5, "B": -0.5, "C": 1.0, "D": 1.0})
    assert ranked["area_id"].tolist() == ["A", "B", "C", "D"]
    assert ranked["gain_mean"].tolist() == [1.0, 1.0, 1.0, 0.5]


def test_a_sure_gain_comes_before_one_that_is_as_large_only_on_average():
    rows = [("A;B;C", "mean", 0.5, 0.5, "areas"), ("D", "range", 0.0, 0.5)]
    ranked = rank_replies(known(rows, list("ABCD")), {"B": 2.0, "D": 1.0}, grid=3)
    assert ranked["area_id"].tolist() == ["B", "D", "A", "C"]
    assert ranked["gain_mean"].tolist() == [2.0, 0.5, 0.5, 0.5]
    assert ranked["gain_worst"].tolist() == [2.0, 0.5, 0.0, 0.0]


def test_a_reply_never_widens_and_a_known_area_teaches_nothing(five):
    ranked = rank_replies(five, WEIGHTS).set_index("area_id")
    assert (ranked[["gain_worst", "gain_best", "gain_mean"]] >= 0).all(axis=None)
    assert (ranked["gain_best"] >= ranked["gain_mean"]).all()
    assert (ranked["gain_mean"] >= ranked["gain_worst"]).all()
    assert ranked.loc["B", "gain_best"] == 0


def test_without_links_between_areas_a_reply_is_worth_its_weight_times_its_range():
    apart = known([("A", "range", 0.2, 0.8), ("B", "range", 0.4, 0.5)], ["A", "B", "C"])
    ranked = rank_replies(apart, {"A": 0.5, "B": 0.3, "C": 0.2})
    assert ranked["area_id"].tolist() == ["A", "C", "B"]
    for column in ("gain_worst", "gain_best", "gain_mean"):
        assert ranked[column].tolist() == pytest.approx([0.3, 0.2, 0.03])


def test_the_order_is_the_same_whatever_the_order_of_the_areas(five):
    rows = [
        ("all", "mean", 0.45, 0.55, "areas"),
        ("A", "range", 0.6, 0.8),
        ("B", "smallest", 0.1, 0.1),
        ("E", "range", 0.3, 0.4),
        ("all", "few_below", np.nan, 0.5, "", 2),
    ]
    turned = rank_replies(known(rows, list("EDCBA")), WEIGHTS)
    pd.testing.assert_frame_equal(turned, rank_replies(five, WEIGHTS))


def test_ranking_25_areas_with_the_letters_statements_takes_seconds():
    areas, rng = [f"KK{i:02d}" for i in range(1, 26)], np.random.default_rng(1)
    customers = pd.Series(rng.lognormal(8, 1, 25), areas)
    rows = [
        ("KK01;KK02;KK03;KK06;KK11;KK20", "range", 0.6, 0.8),
        ("replied", "mean", 0.475, 0.525, "areas"),
        ("KK17", "smallest", 0.125, 0.125),
        ("KK01", "largest", 0.8, 0.8),
        ("replied", "few_below", np.nan, 0.5),
    ]
    feasible = known(rows, areas, customers=customers)
    began = time.process_time()
    ranked = rank_replies(feasible, feasible.weights("customers"))
    assert time.process_time() - began < 10
    assert ranked["rank"].tolist() == list(range(1, 26))
    assert ranked["gain_mean"].is_monotonic_decreasing and ranked["gain_mean"].iloc[0] > 0.01
    unknown = [a for a in areas if a not in rows[0][0] and a != "KK17"]
    assert ranked["area_id"].iloc[0] == customers[unknown].idxmax()


def test_a_grid_without_both_ends_is_refused(five):
    with pytest.raises(KokeiluError, match="at least 2"):
        rank_replies(five, WEIGHTS, grid=1)
