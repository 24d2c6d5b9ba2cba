"""Edges of the rules: what is just small enough, just dominated, just linked, just a finding."""

import json

import nbformat
import numpy as np
import pandas as pd
import pytest
from linked_tables import one_small

from kokeilu_analysis import paths
from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import complementary, linked_cells, suppression
from kokeilu_analysis.methods.suppression import Spec
from kokeilu_analysis.report import disclosure

ROW = ("unit",)


def row(**values):
    return pd.DataFrame({"unit": list(values), "value": list(values.values())})


def shown(table, spec):
    made, _ = suppression.protect(table, spec)
    return made.loc[made["status"] == "observed", "unit"].tolist()


# Which cells are hidden.


@pytest.mark.parametrize("minimum", [2, 5])
def test_counts_from_one_to_just_below_the_minimum_are_hidden(minimum):
    table = row(none=0, one=1, below=minimum - 1, at=minimum, above=minimum + 1)
    expected = ["none", "at", "above"]
    if minimum == 2:
        table = table[table["unit"] != "below"]
    assert shown(table, Spec(ROW, minimum=minimum)) == expected
    made, _ = suppression.protect(table, Spec(ROW, minimum=minimum))
    hidden = made[made["status"] == "hidden"]
    assert (hidden["lower"] == 1).all() and (hidden["upper"] == 2 * minimum).all()
    assert made.loc[made["unit"] == "none", ["lower", "upper"]].iloc[0].tolist() == [0, 0]


def test_a_contributor_of_exactly_the_share_does_not_dominate():
    table = row(at=100.0, above=100.0, none=0.0).assign(largest=[75.0, 76.0, 0.0])
    spec = Spec(ROW, dominance=(2, 0.75), largest="largest")
    made, log = suppression.protect(table, spec)
    assert made["status"].tolist() == ["observed", "hidden", "observed"]
    assert log["rule"].tolist() == ["dominance (2, 0.75)"]


def test_the_width_that_a_dominated_cell_needs_grows_with_its_largest_contributor():
    table = row(a=100.0, b=400.0).assign(largest=[95.0, 0.0])
    rule, need = suppression._primary(
        table, table["value"].to_numpy(), Spec(ROW, dominance=(1, 0.5), largest="largest")
    )
    assert rule.tolist() == ["dominance (1, 0.5)", ""]
    assert need.tolist() == [90.0, 5.0]  # 95 / 0.5 - 100; the minimum
    small = row(a=3.0).assign(largest=[3.0])
    rule, _ = suppression._primary(
        small, np.array([3.0]), Spec(ROW, dominance=(1, 0.5), largest="largest")
    )
    assert rule.tolist() == ["minimum 5"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"minimum": 5.0}, "minimum is 5.0"),
        ({"minimum": 1}, "2 or more"),
        ({"rounding": 2.5}, "rounding is 2.5"),
        ({"rounding": -1}, "0 for none"),
        ({"dominance": (0, 0.8), "largest": "x"}, "n of 1 or more"),
        ({"dominance": (1, 1.0), "largest": "x"}, "between 0 and 1"),
        ({"dominance": (1, 0.0), "largest": "x"}, "between 0 and 1"),
        ({"dominance": (1, 0.8)}, "`largest` naming"),
    ],
)
def test_limits_that_cannot_be_meant_are_refused(options, said):
    with pytest.raises(KokeiluError, match=said):
        Spec(ROW, **options)
    assert Spec(ROW, minimum=2, rounding=0).rounding == 0


def test_rounding_to_one_is_none():
    table = row(a=7, b=12)
    plain, _ = suppression.protect(table, Spec(ROW))
    one, log = suppression.protect(table, Spec(ROW, rounding=1))
    assert plain.equals(one) and log.empty
    two, log = suppression.protect(table, Spec(ROW, rounding=2))
    assert two["value"].tolist() == [8, 12] and log["action"].tolist() == ["to 2"]


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(
    ("value", "said"), [(np.inf, "found inf"), (-0.5, "found -0.5"), (2.5, "expected a whole")]
)
def test_a_count_that_is_none_is_refused_and_a_magnitude_may_have_parts(value, said):
    with pytest.raises(KokeiluError, match=said):
        suppression.protect(row(a=value), Spec(ROW))
    magnitude = row(a=20.5).assign(largest=[1.0])
    made, _ = suppression.protect(magnitude, Spec(ROW, dominance=(1, 0.8), largest="largest"))
    assert made["value"].tolist() == [20.5]
    with pytest.raises(KokeiluError, match="no column 'largest'"):
        suppression.protect(row(a=1.0), Spec(ROW, dominance=(1, 0.8), largest="largest"))
    with pytest.raises(KokeiluError, match="no column 'fixed'"):
        suppression.protect(row(a=1), Spec(ROW, fixed="fixed"))


