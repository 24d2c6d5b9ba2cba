"""Bounds on the starting backlogs: known answers, later figures, bad input, speed."""

import time

import numpy as np
import pandas as pd
import pytest
from backlog_cases import AREAS, GROUPS, NOTHING, SIX, feasible, frame, letter, satisfies

from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.methods import statements
from kokeilu_analysis.methods.backlog import EmptySetError, FeasibleSet, compatible, readings
from kokeilu_analysis.methods.conflicts import minimal_conflicts

# --- known answers ----------------------------------------------------------------------------


@pytest.mark.parametrize(("tolerance", "fewest"), [(0.0, 3), (0.01, 2), (0.025, 1)])
def test_an_average_of_half_needs_this_many_areas_below_half(tolerance, fewest):
    evidence = letter(mean=(0.5 - tolerance, 0.5 + tolerance))
    for reading in ("few_any", "default"):
        low, _ = feasible(evidence, reading=reading).bounds_count_below(0.5)
        assert low == fewest


def test_few_cannot_mean_two_if_the_average_is_exact():
    clash = feasible(reading=["mean_exact", "few_2"])
    assert [sorted(c) for c in clash.conflicts()] == [
        sorted(["six", "smallest", "largest", "mean_exact", "few_2"])
    ]
    assert feasible(reading=["mean_exact", "few_3"]).conflicts() == []
    assert feasible(reading="few_2").conflicts() == []


def test_a_conflict_is_told_in_the_readers_words_and_stops_every_bound():
    clash = feasible(reading="mean_exact+few_2")
    said = clash.explain(clash.conflicts()[0], names={"KK17": "Seinäjoki–Ilmajoki"})
    assert "at most 2 of the areas that had replied lie below 50 %" in said
    assert "the mean of the areas that had replied is 50 %" in said
    assert "Seinäjoki–Ilmajoki is the smallest reported, at 12.5 %" in said
    for ask in (
        lambda: clash.bounds({"KK01": 1.0}),
        clash.bounds_area,
        lambda: clash.bounds_count_below(0.5),
        lambda: clash.bounds_quantile(0.5),
        lambda: clash.sample(1),
    ):
        with pytest.raises(EmptySetError, match="at most 2 of") as caught:
            ask()
        assert len(caught.value.conflict) == 5


def test_the_smallest_and_the_largest_bind_everyone_who_had_replied():
    area = feasible().bounds_area().set_index("area_id")
    assert area["bound_low"].min() == 0.125 and area["bound_high"].max() == 0.8
    assert tuple(area.loc["KK17"]) == (0.125, 0.125)
    assert tuple(area.loc["KK02"]) == (0.6, 0.8)
    assert tuple(area.loc["KK01"]) == (0.8, 0.8)
    some_replied = feasible(reading="few_any", replied=[*SIX, "KK17", "KK25"]).bounds_area()
    some_replied = some_replied.set_index("area_id")
    assert tuple(some_replied.loc["KK24"]) == (0.0, 1.0)
    assert some_replied.loc["KK25", "bound_low"] >= 0.125


def test_seven_known_areas_leave_this_room_for_the_eighteen_others():
    # mean of 25 between 47.5 and 52.5 %: by hand, the others' sum lies between
    # 25 · 0.475 − 0.8 − 0.125 − 5 · 0.8 and 25 · 0.525 − 0.8 − 0.125 − 5 · 0.6
    others = [a for a in AREAS if a not in SIX and a != "KK17"]
    low, high = feasible(reading="few_any").bounds(pd.Series(1.0, others))
    assert low == pytest.approx(25 * 0.475 - 4.925, abs=1e-9)
    assert high == pytest.approx(25 * 0.525 - 3.925, abs=1e-9)


def test_a_known_area_at_the_threshold_is_neither_below_nor_above():
    known = FeasibleSet.from_evidence(frame(("a", "A", "value", 0.5, 0.5)), ["A", "B"])
    assert known.bounds_count_below(0.5) == (0, 1)
    assert known.bounds_count_above(0.5) == (0, 1)
    assert known.bounds_count_below(0.51) == (1, 2)


def test_the_median_of_25_is_the_13th_smallest():
    values = np.round(np.random.default_rng(3).uniform(size=25), 3)
    rows = [(f"s{i}", a, "value", v, v) for i, (a, v) in enumerate(zip(AREAS, values, strict=True))]
    exact = FeasibleSet.from_evidence(frame(*rows), AREAS)
    assert exact.bounds_quantile(0.5) == pytest.approx((np.sort(values)[12],) * 2, abs=1e-9)
    weights = pd.Series(np.r_[100.0, np.ones(24)], AREAS)
    assert exact.bounds_quantile(0.5, weights) == pytest.approx((values[0],) * 2, abs=1e-9)


