"""Clearing rates, the work in the backlog, the split of customers, and COVID's share."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from panels import signed_zeros

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import clearing as c
from kokeilu_analysis.methods.backlog import EmptySetError, FeasibleSet

HELSINKI = ((0.8, 0.8), (0.6, 0.7), (1.0, 2.0))
AREAS = [f"KK{i:02d}" for i in range(1, 26)]
SIX = ["KK01", "KK02", "KK03", "KK06", "KK11", "KK20"]


def letter(low=0.5, high=0.5, **more):
    rows = [
        ("six", "six", "range", 0.6, 0.8, ""),
        ("mean", "all", "mean", low, high, "areas"),
        ("smallest", "KK17", "smallest", 0.125, 0.125, ""),
        ("largest", "KK01", "largest", 0.8, 0.8, ""),
    ]
    frame = pd.DataFrame(
        rows, columns=["statement_id", "subject", "kind", "lower", "upper", "weight"]
    )
    return FeasibleSet.from_evidence(frame, AREAS, groups={"six": SIX}, **more)


# --- rates and times --------------------------------------------------------------------------


def test_helsinki_cleared_between_5_and_20_points_a_month_if_weeks_means_one_to_two_months():
    low, high = c.rate_bounds(*HELSINKI, "constant_plans")
    assert (low, high) == pytest.approx((0.05, 0.2))
    low, high = c.rate_bounds(*HELSINKI, "constant_proportion")
    assert (low, high) == pytest.approx((np.log(8 / 7) / 2, np.log(8 / 6)))


def test_arrivals_add_to_what_was_cleared_and_leave_the_seen_course_alone():
    low, high = c.rate_bounds(*HELSINKI, "constant_net", arrivals=(0.02, 0.1))
    assert (low, high) == pytest.approx((0.07, 0.3))
    plain, net = (c.months_until(0.125, *HELSINKI, m) for m in ("constant_plans", "constant_net"))
    assert plain == net == pytest.approx((3.375, 13.5))


def test_half_is_reached_after_these_months():
    assert c.months_until("half", *HELSINKI, "constant_plans") == pytest.approx((2.0, 8.0))
    low, high = c.months_until("half", *HELSINKI, "constant_proportion")
    assert (low, high) == pytest.approx((np.log(2) / np.log(8 / 6), 2 * np.log(2) / np.log(8 / 7)))


@settings(max_examples=150, deadline=None)
@given(
    ends=some.lists(some.floats(0.01, 1), min_size=4, max_size=4),
    months=some.lists(some.floats(0.1, 6), min_size=2, max_size=2),
    target=some.one_of(some.floats(0.01, 0.9), some.just("half")),
    model=some.sampled_from(sorted(c.MODELS)),
    seed=some.integers(0, 9999),
)
def test_no_course_inside_the_intervals_leaves_the_bounds(ends, months, target, model, seed):
    start, later, months = sorted(ends[:2]), sorted(ends[2:]), sorted(months)
    rng = np.random.default_rng(seed)
    b0, b1, m = (rng.uniform(*pair, 400) for pair in (start, later, months))
    rate = np.log(b0 / b1) / m if model == "constant_proportion" else (b0 - b1) / m
    low, high = c.rate_bounds(start, later, months, model)
    assert low - 1e-9 <= rate.min() and rate.max() <= high + 1e-9
    goal = b0 / 2 if target == "half" else np.full(400, target)
    way = np.log(b0 / goal) if model == "constant_proportion" else b0 - goal
    with np.errstate(divide="ignore", invalid="ignore"):
        time = np.where(way <= 0, 0.0, np.where(rate > 0, way / rate, np.inf))
    low, high = c.months_until(target, start, later, months, model)
    assert low <= time.min() * (1 + 1e-9) + 1e-9 and time.max() <= high * (1 + 1e-9) + 1e-9


def test_time_has_no_limit_where_nothing_need_have_been_cleared():
    seen = pd.DataFrame(
        [("KK01", 0.7, 0.8, 0.6, 0.75, 1, 2)],
        columns="area_id start_low start_high later_low later_high months_low months_high".split(),
    )
    table = c.clearing(seen)
    assert list(table["model"]) == list(c.MODELS)
    assert np.isinf(table["to_target_high"]).all() and np.isfinite(table["to_target_low"]).all()
    assert table["note"].str.contains("no limit").all()
    assert (c.clearing(seen.assign(later_high=0.65))["note"] == "").all()
    assert c.months_until(0.5, (0.6, 0.6), (0.7, 0.7), (1, 1), "constant_plans") == (np.inf, np.inf)


def test_the_whole_table_of_two_areas_by_hand():
    seen = pd.DataFrame(
        [("A", 0.8, 0.8, 0.6, 0.7, 1, 2), ("B", 0.4, 0.5, 0.25, 0.25, 4, 4)],
        columns="area_id start_low start_high later_low later_high months_low months_high".split(),
    )
    table = c.clearing(seen, target=0.2, arrivals=(0.01, 0.02))
    assert table.columns.tolist() == [
        "area_id", "model", "unit", "rate_low", "rate_high", "to_target_low", "to_target_high",
        "to_half_low", "to_half_high", "note",
    ]  # fmt: skip
    ln = np.log
    expected = [
        # A falls by 10 to 20 points in 1 to 2 months and needs 60 points to the target
        (0.05, 0.2, 0.6 / 0.2, 0.6 / 0.05, 0.4 / 0.2, 0.4 / 0.05),
        (
            ln(8 / 7) / 2, ln(8 / 6), ln(4) / ln(8 / 6), ln(4) / (ln(8 / 7) / 2),
            ln(2) / ln(8 / 6), ln(2) / (ln(8 / 7) / 2),
        ),
        (0.06, 0.22, 0.6 / 0.2, 0.6 / 0.05, 0.4 / 0.2, 0.4 / 0.05),
        # B falls by 15 to 25 points in 4 months and needs 20 to 30
        (0.15 / 4, 0.25 / 4, 0.3 / 0.0625, 0.2 / 0.0375, 0.25 / 0.0625, 0.2 / 0.0375),
        (
            ln(1.6) / 4, ln(2) / 4, 4 * ln(2.5) / ln(2), 4 * ln(2) / ln(1.6), 4.0,
            4 * ln(2) / ln(1.6),
        ),
        (0.15 / 4 + 0.01, 0.25 / 4 + 0.02, 0.3 / 0.0625, 0.2 / 0.0375, 4.0, 0.2 / 0.0375),
    ]  # fmt: skip
    assert table.iloc[:, 3:9].to_numpy() == pytest.approx(np.array(expected))
    assert table["area_id"].tolist() == ["A"] * 3 + ["B"] * 3
    assert table["model"].tolist() == list(c.MODELS) * 2
    assert table["unit"].tolist() == list(c.MODELS.values()) * 2
    assert (table["note"] == "").all()
    assert c.clearing(seen).equals(c.clearing(seen, 0.125, (0.0, 0.0)))


def test_an_area_below_the_target_may_never_halve_its_backlog_and_the_note_says_so():
    seen = pd.DataFrame(
        [("KK01", 0.1, 0.1, 0.04, 0.1, 1, 2)],
        columns="area_id start_low start_high later_low later_high months_low months_high".split(),
    )
    table = c.clearing(seen)
    assert (table["to_target_high"] == 0).all() and np.isinf(table["to_half_high"]).all()
    assert np.isfinite(table["to_half_low"]).all() and table["note"].str.contains("no limit").all()


def test_an_area_that_starts_at_the_target_needs_no_time():
    for model in c.MODELS:
        assert c.months_until(0.8, (0.7, 0.8), (0.75, 0.85), (1, 2), model) == (0, 0)
        assert c.months_until(0.8, (0.8, 0.8), (0.6, 0.7), (1, 2), model) == (0, 0)


def test_what_was_cleared_to_the_last_customer_was_cleared_when_it_was_seen():
    for model in c.MODELS:
        assert c.months_until(0.0, (0.8, 0.8), (0.0, 0.0), (1, 2), model) == (1, 2)
    # in equal proportions the last customer takes for ever, but any other target no time at all
    assert c.months_until(0.4, (0.8, 0.8), (0.0, 0.0), (1, 2), "constant_proportion") == (0, 0)
    assert c.months_until(0.0, (0.8, 0.8), (0.4, 0.4), (1, 2), "constant_proportion")[0] == np.inf


def test_months_between_uncertain_dates():
    low, high = c.months_between(("2021-03-01", "2021-03-10"), ("2021-04-07", "2021-04-30"))
    assert low * c.DAYS_A_MONTH == pytest.approx(28) and high * c.DAYS_A_MONTH == pytest.approx(60)
    with pytest.raises(KokeiluError, match="5 days before"):
        c.months_between(("2021-03-01", "2021-03-10"), ("2021-03-05", "2021-03-30"))


def test_areas_at_helsinkis_rate():
    bounds = pd.DataFrame(
        {"area_id": ["A", "B"], "bound_low": [0.125, 0.6], "bound_high": [0.525, 0.8]}
    )
    months = c.months_at_rate(bounds, (0.05, 0.2), "constant_plans")
    assert months["months_low"].tolist() == pytest.approx([0, 0.475 / 0.2])
    assert months["months_high"].tolist() == pytest.approx([8, 13.5])
    halves = c.months_at_rate(bounds, (np.log(2), np.log(2)), "constant_proportion", target=0.3)
    assert halves["months_high"].tolist() == pytest.approx(
        [np.log2(0.525 / 0.3), np.log2(0.8 / 0.3)]
    )
    for slowest in (0.0, -0.1):
        stalled = c.months_at_rate(bounds, (slowest, 0.1), "constant_plans")
        assert np.isinf(stalled["months_high"]).all()
        assert stalled["months_low"].tolist() == pytest.approx([0, 4.75])
    done = c.months_at_rate(bounds, (0.0, 0.1), "constant_plans", target=0.9)
    assert (done[["months_low", "months_high"]] == 0).all(axis=None)
    assert done["area_id"].tolist() == ["A", "B"]
    never = c.months_at_rate(bounds, (0.1, 0.2), "constant_proportion", target=0.0)
    assert np.isinf(never[["months_low", "months_high"]]).all(axis=None)


# --- work and customers -----------------------------------------------------------------------


def test_work_in_plans_and_officer_months_by_hand():
    bounds = pd.DataFrame({"area_id": ["A"], "bound_low": [0.5], "bound_high": [0.8]})
    customers = pd.DataFrame({"area_id": ["A"], "customers_low": [1000], "customers_high": [2000]})
    done = c.work(bounds, customers, (45, 60), 100.0, target=0.1, customers_per_officer=(100, 200))
    row = done.iloc[0]
    assert (row["plans_low"], row["plans_high"]) == pytest.approx((400, 1400))
    assert (row["officer_months_low"], row["officer_months_high"]) == pytest.approx((3, 14))
    assert (row["team_months_low"], row["team_months_high"]) == pytest.approx((0.3, 1.4))
    more = c.work(bounds, customers, (45, 60), 100.0, 0.1, arrivals=(0.1, 0.1), months=(1, 2))
    assert more["plans_low"].item() == pytest.approx(500)
    assert more["plans_high"].item() == pytest.approx(1800)
    with pytest.raises(KokeiluError, match="customers for area A"):
        c.work(bounds, customers.assign(area_id="B"), (45, 60), 100.0)
    two = pd.concat([bounds, bounds.assign(area_id="C")])
    with pytest.raises(KokeiluError, match="customers for area A"):  # the first one
        c.work(two, customers.assign(area_id="B"), (45, 60), 100.0)


def test_the_table_of_work_has_these_columns_and_rows():
    bounds = pd.DataFrame({"area_id": ["B", "A"], "bound_low": [0.2, 0.5], "bound_high": 0.6})
    customers = pd.DataFrame(
        {
            "area_id": ["A", "B", "C"],
            "customers_low": [100, 200, 7],
            "customers_high": [100, 300, 7],
        }
    )
    table = c.work(bounds, customers, (30, 60), 10.0)
    assert table.columns.tolist() == [
        "area_id", "plans_low", "plans_high", "officer_months_low", "officer_months_high",
    ]  # fmt: skip
    assert table["area_id"].tolist() == ["B", "A"]
    assert table.iloc[:, 1:].to_numpy().tolist() == [
        pytest.approx([40, 180, 2, 18]),
        pytest.approx([50, 60, 2.5, 6]),
    ]
    team = c.work(bounds, customers, (30, 60), 10.0, customers_per_officer=(10, 20))
    assert team.columns.tolist()[-2:] == ["team_months_low", "team_months_high"]
    assert team["team_months_low"].tolist() == pytest.approx([0.1, 0.25])
    assert team["team_months_high"].tolist() == pytest.approx([1.2, 1.2])
    easy = c.work(bounds, customers, (30, 60), 10.0, target=0.3)
    assert easy["plans_low"].tolist() == pytest.approx([0, 20])  # B is there already


def test_the_split_of_customers_has_these_closed_form_ends():
    u = pd.Series({"A": 100.0, "B": 300.0, "C": 600.0})
    split = c.split_customers((230_000, 250_000), u, factor=1.5)
    others = u.sum() - u
    low = 230_000 * u / (u + 1.5 * others)
    high = 250_000 * 1.5 * u / (1.5 * u + others)
    assert split["customers_low"].to_numpy() == pytest.approx(low.to_numpy(), rel=1e-9)
    assert split["customers_high"].to_numpy() == pytest.approx(high.to_numpy(), rel=1e-9)


def test_an_area_without_unemployed_gets_no_customers():
    split = c.split_customers((100, 120), pd.Series({"A": 0, "B": 5, "C": 5}), factor=2)
    assert split.loc[0, ["customers_low", "customers_high"]].tolist() == [0, 0]
    assert split.loc[1, "customers_high"] == pytest.approx(80)


def test_a_published_figure_of_one_area_narrows_the_others():
    u = pd.Series(np.random.default_rng(0).lognormal(8, 1, 25), AREAS)
    wide = c.split_customers((230_000, 250_000), u, factor=1.5)
    known = pd.DataFrame({"area_id": ["KK03"], "lower": [6_000], "upper": [6_500]})
    middle = wide.loc[2, ["customers_low", "customers_high"]].mean()
    known[["lower", "upper"]] = middle, middle
    narrow = c.split_customers((230_000, 250_000), u, factor=1.5, known=known)
    assert (narrow["customers_low"] >= wide["customers_low"] - 1e-6).all()
    assert (narrow["customers_high"] <= wide["customers_high"] + 1e-6).all()
    assert narrow.loc[0, "customers_high"] < wide.loc[0, "customers_high"] - 1
    assert narrow.loc[2, ["customers_low", "customers_high"]].tolist() == pytest.approx(
        [middle] * 2
    )


def test_a_published_range_of_one_area_leaves_the_rest_to_the_other():
    known = pd.DataFrame({"area_id": ["A"], "lower": [35], "upper": [50]})
    split = c.split_customers((100, 100), pd.Series({"A": 1, "B": 1}), 2, known)
    assert split.columns.tolist() == ["area_id", "customers_low", "customers_high"]
    assert split["area_id"].tolist() == ["A", "B"]
    assert split.iloc[:, 1:].to_numpy() == pytest.approx(np.array([[35, 50], [50, 65]]))
    wider = c.split_customers((90, 110), pd.Series({"A": 1, "B": 1}), 2, known)
    # B has at most twice as many as A, and 110 less A
    assert wider.iloc[:, 1:].to_numpy() == pytest.approx(np.array([[35, 50], [40, 220 / 3]]))


def test_figures_that_contradict_the_split_are_refused():
    u = pd.Series({"A": 1.0, "B": 1.0})
    known = pd.DataFrame({"area_id": ["A"], "lower": [90], "upper": [90]})
    with pytest.raises(KokeiluError, match="factor of 2"):
        c.split_customers((100, 100), u, 2, known)
    with pytest.raises(KokeiluError, match="unknown area"):
        c.split_customers((100, 100), u, 2, known.assign(area_id="C"))
    with pytest.raises(KokeiluError, match="at least 1"):
        c.split_customers((100, 100), u, 0.5)
    for unemployed in (-u / 2, 0 * u, u * np.inf):
        with pytest.raises(KokeiluError, match="0 or more"):
            c.split_customers((100, 100), unemployed, 2)
    for total in ((0, 100), (120, 100), (np.nan, 100)):
        with pytest.raises(KokeiluError, match="two numbers in order above 0"):
            c.split_customers(total, u, 2)
    for limits in ({"lower": [-0.5]}, {"upper": [80]}):
        with pytest.raises(KokeiluError, match="bad limits"):
            c.split_customers((100, 100), u, 2, known.assign(**limits))


# --- COVID ------------------------------------------------------------------------------------


def test_the_same_effect_everywhere_leaves_at_least_three_eighths_of_an_average_of_half():
    table = c.covid_share(letter()).set_index("assumption")
    assert table.loc["same", "bound_high"] == pytest.approx(0.125, abs=1e-9)
    assert table.loc["same", "rest_low"] == pytest.approx(0.375, abs=1e-9)
    assert table.loc["none", "bound_high"] == pytest.approx(0.5, abs=1e-9)
    assert table.loc["none", "rest_low"] == 0 and signed_zeros(table) == 0


def test_the_parts_of_two_areas_by_hand():
    """Backlogs of 80 and 20 per cent: an average of one half."""
    rows = pd.DataFrame({"subject": ["A", "B"], "kind": "value", "lower": [0.8, 0.2]})
    two = FeasibleSet.from_evidence(rows, ["A", "B"])
    due = pd.DataFrame({"area_id": ["B", "A"], "lower": [0.5, 0.1], "upper": [0.5, 0.3]})
    table = c.covid_share(two, factors=(2.0, 3.0), due=due)
    assert table.columns.tolist() == [
        "assumption", "k", "bound_low", "bound_high", "rest_low", "rest_high",
    ]  # fmt: skip
    assert table["assumption"].tolist() == ["none", "factor", "factor", "same", "due"]
    assert table["k"].tolist()[:4] == [np.inf, 3.0, 2.0, 1.0] and np.isnan(table["k"].iloc[4])
    assert table.iloc[:, 2:].to_numpy() == pytest.approx(
        np.array(
            [
                [0.0, 0.5, 0.0, 0.5],
                [0.0, 0.4, 0.1, 0.5],  # 60 points in A beside 20 in B
                [0.0, 0.3, 0.2, 0.5],
                [0.0, 0.2, 0.3, 0.5],
                [0.0, 0.16, 0.34, 0.5],  # B's half takes 0.4 of the way, A's three tenths too
            ]
        ),
        abs=1e-9,
    )
    heavy = c.covid_share(two, {"A": 0.75, "B": 0.25}, factors=())
    assert heavy["bound_high"].tolist() == pytest.approx([0.65, 0.2])
    assert heavy["rest_low"].tolist() == pytest.approx([0, 0.45])
    assert c.covid_share(two)["k"].tolist() == [np.inf, 5.0, 3.0, 2.0, 1.5, 1.25, 1.0]


def test_a_factor_k_allows_the_smallest_backlog_to_grow_k_fold_elsewhere():
    table = c.covid_share(letter(), factors=(1.5, 2.0, 3.0))
    by_factor = table[table["assumption"] == "factor"].set_index("k")["bound_high"]
    for k in by_factor.index:  # KK17 explains at most 12.5 points, each other k times as much
        assert by_factor[k] == pytest.approx((0.125 + 24 * 0.125 * k) / 25, abs=1e-9)
    assert table["bound_high"].is_monotonic_decreasing  # from the weakest assumption on
    assert table["rest_low"].is_monotonic_increasing


def test_a_difference_of_two_areas_turns_with_its_sign():
    one = {"KK01": 1.0, "KK17": -1.0}
    table, turned = (
        c.covid_share(letter(), {area: sign * w for area, w in one.items()}, (2.0,))
        for sign in (1, -1)
    )
    for what in ("bound", "rest"):
        assert turned[f"{what}_low"].tolist() == pytest.approx((-table[f"{what}_high"]).tolist())
        assert turned[f"{what}_high"].tolist() == pytest.approx((-table[f"{what}_low"]).tolist())
    # nothing assumed: all of 80 % there and nothing of 12.5 % here, or the other way round
    none = table.iloc[0]
    assert (none["bound_low"], none["bound_high"]) == pytest.approx((-0.125, 0.8))


def test_random_divisions_never_leave_the_bounds():
    rng = np.random.default_rng(4)
    feasible, m = letter(0.475, 0.525), 20_000
    due = pd.DataFrame({"area_id": AREAS, "lower": 0.1, "upper": 0.3})
    table = c.covid_share(feasible, factors=(2.0,), due=due).set_index("assumption")
    backlog = feasible.sample(m, seed=3).to_numpy()
    shapes = {
        "none": (backlog * rng.uniform(size=backlog.shape)),
        "factor": rng.uniform(1, 2, backlog.shape),
        "same": np.ones(backlog.shape),
        "due": rng.uniform(0.1, 0.3, backlog.shape),
    }
    for assumption, shape in shapes.items():
        most = (backlog / shape).min(axis=1, keepdims=True)  # the largest common multiple
        if assumption == "due":
            most = np.minimum(most, 1.0)
        part = shape if assumption == "none" else shape * most * rng.uniform(size=(m, 1)) ** 0.1
        assert (part <= backlog + 1e-9).all()
        explained, rest = part.mean(axis=1), (backlog - part).mean(axis=1)
        row = table.loc[assumption]
        assert (
            row["bound_low"] - 1e-9 <= explained.min()
            and explained.max() <= row["bound_high"] + 1e-9
        )
        assert row["rest_low"] - 1e-9 <= rest.min() and rest.max() <= row["rest_high"] + 1e-9


def test_weights_of_the_average_can_be_customers():
    customers = pd.Series(np.where(np.isin(AREAS, SIX), 9.0, 1.0), AREAS)
    feasible = letter(0.475, 0.525, customers=customers)
    table = c.covid_share(feasible, feasible.weights("customers")).set_index("assumption")
    low, high = feasible.bounds(feasible.weights("customers"))
    assert table.loc["none", "rest_high"] == pytest.approx(high, abs=1e-9)
    assert table.loc["same", "rest_low"] >= low - 0.125 - 1e-9


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: c.rate_bounds((80, 80), (60, 70), (1, 2), "constant_plans"), "start: found 80"),
        (lambda: c.rate_bounds((0.8, 0.8), (0.7, 0.6), (1, 2), "constant_plans"), "later: found"),
        (
            lambda: c.rate_bounds((0.8, 0.8), (0.6, 0.7), (0, 2), "constant_plans"),
            "months: found 0",
        ),
        (lambda: c.rate_bounds((0.8, 0.8), (0.6, 0.7), (1, 2), "linear"), "no clearing model"),
        (lambda: c.months_at_rate(pd.DataFrame(), (0, 1), "constant_net"), "A net rate has model"),
        (lambda: c.covid_share(letter(), {"KK99": 1.0}), "KK99"),
        (
            lambda: c.covid_share(
                letter(), due=pd.DataFrame({"area_id": ["KK01"], "lower": [0.1], "upper": [0.2]})
            ),
            "for every area",
        ),
        *(
            (
                lambda low=low, high=high: c.covid_share(
                    letter(), due=pd.DataFrame({"area_id": AREAS, "lower": low, "upper": high})
                ),
                "between 0 and 1",
            )
            for low, high in ((-0.5, 0.2), (0.1, 1.5))
        ),
        (lambda: c.rate_bounds((0.8, 1.5), (0.6, 0.7), (1, 2), "constant_plans"), "start: found"),
        (lambda: c.rate_bounds((-0.1, 0.8), (0, 0.7), (1, 2), "constant_plans"), "start: found"),
        (lambda: c.rate_bounds((0.8, 0.8), (0, 0.7), (2, 1), "constant_plans"), "months: found 2"),
        (
            lambda: c.rate_bounds((0.8, 0.8), (0, 0.7), (1, np.inf), "constant_plans"),
            "months: found 1",
        ),
    ],
)
def test_wrong_input_is_refused(ask, message):
    with pytest.raises(KokeiluError, match=message):
        ask()


def test_statements_that_clash_stop_the_covid_bounds():
    with pytest.raises(EmptySetError, match="cannot all hold"):
        c.covid_share(letter(0.9, 0.9))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("constant_plans", (0.4 / 0.2, 0.4 / 0.1)),
        ("constant_proportion", np.log(2) / np.array([0.2, 0.1])),
    ],
)
def test_half_of_the_own_start_is_reached_after_these_months(model, expected):
    bounds = pd.DataFrame({"area_id": ["A"], "bound_low": [0.8], "bound_high": [0.8]})
    found = c.months_at_rate(bounds, (0.1, 0.2), model, "half").iloc[0]
    assert (found["months_low"], found["months_high"]) == pytest.approx(tuple(expected))