def test_the_log_names_a_month_as_a_month():
    table = pd.DataFrame({"unit": "a", "month": pd.Timestamp("2021-03-01"), "value": [3]})
    _, log = suppression.protect(table, Spec(("unit", "month")))
    assert log["row"].tolist() == ["a, 2021-03"]


# What is hidden to protect others.


def test_of_two_cells_the_smaller_is_hidden_and_a_zero_never():
    spec = Spec(ROW, {"unit": [("all", ["a", "b", "c", "z"])]})
    assert shown(row(a=3, b=36, c=2000, z=0, all=2039), spec) == ["c", "z", "all"]


@pytest.mark.parametrize(
    ("values", "kept", "intervals"),
    [
        # b of 20 to 30 would leave a at 1 to 4: both are twice as wide, and twice again
        ({"a": 4, "b": 20, "all": 24}, ["all"], {"a": (1, 40), "b": (1, 40)}),
        ({"a": 4, "b": 300, "all": 304}, ["all"], {"a": (1, 40), "b": (280, 320)}),
        ({"a": 4, "b": 33, "all": 37}, ["all"], {"a": (1, 10), "b": (30, 40)}),  # fine as it is
        ({"a": 4, "b": 20, "c": 50, "all": 74}, ["b", "all"], {"a": (1, 20), "c": (40, 60)}),
    ],
)
@pytest.mark.parametrize("mark", ["fixed", "kept"])
def test_intervals_grow_twice_as_wide_where_nothing_more_may_be_hidden(
    values, kept, intervals, mark
):
    parts = [unit for unit in values if unit != "all"]
    table = row(**values).assign(mark=lambda f: f["unit"].isin(kept))
    made, log = suppression.protect(table, Spec(ROW, {"unit": [("all", parts)]}, **{mark: "mark"}))
    hidden = made[made["status"] == "hidden"].set_index("unit")
    ends = zip(hidden["lower"], hidden["upper"], strict=True)
    assert dict(zip(hidden.index, ends, strict=True)) == intervals
    assert log["rule"].tolist() == ["minimum 5", "complementary"]
    assert log["action"].tolist() == [
        f"hidden as {low:g}-{high:g}" for low, high in intervals.values()
    ]


def test_one_cell_is_hidden_rather_than_two_smaller_ones():
    links = {"unit": [("x", ["a", "b"]), ("y", ["a", "c"])]}
    table = row(a=3, b=20, c=20, x=23, y=23)
    made, _ = suppression.protect(table, Spec(ROW, links))
    assert (made["status"] == "hidden").sum() == 3  # itself, and one in each of its two totals


def test_one_large_cell_is_hidden_rather_than_two_small_ones():
    table = row(a=3, b=305, c=9, d=9, T=317, U=18).assign(f=[0, 0, 0, 0, 1, 1])
    sums = {"unit": [("T", ["a", "b", "c"]), ("U", ["c", "d"])]}
    assert shown(table, Spec(ROW, sums, fixed="f")) == ["c", "d", "T", "U"]


def test_a_small_difference_is_kept_as_open_as_a_small_cell():
    spec = Spec(ROW, within={"unit": [("part", "whole")]})
    for gap, hidden in ((0, 0), (1, 1), (4, 1), (5, 0)):
        made, _ = suppression.protect(row(part=40, whole=40 + gap), spec)
        assert ((made["status"] == "hidden").sum() > 0) == bool(hidden), gap


def test_rounded_cells_stand_for_what_rounds_to_them_and_never_for_less_than_nothing():
    low, high = complementary.unrounded(
        np.array([0.0, 10.0, 1.0]), np.array([0.0, 10.0, 20.0]), np.array([True, True, False]), 5
    )
    assert low.tolist() == [0, 7.5, 1] and high.tolist() == [2.5, 12.5, 20]
    same = complementary.unrounded(np.zeros(1), np.ones(1), np.array([True]), 1)
    assert [end.tolist() for end in same] == [[0], [1]]
    low, high = linked_cells.inwards(np.array([0.2, 1.0 + 1e-8]), np.array([3.9, 2 - 1e-8]))
    assert low.tolist() == [1, 1] and high.tolist() == [3, 2]


# The attack.


def published(**cells):
    ends = {unit: c if isinstance(c, tuple) else (c, c) for unit, c in cells.items()}
    rows = [(u, *e, "hidden" if e is cells[u] else "observed") for u, e in ends.items()]
    made = pd.DataFrame(rows, columns=["unit", "lower", "upper", "status"])
    return made.assign(value=made["lower"].where(made["status"] == "observed"))