@pytest.mark.parametrize(("n", "most"), [(3, 1), (4, 1), (5, 2), (6, 2)])
def test_fewer_than_half_is_this_many(n, most):
    areas = list("ABCDEF")[:n]
    few = FeasibleSet.from_evidence(frame(("f", "all", "few_below", NOTHING, 0.9)), areas)
    assert few.bounds_count_below(0.9) == (0, most)
    # as many as may lie below can be at zero, all others must reach the threshold
    assert few.bounds(few.weights())[0] == pytest.approx(0.9 * (n - most) / n, abs=1e-9)


def test_a_weighted_quantile_counts_weight_and_not_areas():
    free = FeasibleSet.from_evidence(
        frame(
            ("a", "A", "range", 0.1, 0.3),
            ("b", "B", "range", 0.4, 0.6),
            ("c", "C", "value", 0.9, 0.9),
        ),
        ["A", "B", "C"],
    )
    weight = pd.Series({"A": 0.2, "B": 0.25, "C": 0.55})
    assert free.bounds_quantile(0.5, weight) == pytest.approx((0.9, 0.9), abs=1e-9)
    assert free.bounds_quantile(0.4, weight) == pytest.approx((0.4, 0.6), abs=1e-9)
    assert free.bounds_quantile(0.2, weight) == pytest.approx((0.1, 0.3), abs=1e-9)
    # a mean of 0.6 over A, B and C makes B high when A is low: B + A = 0.9
    tied = free.with_statement(
        {
            "statement_id": "m",
            "subject": "all",
            "kind": "mean",
            "weight": "areas",
            "lower": 0.6,
            "upper": 0.6,
        }
    )
    assert tied.bounds_quantile(0.4, weight) == pytest.approx((0.6, 0.6), abs=1e-9)


def test_exact_figures_that_agree_to_the_last_digit_do_not_clash():
    values = np.round(np.random.default_rng(8).uniform(size=25), 3)
    rows = [(f"s{i}", a, "value", v, v) for i, (a, v) in enumerate(zip(AREAS, values, strict=True))]
    mean = float(values.mean())
    exact = FeasibleSet.from_evidence(
        frame(*rows, ("m", "all", "mean", mean, mean, "areas")), AREAS
    )
    assert exact.conflicts() == []
    assert exact.bounds(exact.weights()) == pytest.approx((mean, mean), abs=1e-9)
    off = exact.with_statement(
        {
            "statement_id": "n",
            "subject": "all",
            "kind": "mean",
            "weight": "areas",
            "lower": mean + 1e-3,
            "upper": 1.0,
        }
    )
    assert ["m", "n"] in off.conflicts()


def test_readings_come_with_default_first_and_swap_only_their_own_row():
    assert readings(letter()) == ["default", "mean_exact", "by_cust", "few_2", "few_3", "few_any"]
    says = feasible(reading="mean_exact").constraints().set_index("statement_id")
    assert list(says.index) == ["six", "smallest", "largest", "few", "mean_exact"]
    assert says.loc["few", "says"] == "fewer than half of the areas that had replied lie below 50 %"


# --- later figures ----------------------------------------------------------------------------


def test_a_later_figure_is_no_constraint_unless_asked():
    later = pd.concat([letter(), frame(("april", "KK01", "later", 0.6, 0.7))])
    assert feasible(later).bounds({"KK01": 1.0}) == (0.8, 0.8)
    unchanged = feasible(later, include_later=True)
    assert unchanged.conflicts() == [["largest", "april"]]
    assert "taken as unchanged" in unchanged.explain(["april"])


def test_66_per_cent_in_autumn_can_hold_without_any_change_if_customers_sit_in_large_cities():
    observed = {"subject": "all", "lower": 0.655, "upper": 0.665, "weight": "customers"}
    in_cities = pd.Series(np.where(np.isin(AREAS, SIX), 20_000.0, 4_000.0), AREAS)
    answer = compatible(feasible(customers=in_cities), observed)
    assert answer.compatible and answer.conflict is None
    assert answer.low <= 0.665 and answer.high >= 0.655
    seen = answer.witness @ in_cities / in_cities.sum()
    assert 0.655 - 1e-9 <= seen <= 0.665 + 1e-9
    assert satisfies(letter().head(5), AREAS, answer.witness.to_numpy()[None], groups=GROUPS).all()