def test_a_cell_is_determined_within_the_minimum_and_narrowed_when_better_known_than_printed():
    spec = Spec(ROW, {"unit": [("all", ["a", "b"])]})
    found = suppression.attack(published(a=(1, 10), b=(1, 10), all=7), spec).set_index("unit")
    assert found["attack_high"].tolist() == [6, 6] and found["narrowed"].all()
    assert not found["determined"].any()  # 1 to 6: a width of five
    found = suppression.attack(published(a=(1, 10), b=(1, 10), all=6), spec)
    assert found["determined"].all()
    open_ = suppression.attack(published(a=(1, 10), b=(1, 10), all=11), spec)
    assert not open_["narrowed"].any() and not open_["determined"].any()
    tight = suppression.attack(published(a=(1, 4), b=(1, 10), all=11), spec).set_index("unit")
    assert not tight.loc["a", "determined"]  # printed as narrow as that


def test_cells_that_are_known_from_elsewhere_help_the_attacker():
    spec = Spec(ROW, {"unit": [("all", ["a", "b"])]})
    table = published(a=(1, 10), b=5)
    assert not suppression.attack(table, spec)["narrowed"].any()
    told = suppression.attack(table, spec, published(all=8))
    assert told[["attack_low", "attack_high"]].iloc[0].tolist() == [3, 3]
    unpublished = published(all=8).assign(status="not published")
    assert not suppression.attack(table, spec, unpublished)["narrowed"].any()


def test_days_are_covered_by_a_power_of_two_that_none_of_them_reaches():
    table = pd.DataFrame({"value": [37.0, 1023.0, 4.0], "lower": 1.0, "upper": 2.0, "status": "x"})
    for most, top in ((1023.0, 1024.0), (1024.0, 2048.0), (0.0, 1.0)):
        made = suppression.cover(
            table.assign(value=[0.0, most, 0.0]), np.array([True, False, True])
        )
        assert made["upper"].tolist() == [top, 2.0, top] and made["lower"].tolist() == [0, 1, 0]
        assert made["status"].tolist() == ["hidden", "x", "hidden"]
        assert made["value"].isna().tolist() == [True, False, True]
    assert suppression.cover(table.head(0), np.empty(0, dtype=bool)).empty


def test_what_has_no_group_is_in_no_total():
    table = pd.DataFrame({"unit": list("abc"), "value": [3, 8, 40]})
    totals, links = suppression.add_totals(table, "unit", pd.Series({"a": "K", "c": "L"}))
    assert totals.to_dict("list") == {"unit": ["K", "L"], "value": [3, 40]}
    assert links == [("K", ["a"]), ("L", ["c"])]


# Links.


def linked(cells, *more, **options):
    return linked_cells.build(pd.DataFrame({"unit": cells}), *more, **options)


def test_a_total_without_one_of_its_parts_is_a_bound_from_below_only():
    sums = {"unit": [("all", ["a", "b", "c"])]}
    whole, part = linked(["a", "b", "c", "all"], sums, {}), linked(["a", "c", "all"], sums, {})
    assert (whole.low.tolist(), whole.high.tolist()) == ([0], [0])
    assert (part.low.tolist(), part.high.tolist()) == ([0], [np.inf])
    assert part.matrix.toarray().tolist() == [[-1, -1, 1]]
    assert linked(["a", "b", "c"], sums, {}).matrix.shape[0] == 0  # no total: no link
    assert linked(["all"], sums, {}).matrix.shape[0] == 0  # a cell alone is none either


def test_a_part_lies_within_its_whole():
    links = linked(["young", "men", "all"], {}, {"unit": [("young", "all"), ("men", "all")]})
    assert links.matrix.toarray().tolist() == [[-1, 0, 1], [0, -1, 1]]
    assert links.high.tolist() == [np.inf, np.inf]
    both = linked(["a", "b", "all"], {"unit": [("all", ["a", "b"])]}, {"unit": [("a", "b")]})
    assert both.high.tolist() == [0, np.inf]


@pytest.mark.parametrize(
    ("cells", "options", "said"),
    [
        (["a", "b", "b", "a"], {}, "The cell b stands in the table twice"),
        (["a", None], {}, "empty key"),
        (["a"], {"sums": {"place": []}}, "along 'place'"),
        (["a"], {"within": {"place": []}}, "along 'place'"),
        (["a"], {"flows": [("s", "i", "o")]}, "along 'measure'"),
    ],
)
def test_cells_that_cannot_be_told_apart_or_linked_are_refused(cells, options, said):
    with pytest.raises(KokeiluError, match=said):
        linked(cells, **{"sums": {}, "within": {}} | options)