def test_66_per_cent_cannot_hold_unchanged_if_areas_are_equally_large():
    observed = {"subject": "all", "lower": 0.655, "upper": 0.665, "weight": "customers"}
    answer = compatible(feasible(customers=pd.Series(1.0, AREAS)), observed)
    assert not answer.compatible and answer.witness is None
    assert answer.high == pytest.approx(0.525, abs=1e-9)
    assert sorted(answer.conflict) == ["mean", "observed"]


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("x", "KK99", "value", 0.5, 0.5), "statement|KK99"),
        (("x", "KK01;KK99", "range", 0.5, 0.6), "an area, several"),
        (("x", "KK01;KK01", "order", NOTHING, NOTHING), "different areas"),
        (("x", "KK01", "guess", 0.5, 0.5), "row x, column kind: found 'guess'"),
        (("x", "KK01", "value", 60, 60), "found 60.*Divide a percentage by 100"),
        (("x", "KK01", "value", -0.1, 0.5), "found -0.1, expected a share between 0 and 1"),
        (("x", "KK01", "range", 0.7, 0.6), "found 0.7 > 0.6"),
        (("x", "KK01", "value", NOTHING, NOTHING), "lower or upper as a share"),
        (("x", "KK01", "value", "0,5", 0.5), "found 0,5, expected a number"),
        (("x", "KK01", "range", 0.1, np.inf), "found inf, expected a number"),
        (("x", "all", "mean", 0.5, 0.5), "'areas' or 'customers' for a mean"),
        (("x", "all", "mean", 0.5, 0.5, "people"), "found 'people'"),
        (("x", "all", "mean", 0.5, 0.5, "customers"), "needs `customers`"),
        (("x", "six_cities", "smallest", 0.1, 0.1), "found 6 areas, expected one area"),
        (("x", "KK01", "order", NOTHING, NOTHING), "lowest first"),
        (("x", "all", "few_below", NOTHING, NOTHING), "the threshold as a share"),
        (("x", "all", "few_below", NOTHING, 0.5, "", 0, 26), "at most 25"),
        (("x", "all", "few_below", NOTHING, 0.5, "", 3, 2), "whole numbers in order"),
        (("x", "all", "few_below", NOTHING, 0.5, "", 0, 2.5), "whole numbers in order"),
        (("six", "KK01", "value", 0.8, 0.8), "found it twice"),
        (("x", "KK01", "value", 0.8, 0.8, "", NOTHING, NOTHING, "mean_exact", "absent"), "absent"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_with_its_place(row, message):
    with pytest.raises(KokeiluError, match=message):
        feasible(pd.concat([letter(), frame(row)]), reading="mean_exact")


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: feasible(reading="median"), "no reading 'median'.*mean_exact"),
        (lambda: feasible(reading=["few_2", "few_3"]), "both replace statement few"),
        (lambda: feasible(replied="most"), "'all', 'unknown' or a list"),
        (lambda: feasible(replied=["KK99"]), "KK99"),
        (lambda: feasible(replied=["KK01"]).bounds({}), "leaves KK17"),
        (lambda: FeasibleSet.from_evidence(letter(), [*AREAS, "KK01"]), "each of them once"),
        (lambda: FeasibleSet.from_evidence(letter(), AREAS, groups={"g": ["KK99"]}), "KK99"),
        (lambda: FeasibleSet.from_evidence(letter().drop(columns="kind"), AREAS), "column kind"),
        (lambda: feasible().bounds({"KK99": 1.0}), "KK99"),
        (lambda: feasible().bounds({"KK01": np.nan}), "finite"),
        (lambda: feasible().bounds_quantile(0.0), "q above 0"),
        (lambda: feasible().bounds_quantile(1.01), "q above 0"),
        (lambda: feasible().bounds_quantile(0.5, dict.fromkeys(AREAS, 0.0)), "all zero"),
        (lambda: feasible().bounds_quantile(0.5, {"KK01": -1.0}), "negative"),
        (lambda: feasible().weights("customers"), "needs `customers`"),
        (lambda: feasible().weights(among="five"), "no group 'five'"),
        (lambda: feasible().contains({"KK01": 0.8}), "no value for area KK02"),
        (
            lambda: feasible().with_statement(
                dict(statement_id="six", subject="KK01", kind="value", lower=0.8)
            ),
            "in the set already",
        ),
        (lambda: feasible(reading="by_cust", customers=pd.Series(-1.0, AREAS)), "-1.0 customers"),
        (lambda: feasible(reading="by_cust", customers=pd.Series(0.0, AREAS)), "all zero"),
        (lambda: feasible(reading="by_cust", customers=pd.Series(1.0, AREAS[1:])), "KK01"),
        (lambda: feasible(letter().assign(said_on="spring")), "a date such as"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(ask, message):
    with pytest.raises(KokeiluError, match=message):
        ask()


def test_weights_among_some_areas_are_those_of_their_own_mean():
    customers = pd.Series(np.arange(1.0, 26.0), AREAS)
    one = feasible(customers=customers)
    for kind, expected in (("areas", np.ones(6)), ("customers", customers[SIX].to_numpy())):
        for among in (SIX, "six_cities"):
            found = one.weights(kind, among)
            assert found[SIX].to_numpy() == pytest.approx(expected / expected.sum())
            assert (found.drop(SIX) == 0).all()
    assert one.weights().to_numpy() == pytest.approx(np.full(25, 1 / 25))


def test_a_mean_weighted_by_customers_needs_them_however_late_it_comes():
    row = dict(statement_id="x", subject="all", kind="mean", lower=0.5, weight="customers")
    for customers, said in (
        (None, "needs `customers`"),
        (pd.Series(-0.5, AREAS), "-0.5 customers"),
    ):
        with pytest.raises(KokeiluError, match=said):
            feasible(customers=customers).with_statement(row)
    with pytest.raises(KokeiluError, match="a Series by area_id"):
        feasible(reading="by_cust", customers=dict.fromkeys(AREAS, 1.0))


def test_a_bare_frame_without_optional_columns_is_enough():
    bare = pd.DataFrame({"subject": ["A", "B"], "kind": ["value", "range"], "lower": [0.4, 0.1]})
    given_set = FeasibleSet.from_evidence(bare, pd.DataFrame({"area_id": ["A", "B"]}))
    assert given_set.bounds({"A": 1.0, "B": 1.0}) == pytest.approx((0.5, 1.4))
    nothing = FeasibleSet.from_evidence(bare.head(0), ["A", "B"])
    assert nothing.bounds({"A": 0.5, "B": 0.5}) == (0.0, 1.0) and nothing.conflicts() == []
    assert issubclass(DataError, KokeiluError)


def test_a_figure_told_later_does_not_show_that_the_area_had_replied_by_then():
    dated = letter().head(4).assign(said_on="2021-04-15")
    for told, lowest in (("2021-06-30", 0.0), ("2021-04-01", 0.125)):
        reply = frame(("reply", "KK25", "range", 0.0, 0.9)).assign(said_on=told)
        unknown = feasible(pd.concat([dated, reply]), replied="unknown")
        assert unknown.bounds({"KK25": 1.0})[0] == pytest.approx(lowest, abs=1e-9)


@pytest.mark.parametrize("subject", ["all", "replied"])
def test_what_is_said_of_all_does_not_show_that_each_had_replied(subject):
    rows = frame(
        ("each", subject, "range", 0.0, 0.9),
        ("A", "A", "value", 0.5, 0.5),
        ("mean", "replied", "mean", 0.5, 0.5, "areas"),
    )
    unknown = FeasibleSet.from_evidence(rows, list("ABC"), replied="unknown")
    top = 0.9 if subject == "all" else 1.0  # of those that had not replied nothing is said
    assert unknown.bounds({"B": 1.0}) == pytest.approx((0.0, top), abs=1e-9)
    replied = FeasibleSet.from_evidence(rows, list("ABC"), replied=["A", "B", "C"])
    assert replied.bounds({"B": 1.0}) == pytest.approx((0.1, 0.9), abs=1e-9)


# --- speed ------------------------------------------------------------------------------------


def test_bounds_of_every_reading_for_25_areas_take_seconds_not_minutes():
    customers = pd.Series(np.random.default_rng(1).lognormal(8, 1, 25), AREAS)
    feasible().bounds_area()  # imports the solver
    began = time.process_time()
    for reading in readings(letter()):
        one = feasible(reading=reading, customers=customers)
        one.bounds_area(), one.bounds_count_below(0.5), one.bounds_quantile(0.5)
        for weights in ("areas", "customers"):
            one.bounds(one.weights(weights))
    assert time.process_time() - began < 5  # the aim is 2 s on an idle core


# --- returns outweigh the letter ----------------------------------------------------------------


def reply(area, share):
    return {
        "statement_id": f"survey_{area}",
        "subject": area,
        "kind": "value",
        "lower": share,
        "upper": share,
    }


def test_a_reply_below_the_smallest_so_far_makes_that_statement_give_way():
    other = next(a for a in AREAS if a not in SIX and a != "KK17")
    wider = feasible().with_statement(reply(other, 0.05))
    settled, dropped = wider.giving_way({f"survey_{other}"})
    assert [name for name, _ in dropped] == ["smallest"]
    low, high = settled.bounds({other: 1.0})
    assert low == pytest.approx(0.05) and high == pytest.approx(0.05)
    assert settled.bounds({"KK17": 1.0}) == pytest.approx((0.125, 0.125))


def test_a_reply_that_fits_drops_nothing_and_narrows_only():
    before, other = feasible(), next(a for a in AREAS if a not in SIX and a != "KK17")
    settled, dropped = before.with_statement(reply(other, 0.3)).giving_way({f"survey_{other}"})
    assert dropped == []
    old, new = (f.bounds_area().set_index("area_id") for f in (before, settled))
    assert (new["bound_low"] >= old["bound_low"] - 1e-9).all()
    assert (new["bound_high"] <= old["bound_high"] + 1e-9).all()
    untouched = [a for a in SIX]
    assert np.allclose(new.loc[untouched], old.loc[untouched])


def test_replies_that_clash_among_themselves_are_an_error():
    twice = feasible().with_statement(
        [reply("KK05", 0.2), reply("KK05", 0.4) | {"statement_id": "again"}]
    )
    with pytest.raises(EmptySetError):
        twice.giving_way({"survey_KK05", "again"})


def test_the_most_general_statement_gives_way_first_and_its_conflict_is_told():
    rows = frame(
        ("mean", "all", "mean", 0.5, 0.5, "areas"),
        ("few", "all", "few_below", NOTHING, 0.4, "", 0, 0),
        ("largest", "B", "largest", 0.6, 0.7),
        ("A", "A", "value", 0.1, 0.1),
        ("C", "C", "value", 0.9, 0.9),
    )
    given_set = FeasibleSet.from_evidence(rows, list("ABC"))
    settled, dropped = given_set.giving_way({"A", "C"})
    assert [name for name, _ in dropped] == ["few", "largest", "mean"]
    assert dropped[0][1].startswith("These 2 statements cannot all hold: at most 0 of all areas")
    # the largest falls as a rank, its own figure of 60 to 70 stands, and the mean cannot be 50
    assert [s.id for s in settled.statements] == ["A", "C", "largest_figure"]
    assert settled.bounds({"B": 1.0}) == pytest.approx((0.6, 0.7)) and settled.conflicts() == []
    unmoved, nothing = settled.giving_way(())
    assert unmoved is settled and nothing == []


# --- how statements read ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (("x", "all", "mean", 0.475, 0.525, "areas"), "the mean of all areas is 47.5 % to 52.5 %"),
        (
            ("x", "replied", "mean", 0.5, 0.5, "customers"),
            "the mean of the areas that had replied, weighted by customers, is 50 %",
        ),
        (("x", "two", "mean", 0.5, 0.5, "areas"), "the mean of the two is 50 %"),
        (("x", "A;B", "mean", 0.5, 0.5, "areas"), "the mean of Alpha, B is 50 %"),
        (("x", "A", "value", 0.125, 0.125), "Alpha: 12.5 %"),
        (("x", "two", "range", 0.6, 0.8), "the two: each 60 % to 80 %"),
        (("x", "replied", "range", 0.6, NOTHING), "the areas that had replied: each 60 % to 100 %"),
        (("x", "A", "smallest", 0.1, 0.1), "Alpha is the smallest reported, at 10 %"),
        (("x", "B", "largest", NOTHING, NOTHING), "B is the largest reported, at 0 % to 100 %"),
        (
            ("x", "B;A;C", "order", NOTHING, NOTHING),
            "B is no higher than Alpha is no higher than C",
        ),
        (
            ("x", "all", "few_below", NOTHING, 0.5),
            "fewer than half of all areas lie below 50 %",
        ),
        (
            ("x", "replied", "few_below", NOTHING, 0.5, "", 1),
            "at least 1 but fewer than half of the areas that had replied lie below 50 %",
        ),
        (
            ("x", "all", "few_below", NOTHING, 0.5, "", 0, 2),
            "at most 2 of all areas lie below 50 %",
        ),
        (("x", "two", "few_below", NOTHING, 0.5, "", 1, 1), "exactly 1 of the two lie below 50 %"),
        (
            ("x", "all", "few_below", NOTHING, 0.25, "", 1, 2),
            "between 1 and 2 of all areas lie below 25 %",
        ),
        (("x", "A", "later", 0.6, 0.7), "Alpha: 60 % to 70 % (a later figure, taken as unchanged)"),
        (
            ("x", "all", "later", 0.6, 0.6, "areas"),
            "the mean of all areas is 60 % (a later figure, taken as unchanged)",
        ),
    ],
)
def test_a_statement_reads_as_a_reader_would_say_it(row, says):
    one = FeasibleSet.from_evidence(
        frame(row),
        list("ABC"),
        customers=pd.Series(1.0, list("ABC")),
        groups={"two": ["A", "B"]},
        include_later=True,
    )
    names = {"A": "Alpha", "two": "the two"}
    assert one.constraints(names)["says"].tolist() == [says]


def test_a_statement_alone_can_be_impossible():
    one = FeasibleSet.from_evidence(
        frame(
            ("o", "A;B", "order", NOTHING, NOTHING), ("f", "all", "few_below", NOTHING, 1, "", 2)
        ),
        ["A", "B", "C"],
    )
    assert one.explain(["o"]) == "This statement is impossible: A is no higher than B [o]."
    assert one.explain(["f", "o"]) == (
        "These 2 statements cannot all hold: A is no higher than B [o]; at least 2 but fewer than "
        "half of all areas lie below 100 % [f]. Without any one of them the others can."
    )
    assert one.conflicts() == [["f"]]  # fewer than half of three are one at most


def test_the_table_of_statements_has_their_kind_reading_and_source():
    rows = letter().head(2).assign(source="letter")
    rows.loc[1, "source"] = np.nan
    table = feasible(rows).constraints()
    assert table.columns.tolist() == ["statement_id", "kind", "says", "reading", "source"]
    assert table.drop(columns="says").to_numpy().tolist() == [
        ["six", "range", "default", "letter"],
        ["mean", "mean", "default", ""],
    ]


def test_a_register_row_becomes_these_fields():
    row = frame(("x", " A;B ", "few_below", NOTHING, 0.4, "", 1, 2)).assign(
        said_on="2021-04-15", source="report"
    )
    (one,) = statements.read(row, list("ABC"))
    assert one == statements.Statement(
        id="x", kind="few_below", subject="A;B", areas=("A", "B"), lower=0.0, upper=0.4,
        count_low=1.0, count_high=2.0, said_on=pd.Timestamp("2021-04-15"), source="report",
    )  # fmt: skip
    bare = pd.DataFrame({"subject": ["B", "replied"], "kind": ["value", "range"], "upper": 0.3})
    value, wide = statements.read(bare, list("ABC"))
    assert (value.id, value.lower, value.upper, value.of_replied) == ("row 1", 0.3, 0.3, False)
    assert (wide.id, wide.lower, wide.upper, wide.of_replied) == ("row 2", 0.0, 0.3, True)
    assert wide.areas == ("A", "B", "C") and pd.isna(wide.said_on) and not wide.unchanged