def test_a_stock_is_that_of_the_month_before_with_its_flows_in_each_place():
    rows = [(u, m, k) for u in "ab" for m in (1, 2, 5) for k in ("stock", "in", "out")]
    cells = pd.DataFrame(rows, columns=["unit", "month", "measure"]).drop(index=16)
    links = linked_cells.build(cells, {}, {}, [("stock", "in", "out")])
    # months that are numbers count in their order; b lacks an inflow in its last month
    told = [
        {tuple(map(str, cells.iloc[i])): int(v) for i, v in enumerate(r) if v}
        for r in links.matrix.toarray()
    ]
    before = [("a", "1", "2"), ("a", "2", "5"), ("b", "1", "2")]
    expected = [
        {(u, m, "stock"): -1, (u, n, "stock"): 1, (u, n, "in"): -1, (u, n, "out"): 1}
        for u, m, n in before
    ]
    assert sorted(map(str, map(sorted, map(dict.items, told)))) == sorted(
        map(str, map(sorted, map(dict.items, expected)))
    )
    assert (links.low == 0).all() and (links.high == 0).all()
    dated = cells.assign(month=pd.to_datetime(cells["month"].map("2021-{:02d}-01".format)))
    kept = linked_cells.build(dated, {}, {}, [("stock", "in", "out")])
    assert kept.matrix.shape[0] == 2  # from February to May is no month


def test_links_of_several_columns_and_flows_stand_in_one_matrix():
    rows = [(u, m, k) for u in ("a", "b", "all") for m in (1, 2) for k in ("stock", "in", "out")]
    cells = pd.DataFrame(rows, columns=["unit", "month", "measure"])
    links = linked_cells.build(
        cells,
        {"unit": [("all", ["a", "b"])]},
        {"measure": [("in", "stock")]},
        [("stock", "in", "out")],
    )
    found = [
        ({rows[i]: int(v) for i, v in enumerate(line) if v}, low, high)
        for line, low, high in zip(links.matrix.toarray(), links.low, links.high, strict=True)
    ]
    expected = [
        ({("a", m, k): -1, ("b", m, k): -1, ("all", m, k): 1}, 0, 0)
        for m in (1, 2)
        for k in ("stock", "in", "out")
    ]
    expected += [
        ({(u, m, "stock"): 1, (u, m, "in"): -1}, 0, np.inf)
        for u in ("a", "b", "all")
        for m in (1, 2)
    ]
    expected += [
        ({(u, 1, "stock"): -1, (u, 2, "stock"): 1, (u, 2, "in"): -1, (u, 2, "out"): 1}, 0, 0)
        for u in ("a", "b", "all")
    ]

    def ordered(lines):
        return sorted((sorted(line.items()), low, high) for line, low, high in lines)

    assert ordered(found) == ordered(expected)
    kept = links.where(links.high > 0)
    assert kept.matrix.shape == (6, 18) and np.isinf(kept.high).all() and (kept.low == 0).all()


def test_december_and_january_are_neighbours():
    months = pd.to_datetime(["2021-12-01", "2022-01-01"])
    rows = [(m, k) for m in months for k in ("stock", "in", "out")]
    cells = pd.DataFrame(rows, columns=["month", "measure"])
    links = linked_cells.build(cells, {}, {}, [("stock", "in", "out")])
    assert links.matrix.toarray().tolist() == [[-1, 0, 0, 1, -1, 1]]


def test_points_that_are_known_to_keep_the_links_spare_the_search_and_grow_with_it():
    cells = pd.MultiIndex.from_product([["a", "b", "all"], ["x", "y", "sum"]], names=["r", "c"])
    cells = cells.to_frame(index=False)
    links = linked_cells.build(cells, {"r": [("all", ["a", "b"])], "c": [("sum", ["x", "y"])]}, {})
    true = np.array([2, 3, 5, 4, 1, 5, 6, 4, 10.0])
    hidden = np.isin(np.arange(9), [0, 1, 3, 4])
    ends = np.where(hidden, 0, true), np.where(hidden, 100, true)
    seen = true.copy(), true.copy()
    low, high = linked_cells.ranges(links, *ends, seen=seen)
    assert low[hidden].tolist() == [1, 0, 1, 0] and high[hidden].tolist() == [5, 4, 5, 4]
    assert seen[0] == pytest.approx(low) and seen[1] == pytest.approx(high)
    wide = np.array([1.0, 0, 5, 1, 0, 5, 6, 4, 10]), np.array([5.0, 4, 5, 5, 4, 5, 6, 4, 10])
    some = linked_cells.ranges(links, *ends, np.full(9, 2.0), (true - 1, true + 1))
    # each of the four is seen two apart already, so nothing more is looked for
    assert (some[1] - some[0])[hidden].tolist() == [2, 2, 2, 2]
    assert all(np.allclose(a, b) for a, b in zip((low, high), wide, strict=True))


def test_an_end_travels_along_a_chain_of_links_to_its_last_cell():
    cells, chain = list("abcde"), {"unit": list(zip("abcd", "bcde", strict=True))}
    links = linked(cells, {}, chain)  # each within the next
    low, high = linked_cells.ranges(links, [0, 0, 0, 0, 5.0], [10, 10, 10, 10, 5.0])
    assert low.tolist() == [0, 0, 0, 0, 5] and high.tolist() == [5, 5, 5, 5, 5]
    low, high = linked_cells.ranges(links, [5.0, 0, 0, 0, 0], [5.0, 10, 10, 10, 10])
    assert low.tolist() == [5, 5, 5, 5, 5] and high.tolist() == [5, 10, 10, 10, 10]


def test_links_are_broken_when_no_values_can_keep_them():
    links = linked(["a", "b", "all"], {"unit": [("all", ["a", "b"])]}, {})
    for total, wrong in ((5, False), (4.9, True), (11, False), (11.1, True)):
        low, high = np.array([2.0, 3, total]), np.array([5.0, 6, total])
        assert linked_cells.broken(links, low, high).tolist() == [wrong]
        if wrong:
            with pytest.raises(KokeiluError, match="contradict"):
                linked_cells.ranges(links, low, high)


@pytest.mark.parametrize("seed", range(6))
def test_ranges_are_those_of_a_linear_programme_for_each_end(seed):
    from scipy.optimize import linprog

    rng = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product([["a", "b", "c", "all"], ["x", "y", "sum"]], names=["r", "k"])
    cells = grid.to_frame(index=False)
    sums = {"r": [("all", ["a", "b", "c"])], "k": [("sum", ["x", "y"])]}
    links = linked_cells.build(cells, sums, {"r": [("a", "b")]} if seed % 2 else {})
    inner = rng.integers(0, 9, (3, 2))
    inner[0] = np.minimum(inner[0], inner[1])
    wide = np.column_stack([inner, inner.sum(axis=1)])
    true = np.vstack([wide, wide.sum(axis=0)]).ravel().astype(float)
    hidden = rng.random(12) < 0.6
    lower = np.where(hidden, np.maximum(true - rng.integers(0, 4, 12), 0), true)
    upper = np.where(hidden, true + rng.integers(0, 6, 12), true)
    low, high = linked_cells.ranges(links, lower, upper)
    a, bounds = links.matrix.toarray(), np.column_stack([lower, upper])
    closed = np.isfinite(links.high)
    for cell in range(12):
        for sign, end in ((1, low), (-1, high)):
            best = linprog(
                sign * np.eye(12)[cell], -a, -links.low, a[closed], links.high[closed], bounds
            )
            assert end[cell] == pytest.approx(sign * best.fun, abs=1e-6)
    enough = linked_cells.ranges(links, lower, upper, np.full(12, 3.0))
    width, exact = enough[1] - enough[0], high - low
    assert (width <= exact + 1e-6).all() and (width >= np.minimum(exact, 3) - 1e-6).all()


# Findings in finished tables.


def rules(frame, **options):
    found = disclosure.findings(frame, "t", **options)
    return list(zip(found["row"], found["column"], found["rule"], strict=True))


def test_a_small_count_is_found_in_its_line_of_the_file():
    frame = pd.DataFrame({"customers": [0, 1, 4, 5, np.nan], "other": [1, 1, 1, 1, 1]})
    found = rules(frame, persons=["customers"])
    assert found == [(3, "customers", "minimum 5"), (4, "customers", "minimum 5")]
    assert rules(frame, minimum=2, persons=["customers"]) == [(3, "customers", "minimum 2")]


def test_an_extreme_needs_the_size_of_the_smallest_of_its_groups():
    frame = pd.DataFrame({"longest": [9.0, 9.0, np.nan, 9.0], "n": [50, 4, 3, 5], "cells": 9})
    assert rules(frame) == [(3, "longest", "extreme of fewer than 5")]
    assert rules(frame.assign(cells=[9, 9, 9, 2]))[-1] == (5, "longest", "extreme of fewer than 5")
    assert rules(frame[["longest"]]) == [(0, "longest", "extreme without the size of its group")]


def test_what_is_found_names_the_table_in_the_columns_of_the_log():
    frame = pd.DataFrame({"hetu": ["x"], "n": [3], "max_days": [9.0], "persons": [2]})
    found = disclosure.findings(frame, "t.csv", persons=["persons"])
    assert found.columns.tolist() == disclosure.COLUMNS
    assert found.to_numpy().tolist() == [
        ["t.csv", 0, "hetu", "person-level column", "refused"],
        ["t.csv", 2, "max_days", "extreme of fewer than 5", "refused"],
        ["t.csv", 2, "persons", "minimum 5", "refused"],
    ]
    assert disclosure.findings(frame[["n"]], "t.csv").empty  # a size alone is no finding
    at = frame.assign(n=5, persons=5)[["n", "max_days", "persons"]]
    assert disclosure.findings(at, "t.csv", persons=["persons"]).empty


@pytest.mark.parametrize(
    "name", ["customer_no", "asiakas_tunnus", "HETU", "person_id", "x_born_on"]
)
def test_columns_about_persons_are_known_by_their_names(name):
    assert rules(pd.DataFrame({name: [1.0]})) == [(0, name, "person-level column")]