def test_later_rows_are_a_mean_with_a_weight_and_a_range_without():
    rows = frame(
        ("m", "all", "later", 0.4, 0.5, "areas"),
        ("r", "A;B", "later", 0.4, NOTHING),
        ("c", "A", "context", NOTHING, NOTHING),
    )
    assert statements.read(rows, list("AB")) == []
    found = statements.read(rows, list("AB"), include_later=True)
    assert [(s.id, s.kind, s.lower, s.upper, s.unchanged) for s in found] == [
        ("m", "mean", 0.4, 0.5, True),
        ("r", "range", 0.4, 1.0, True),
    ]
    for kind in ("later", "context"):  # an unknown area is an error even where it is idle
        with pytest.raises(DataError, match="'Z'"):
            statements.read(frame(("z", "Z", kind, 0.4, 0.5)), list("AB"))


@pytest.mark.parametrize(
    ("row", "fine"),
    [
        (("x", "A", "range", 0.0, 1.0), True),
        (("x", "A", "range", 0.5, 0.5), True),
        (("x", "A;B", "order", NOTHING, NOTHING), True),
        (("x", "replied", "order", NOTHING, NOTHING), False),
        (("x", "A;B", "few_below", NOTHING, 0.5, "", 2, 2), True),
        (("x", "A;B", "few_below", NOTHING, 0.5, "", 0, 3), False),
        (("x", "A;B", "few_below", NOTHING, 0.5, "", 3, NOTHING), False),
        (("x", "A;B", "few_below", NOTHING, 0.5, "", 2, NOTHING), True),
        (("x", "A;B", "few_below", NOTHING, 0.5, "", 0.5, NOTHING), False),
        (("x", "A;B", "few_below", NOTHING, 0.5, "", -1, 1), False),
        (("x", "A;B", "largest", 0.5, 0.5), False),
        (("x", "A", "largest", NOTHING, NOTHING), True),
        (("x", "A", "range", NOTHING, NOTHING), False),
        (("x", "A", "range", NOTHING, 0.3), True),
    ],
)
def test_what_can_and_what_cannot_be_said(row, fine):
    if fine:
        assert len(statements.read(frame(row), list("ABC"))) == 1
    else:
        with pytest.raises(DataError):
            statements.read(frame(row), list("ABC"))


@pytest.mark.parametrize(
    ("upper", "hint"), [(60, "Divide a percentage by 100"), ("0,6", "decimals with a point")]
)
def test_a_number_of_the_wrong_form_comes_with_a_hint(upper, hint):
    with pytest.raises(DataError, match=hint):
        statements.read(frame(("x", "A", "range", 0.1, upper)), ["A"])
    with pytest.raises(DataError) as said:
        statements.read(frame(("x", "A", "range", -0.1, 0.5)), ["A"])
    assert "Divide" not in str(said.value)
    with pytest.raises(DataError) as said:
        statements.read(frame(("x", "A", "range", "six", 0.5)), ["A"])
    assert "decimals" not in str(said.value)


@pytest.mark.parametrize("groups", [{"g": []}, {"g": ["A", "Z"]}])
def test_a_group_of_nobody_or_of_strangers_is_refused(groups):
    with pytest.raises(DataError, match="Z|no member"):
        statements.read(frame(("x", "A", "value", 0.5, 0.5)), ["A"], groups)
    table = pd.DataFrame({"group_id": ["g", "g", "h"], "area_id": ["A", "B", "B"]})
    assert statements.grouped(table, ["A", "B"]) == {"g": ["A", "B"], "h": ["B"]}
    assert statements.grouped(None, ["A"]) == {}