@pytest.mark.parametrize("name", ["customers", "personnel", "area_id", "minister", "pink"])
def test_columns_about_groups_are_no_findings(name):
    assert rules(pd.DataFrame({name: ["1"]})) == []


def test_identity_codes_are_found_wherever_they_stand():
    frame = pd.DataFrame({"note": ["", "a 010180-123A b", "010180+123A", "0101801-23A", None]})
    assert [r for r, *_ in rules(frame)] == [3, 4]


PANEL = pd.DataFrame(
    {
        "municipality": "091",
        "month": pd.Timestamp("2021-03-01"),
        "measure": list("abcdef"),
        "value": [0.0, 4.0, 5.0, np.nan, np.nan, 3.0],
        "lower": [0.0, 4.0, 5.0, 1.0, 1.0, 1.0],
        "upper": [0.0, 4.0, 5.0, 6.0, 5.0, 6.0],
        "status": ["observed"] * 3 + ["hidden"] * 3,
        "vintage": "registers",
    }
)


def panel_rules(panel, days=None, determined=()):
    days = pd.Series(dtype=object) if days is None else days
    audit = panel[panel["measure"].isin(determined)].assign(determined=True)
    found = disclosure.panel_findings(panel, audit, days)
    return list(zip(found["row"].str[-1], found["rule"], strict=True))


def test_a_panel_must_not_show_small_cells_nor_what_is_hidden_behind_too_little():
    given_away = [("e", "hidden but given away"), ("f", "hidden but given away")]
    assert panel_rules(PANEL) == [("b", "minimum 5"), *given_away]
    assert panel_rules(PANEL, determined=["d"])[-1] == ("d", "can be worked out")
    assert panel_rules(PANEL, pd.Series({1: ""})) == given_away, "few days are no few persons"
    days = pd.Series({1: "days of hidden persons", 2: "dominance (1, 0.8)"})
    ruled = [("b", "days of hidden persons"), ("c", "dominance (1, 0.8)")]
    assert panel_rules(PANEL, days) == [*given_away, *ruled]
    assert panel_rules(PANEL.assign(vintage="2022-05-01")) == []


def test_a_cell_is_open_when_a_dated_table_state_gave_it():
    panel = pd.DataFrame(
        {
            "vintage": ["2022-05-01", "2022-05", "registers", None, "", ""],
            "status": ["observed"] * 5 + ["not published yet"],
        }
    )
    assert disclosure.register_rows(panel).tolist() == [False, True, True, True, True, False]


def test_what_is_logged_stands_behind_what_was():
    log = pd.DataFrame([["t", "r", "c", "u", "a"]], columns=disclosure.COLUMNS)
    cells = PANEL.head(2).assign(column="value", rule=["one", "two"])
    made = disclosure.logged(log, cells)
    assert made.to_numpy().tolist() == [
        ["t", "r", "c", "u", "a"],
        [disclosure.PANEL, "091, 2021-03, a", "value", "one", "hidden"],
        [disclosure.PANEL, "091, 2021-03, b", "value", "two", "hidden"],
    ]
    assert made.index.tolist() == [0, 1, 2] and made.columns.tolist() == disclosure.COLUMNS


@pytest.mark.parametrize(
    ("vintages", "registers"),
    [
        (["2022-05-01", "2021-12-01", ""], False),
        (["2022-05-01", "registers"], True),
        (["registers", "2022-05-01"], True),
        (["2022-05-01", None], True),
        (["2022-05-01x"], True),
        ([], False),
    ],
)
def test_one_cell_that_no_table_state_gave_makes_the_panel_one_of_registers(
    tmp_path, vintages, registers
):
    study = tmp_path / "study.toml"
    study.write_text('[registers]\nsource = ""\n', encoding="utf-8")
    assert not disclosure.register_input(study, tmp_path)  # no panel yet
    panel = pd.DataFrame({"vintage": pd.array(vintages, dtype="str"), "value": 1.0})
    panel.to_parquet(tmp_path / paths.PANEL.name)
    assert disclosure.register_input(study, tmp_path) == registers
    assert disclosure.from_registers(study, tmp_path) == registers
    study.write_text('[registers]\nsource = "spells"\n', encoding="utf-8")
    assert disclosure.register_input(study, tmp_path)


def test_limits_that_the_study_leaves_out_are_the_usual_ones(tmp_path):
    study = tmp_path / "study.toml"
    for text, expected in (
        ("", {"minimum": 5, "rounding": 0, "dominance": ()}),
        ("[disclosure]\nrounding = 3\n", {"minimum": 5, "rounding": 3, "dominance": ()}),
        (
            "[disclosure]\nminimum = 4\ndominance = [2, 0.75]\n",
            {"minimum": 4, "rounding": 0, "dominance": (2, 0.75)},
        ),
    ):
        study.write_text(text, encoding="utf-8")
        assert disclosure.settings(study) == expected
    study.write_text("[disclosure]\nzero = 1\nthreshold = 3\n", encoding="utf-8")
    with pytest.raises(KokeiluError, match="found threshold, expected minimum, rounding, domin"):
        disclosure.settings(study)