def test_a_reading_swaps_the_rows_it_names():
    rows = frame(
        ("a", "A", "value", 0.1, 0.1),
        ("b", "B", "value", 0.2, 0.2),
        ("c", "C", "value", 0.3, 0.3),
        ("d", "A;B", "range", 0.4, 0.4, "", NOTHING, NOTHING, "both", "a; b"),
        ("e", "C", "value", 0.5, 0.5, "", NOTHING, NOTHING, "other", "c"),
        ("f", "C", "value", 0.6, 0.6, "", NOTHING, NOTHING, "other", ""),
    )

    def ids(reading):
        return [s.id for s in statements.read(rows, list("ABC"), reading=reading)]

    assert ids("default") == ["a", "b", "c"]
    assert ids("both") == ["c", "d"] and ids(["other"]) == ["a", "b", "e", "f"]
    assert ids("both+other") == ids(["other", "both"]) == ["d", "e", "f"]
    assert readings(rows.drop(columns="reading")) == ["default"]
    assert readings(rows.assign(reading=["", None, "x", "x", "default", "y"])) == [
        "default", "x", "y",
    ]  # fmt: skip


def test_a_range_of_cities_implies_a_wider_one_of_their_areas():
    row = {"statement_id": "c", "kind": "range", "lower": 0.6, "upper": 0.8, "note": ""}
    made = statements.city_ranges(row, pd.Series({"A": 0.25, "B": 1.0}), "city")
    expected = {"kind": "range", "reading": "city", "replaces": "c"}
    assert made.drop(columns="note").to_dict("records") == [
        expected | {"statement_id": "c_A", "subject": "A", "lower": 0.15, "upper": 0.95},
        expected | {"statement_id": "c_B", "subject": "B", "lower": 0.6, "upper": 0.8},
    ]
    assert made["note"].str.contains("25%|100%").all()


def test_areas_of_which_the_same_is_said_are_alike():
    customers = pd.Series([1.0, 2, 2, 1, 3], list("ABCDE"))
    rows = frame(("m", "A;B;C", "mean", 0.4, 0.6, "customers"), ("r", "all", "range", 0.1, 0.9))

    def alike(*more, **options):
        one = FeasibleSet.from_evidence(
            pd.concat([rows, frame(*more)]) if more else rows, list("ABCDE"), customers, **options
        )
        return one.alike().tolist()

    assert alike() == [0, 1, 1, 2, 2]
    assert alike(("o", "D;E", "order", NOTHING, NOTHING)) == [0, 1, 1, 2, 3]
    assert alike(("s", "C", "smallest", 0.1, 0.2)) == [0, 1, 2, 3, 3]
    assert alike(replied=["A", "B", "E"]) == [0, 1, 2, 3, 4]
    simple = FeasibleSet.from_evidence(
        frame(("m", "A;B", "mean", 0.4, 0.6, "areas")), list("ABC"), customers
    )
    assert simple.alike().to_dict() == {"A": 0, "B": 0, "C": 1}


def test_a_sample_mixes_the_corners_of_its_seed():
    box = FeasibleSet.from_evidence(
        frame(("a", "A", "range", 0.1, 0.3), ("b", "B", "range", 0.4, 0.9)), ["A", "B"]
    )
    rng, corners, n = np.random.default_rng(5), 7, 9
    rng.normal(size=2)  # chooses the 0/1 columns, of which there are none
    costs = rng.normal(size=(corners, 2))
    points = np.where(costs > 0, [0.1, 0.4], [0.3, 0.9])
    spread = rng.choice([0.05, 0.3, 1.0], size=n)
    shares = rng.gamma(np.repeat(spread[:, None], corners, axis=1)) + 1e-300
    expected = shares / shares.sum(axis=1, keepdims=True) @ points
    found = box.sample(n, seed=5, corners=corners)
    assert found.columns.tolist() == ["A", "B"]
    assert found.to_numpy() == pytest.approx(expected, abs=1e-9)
    assert box.sample(n).equals(box.sample(n, seed=0, corners=40))


def test_a_vector_is_in_the_set_up_to_the_tolerance():
    box = FeasibleSet.from_evidence(
        frame(("a", "A", "range", 0.2, 0.4), ("o", "A;B", "order", NOTHING, NOTHING)), ["A", "B"]
    )
    for a, b, inside in (
        (0.2, 0.3, True),
        (0.19, 0.3, False),
        (0.41, 0.5, False),
        (0.35, 0.3, False),
        (0.4 + 5e-7, 1.0, True),
        (0.4 + 5e-6, 1.0, False),
    ):
        assert box.contains({"A": a, "B": b}) == inside
    assert box.contains({"B": 0.3, "A": 0.35}, tolerance=0.03)
    assert not box.contains({"B": 0.3, "A": 0.35}, tolerance=0.02)


def test_a_later_figure_is_compared_with_the_bounds_of_the_start():
    start = FeasibleSet.from_evidence(
        frame(("a", "A", "range", 0.6, 0.8), ("b", "B", "value", 0.4, 0.4)), ["A", "B", "C"]
    )
    seen = compatible(start, {"subject": "A;B", "lower": 0.55, "upper": 0.9})
    assert (seen.low, seen.high) == pytest.approx((0.5, 0.6)) and seen.compatible
    assert seen.conflict is None and seen.witness[["A", "B"]].mean() == pytest.approx(0.55)
    not_seen = compatible(start, {"subject": "B", "lower": 0.5, "upper": 0.6})
    assert not_seen.conflict == ["b", "observed"] and not_seen.witness is None
    assert (not_seen.low, not_seen.high) == pytest.approx((0.4, 0.4))
    heavy = FeasibleSet.from_evidence(
        frame(("a", "A", "value", 0.8, 0.8), ("b", "B", "value", 0.4, 0.4)),
        ["A", "B"],
        pd.Series({"B": 1.0, "A": 3.0}),
    )
    by = compatible(heavy, {"subject": "all", "lower": 0.7, "upper": 0.7, "weight": "customers"})
    assert by.compatible and (by.low, by.high) == pytest.approx((0.7, 0.7))


@pytest.mark.parametrize(
    ("n", "clashes"),
    [
        (4, []),
        (4, [{1}]),
        (5, [{0, 4}, {1, 2, 3}]),
        (5, [{0, 1}, {1, 2}, {0, 2}]),
        (6, [{0, 1, 2}, {0, 3}, {1, 4}, {2, 5}, {3, 4, 5}]),
    ],
)
def test_all_minimal_conflicts_are_found_and_no_more_than_asked_for(n, clashes):
    def holds(kept):
        assert kept == sorted(set(kept))
        return not any(clash <= set(kept) for clash in clashes)

    found = minimal_conflicts(n, holds)
    assert sorted(found) == sorted(sorted(clash) for clash in clashes)
    for limit in range(1, len(clashes) + 1):
        assert minimal_conflicts(n, holds, limit) == found[:limit]


def test_twenty_conflicts_are_enough_unless_told_otherwise():
    assert len(minimal_conflicts(30, lambda kept: not kept)) == 20