# The certificate.


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1",
        "[]",
        "{}",
        "null",
        '{"files": {}}',
        '{"limits": {}}',
        '{"files": null, "limits": {}}',
        '{"files": {}, "limits": 5}',
    ],
)
def test_what_is_no_certificate_covers_nothing(folders, text):
    processed, notebooks = folders
    (processed / disclosure.CERTIFICATE).write_text(text, encoding="utf-8")
    assert disclosure.passed(processed, notebooks, LIMITS) == {
        disclosure.CERTIFICATE: "there is no certificate"
    }


@pytest.fixture
def folders(tmp_path):
    processed, notebooks = tmp_path / "processed", tmp_path / "notebooks"
    (processed / "results").mkdir(parents=True)
    notebooks.mkdir()
    for path in (
        processed / "panel.parquet",
        processed / "results" / "a.csv",
        notebooks / "1.ipynb",
    ):
        path.write_text("1", encoding="utf-8")
    return processed, notebooks


LIMITS = {"minimum": 5, "rounding": 0, "dominance": (1, 0.8)}
NOTHING = pd.DataFrame(columns=disclosure.COLUMNS)


def test_a_certificate_holds_for_its_files_and_limits_only(folders):
    processed, notebooks = folders
    assert disclosure.passed(processed, notebooks, LIMITS) == {
        disclosure.CERTIFICATE: "there is no certificate"
    }
    disclosure.certify(NOTHING, LIMITS, processed, notebooks)
    assert disclosure.passed(processed, notebooks, LIMITS) == {}
    made = json.loads((processed / disclosure.CERTIFICATE).read_text(encoding="utf-8"))
    assert sorted(made["files"]) == [
        "notebooks/1.ipynb",
        "processed/panel.parquet",
        "results/a.csv",
    ]
    assert made["limits"] == {"minimum": 5, "rounding": 0, "dominance": [1, 0.8]}
    other = disclosure.passed(processed, notebooks, LIMITS | {"minimum": 6})
    assert other == {disclosure.CERTIFICATE: "it was given under other limits"}
    (processed / "results" / "a.csv").write_text("2", encoding="utf-8")
    (processed / "results" / "b.csv").write_text("2", encoding="utf-8")
    assert disclosure.passed(processed, notebooks, LIMITS) == {
        "results/a.csv": "changed since the check",
        "results/b.csv": "not checked",
    }
    disclosure.withdraw(processed)
    assert "no certificate" in str(disclosure.passed(processed, notebooks, LIMITS))
    disclosure.withdraw(processed)  # nothing to take away is no fault


def test_what_was_found_is_written_beside_what_passed_and_takes_the_certificate_away(folders):
    processed, notebooks = folders
    disclosure.certify(NOTHING, LIMITS, processed, notebooks)
    found = disclosure.findings(pd.DataFrame({"hetu": [1], "pin": [1]}), "results/a.csv")
    with pytest.raises(
        disclosure.DisclosureError, match=r"column hetu: person-level .*\(2 findings"
    ):
        disclosure.certify(found, LIMITS, processed, notebooks)
    assert not (processed / disclosure.CERTIFICATE).exists()
    checked = pd.read_csv(processed / disclosure.CHECKED)
    assert checked.groupby("action")["table"].unique().map(sorted).to_dict() == {
        "passed": ["notebooks/1.ipynb", "processed/panel.parquet"],
        "refused": ["results/a.csv"],
    }


def test_the_gate_names_the_first_file_and_how_many_more(folders, monkeypatch):
    processed, notebooks = folders
    study = processed / "study.toml"
    study.write_text('[registers]\nsource = "spells"\n', encoding="utf-8")
    disclosure.certify(NOTHING, disclosure.settings(study), processed, notebooks)
    disclosure.require(processed, notebooks, study)
    for name, more in (("b", ""), ("c", r" \(and 1 more\)")):
        (processed / "results" / f"{name}.csv").write_text("2", encoding="utf-8")
        with pytest.raises(disclosure.DisclosureError, match=rf"^results/b.csv{more}: not checked"):
            disclosure.require(processed, notebooks, study)
    study.write_text("", encoding="utf-8")
    (processed / disclosure.CERTIFICATE).unlink()
    (processed / "panel.parquet").unlink()
    assert not disclosure.from_registers(study, processed)
    disclosure.require(processed, notebooks, study)


def test_pictures_and_sentences_stay_and_one_note_stands_for_all_rows():
    def output(**data):
        return nbformat.v4.new_output(
            "display_data", {name.replace("_", "/"): text for name, text in data.items()}
        )

    kept = [output(text_markdown="A sentence.", text_plain="x"), output(image_png="aGk=")]
    rows = [
        output(text_markdown="| a |\n|--|"),
        output(text_html="<table>"),
        output(text_plain="1"),
    ]
    stream = nbformat.v4.new_output("stream", text="rows")
    cells = [
        nbformat.v4.new_code_cell("x", outputs=[rows[0], kept[0], *rows[1:], stream]),
        nbformat.v4.new_code_cell("y", outputs=[kept[1]]),
        nbformat.v4.new_code_cell("z"),
        nbformat.v4.new_markdown_cell("words", attachments={"a.png": {}}),
    ]
    book = nbformat.v4.new_notebook(cells=cells)
    made = disclosure.without_rows(book)
    assert [o["data"] for o in made.cells[0].outputs] == [
        {"text/markdown": "A sentence."},
        {"text/markdown": disclosure.NOTE},
    ]
    assert [o["data"] for o in made.cells[1].outputs] == [{"image/png": "aGk="}]
    assert made.cells[2].outputs == [] and "attachments" not in made.cells[3]
    assert len(book.cells[0].outputs) == 5 and "attachments" in book.cells[3]


def test_notebooks_are_published_as_they_are_or_as_copies_without_rows(folders):
    processed, notebooks = folders
    study = processed / "study.toml"
    book = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(
                "x", outputs=[nbformat.v4.new_output("stream", text="secret")]
            )
        ]
    )
    nbformat.write(book, notebooks / "1.ipynb")
    study.write_text('[registers]\nsource = "spells"\n', encoding="utf-8")
    with disclosure.publishable(notebooks, study, processed) as folder:
        text = (folder / "1.ipynb").read_text(encoding="utf-8")
        assert folder != notebooks and "secret" not in text and disclosure.NOTE in text
    assert not folder.exists()
    study.write_text("", encoding="utf-8")
    (processed / "panel.parquet").unlink()
    with disclosure.publishable(notebooks, study, processed) as folder:
        assert folder == notebooks
    assert paths.NOTEBOOKS != notebooks


# What is hidden last, and zeros.


def test_what_is_kept_is_hidden_only_where_nothing_else_protects():
    def shown(*kept):
        table, sums = one_small(kept)
        made, _ = suppression.protect(table, suppression.Spec(("unit",), sums, kept="kept"))
        return set(made.loc[made["status"] == "observed", "unit"])

    assert shown() == {"all"}
    assert shown("b") == {"b"}
    assert len(shown("b", "all")) == 1  # one has to go, or `a` is known


def test_a_zero_flow_is_hidden_where_it_would_give_the_other_flow_away():
    keys = ("measure", "month")
    rows = [("stock", 1, 30), ("stock", 2, 34), ("in", 1, 9), ("in", 2, 4)]
    rows += [("out", 1, 9), ("out", 2, 0)]
    table = pd.DataFrame(rows, columns=[*keys, "value"])
    table = table.assign(kept=table["measure"] == "stock", flow=table["measure"] != "stock")
    options = {"flows": (("stock", "in", "out"),), "kept": "kept"}
    plain, _ = suppression.protect(table, suppression.Spec(keys, **options))
    assert (plain["status"][table["measure"] == "stock"] == "hidden").any()  # what else could go?
    spec = suppression.Spec(keys, zeros="flow", **options)
    made, _ = suppression.protect(table, spec)
    assert (made["status"][table["measure"] == "stock"] == "observed").all()
    flows = made.set_index([*keys]).loc[[("in", 2), ("out", 2)]]
    assert (flows["status"] == "hidden").all()
    assert (flows["lower"] == 0).all(), "an interval that began at 1 would tell who is no zero"
    assert not suppression.attack(made, spec)["determined"].any()


def test_an_audit_that_need_not_be_exact_finds_the_same_cells_that_are_known():
    rng = np.random.default_rng(5)
    for _ in range(20):
        inner = rng.integers(0, 12, 4)
        units = [*"abcd", "all"]
        value = np.append(inner, inner.sum())
        hidden = rng.random(5) < 0.6
        lower = np.where(hidden, np.maximum(value - rng.integers(0, 6, 5), 0), value)
        upper = np.where(hidden, value + rng.integers(0, 9, 5), value)
        status = np.where(hidden, "hidden", "observed")
        table = pd.DataFrame({"unit": units, "lower": lower, "upper": upper, "status": status})
        table["value"] = np.where(hidden, np.nan, value)
        spec = suppression.Spec(("unit",), {"unit": [("all", list("abcd"))]})
        exact, quick = (suppression.attack(table, spec, exact=e) for e in (True, False))
        assert exact["determined"].tolist() == quick["determined"].tolist()
