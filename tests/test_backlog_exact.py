"""The bounds against independent methods, and the properties that they must have."""

import itertools

import numpy as np
import pandas as pd
import pytest
from backlog_cases import (
    AREAS,
    GROUPS,
    NOTHING,
    SIX,
    corners,
    feasible,
    frame,
    letter,
    satisfies,
    truths,
)
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.optimize import linprog

from kokeilu_analysis.methods.backlog import EmptySetError, FeasibleSet

# --- independent methods ----------------------------------------------------------------------


def test_a_hundred_thousand_random_vectors_never_leave_the_bounds():
    rng, m = np.random.default_rng(1), 330_000
    box = np.tile([0.125, 0.8], (25, 1))
    for area in SIX:
        box[AREAS.index(area)] = 0.6, 0.8
    box[0], box[16] = 0.8, 0.125
    points = box[:, 0] + rng.beta(1.3, rng.uniform(1.0, 1.9, (m, 1)), (m, 25)) * np.ptp(box, axis=1)
    points = points[satisfies(letter().head(5), AREAS, points, groups=GROUPS, tolerance=1e-12)]
    assert len(points) >= 100_000
    points, given_set = points[:100_000], feasible()
    area = given_set.bounds_area()
    assert (points >= area["bound_low"].to_numpy() - 1e-9).all()
    assert (points <= area["bound_high"].to_numpy() + 1e-9).all()
    for _ in range(10):
        w = rng.normal(size=25)
        low, high = given_set.bounds(pd.Series(w, AREAS))
        assert low - 1e-9 <= (points @ w).min() and (points @ w).max() <= high + 1e-9
    for x in (0.3, 0.5, 0.7):
        low, high = given_set.bounds_count_below(x)
        counts = (points < x).sum(axis=1)
        assert low <= counts.min() and counts.max() <= high
    low, high = given_set.bounds_quantile(0.5)
    medians = np.sort(points, axis=1)[:, 12]
    assert low - 1e-9 <= medians.min() and medians.max() <= high + 1e-9


@pytest.mark.parametrize("reading", ["default", "mean_exact", "few_2", "few_any"])
def test_sampled_vectors_satisfy_the_statements_as_they_read(reading):
    given_set = feasible(reading=reading)
    points = given_set.sample(5_000, seed=7)
    rows = letter().set_index("statement_id", drop=False).loc[[s.id for s in given_set.statements]]
    assert satisfies(rows, AREAS, points.to_numpy(), groups=GROUPS).all()
    assert points.equals(given_set.sample(5_000, seed=7))
    assert np.ptp(points["KK04"]) > 0.25  # they spread over the set
    assert all(given_set.contains(points.loc[i]) for i in range(0, 5_000, 1_250))
    assert not given_set.contains(points.loc[0] * 0.99)


@pytest.mark.parametrize("reading", ["default", "mean_exact", "few_2"])
def test_bounds_are_attained_by_their_witnesses(reading):
    given_set, rng = feasible(reading=reading), np.random.default_rng(5)
    rows = letter().set_index("statement_id", drop=False).loc[[s.id for s in given_set.statements]]
    for _ in range(5):
        w = pd.Series(rng.normal(size=25), AREAS)
        low, high, at_low, at_high = given_set.bounds(w, witness=True)
        assert low == pytest.approx(w @ at_low, abs=1e-12)
        assert high == pytest.approx(w @ at_high, abs=1e-12)
        both = np.vstack([at_low, at_high])
        assert satisfies(rows, AREAS, both, groups=GROUPS, tolerance=1e-9).all()


@pytest.mark.parametrize("seed", range(30))
def test_bounds_equal_those_over_all_corners(seed):
    rng = np.random.default_rng(seed)
    areas, _, customers, evidence = truths(rng, int(rng.integers(3, 5)))
    given_set = FeasibleSet.from_evidence(evidence, areas, customers)
    points = corners(evidence, areas, customers)
    area = given_set.bounds_area()
    assert np.allclose(area["bound_low"], points.min(axis=0), atol=1e-8, rtol=0)
    assert np.allclose(area["bound_high"], points.max(axis=0), atol=1e-8, rtol=0)
    for _ in range(4):
        w = rng.normal(size=len(areas))
        ends = (points @ w).min(), (points @ w).max()
        assert given_set.bounds(pd.Series(w, areas)) == pytest.approx(ends, abs=1e-8)


@pytest.mark.parametrize("seed", range(12))
def test_counts_and_medians_equal_those_of_exhaustive_search(seed):
    rng = np.random.default_rng(100 + seed)
    areas, _, customers, evidence = truths(rng, 3)
    given_set = FeasibleSet.from_evidence(evidence, areas, customers)
    eye = np.eye(3)

    def numbers_below(x, margin):
        least, most = 3, 0
        for size in range(4):
            for below in itertools.combinations(range(3), size):
                at_most = [(-eye[i], -x) for i in range(3) if i not in below]
                if len(corners(evidence, areas, customers, at_most)):
                    least = min(least, size)
                if len(corners(evidence, areas, customers, [(eye[i], x - margin) for i in below])):
                    most = max(most, size)
        return least, most

    for x in (0.3, 0.5, 0.62):
        assert given_set.bounds_count_below(x) == numbers_below(x, 1e-5)
    low, high = given_set.bounds_quantile(0.5)  # the second smallest of three
    assert numbers_below(min(high, 1.0), 1e-5)[0] <= 1
    assert high > 1 - 1e-4 or numbers_below(high + 1e-4, 1e-5)[0] >= 2
    assert numbers_below(low + 1e-4, 1e-5)[1] >= 2
    assert low < 1e-4 or numbers_below(low - 1e-4, 1e-5)[1] < 2


@pytest.mark.parametrize("seed", range(12))
def test_weighted_quantiles_equal_those_of_exhaustive_search(seed):
    rng = np.random.default_rng(200 + seed)
    areas, _, customers, evidence = truths(rng, 3)
    given_set = FeasibleSet.from_evidence(evidence, areas, customers)
    share, q = (customers / customers.sum()).to_numpy(), 0.5

    def least_weight_below(x):
        weights = [1.0]
        for below in itertools.product([0.0, 1.0], repeat=3):
            at_most = [(-np.eye(3)[i], -x) for i in range(3) if not below[i]]
            if len(corners(evidence, areas, customers, at_most)):
                weights.append(share @ below)
        return min(weights)

    _, high = given_set.bounds_quantile(q, customers)
    assert least_weight_below(high - 1e-4) < q
    assert high > 1 - 1e-4 or least_weight_below(high + 1e-4) >= q - 1e-5


PAIR = ("pair", "pair", "range", 0.6, 0.8)
UNSURE = {
    "letter": [
        PAIR,
        ("least", "C", "smallest", 0.2, 0.3),
        ("mean", "replied", "mean", 0.45, 0.55, "areas"),
        ("few", "replied", "few_below", NOTHING, 0.5),
    ],
    "the smallest is high": [
        PAIR,
        ("least", "C", "smallest", 0.55, 0.6),
        ("mean", "replied", "mean", 0.6, 0.65, "customers"),
        ("some", "replied", "few_below", NOTHING, 0.62, "", 1, 3),
    ],
    "the largest is low": [
        ("pair", "pair", "range", 0.0, 0.9),
        ("most", "C", "largest", 0.3, 0.4),
        ("each", "replied", "range", 0.1, 0.35),
        ("some", "replied", "few_below", NOTHING, 0.2, "", 0, 1),
    ],
    "two lie below, which only repliers can": [
        ("pair", "pair", "range", 0.5, 0.9),
        ("mean", "replied", "mean", 0.5, 0.6, "areas"),
        ("some", "replied", "few_below", NOTHING, 0.4, "", 2, 2),
    ],
    "an order and an exact mean": [
        ("pair", "pair", "range", 0.2, 0.7),
        ("C", "C", "value", 0.5, 0.5),
        ("mean", "replied", "mean", 0.4, 0.4, "areas"),
        ("order", "A;D;E", "order", NOTHING, NOTHING),
        ("some", "replied", "few_below", NOTHING, 0.45, "", 2, NOTHING),
    ],
}


@pytest.mark.parametrize("statements", UNSURE.values(), ids=UNSURE)
def test_unknown_repliers_give_the_union_over_all_sets_of_repliers(statements):
    areas, groups, evidence = list("ABCDE"), {"pair": ["A", "B"]}, frame(*statements)
    given_to_all = dict(groups=groups, customers=pd.Series([1.0, 2, 3, 4, 5], areas))
    possible = []
    for size in range(3):
        for more in itertools.combinations("DE", size):
            replied = ["A", "B", "C", *more]
            one = FeasibleSet.from_evidence(evidence, areas, replied=replied, **given_to_all)
            if not one.conflicts():
                possible.append(one)
    assert possible
    unknown = FeasibleSet.from_evidence(evidence, areas, replied=None, **given_to_all)
    rng = np.random.default_rng(2)
    for w in [*np.eye(5), np.full(5, 0.2), *rng.normal(size=(3, 5))]:
        w = pd.Series(w, areas)
        ends = [one.bounds(w) for one in possible]
        union = min(e[0] for e in ends), max(e[1] for e in ends)
        assert unknown.bounds(w) == pytest.approx(union, abs=1e-8)
    for x in (0.3, 0.5):
        counts = [one.bounds_count_below(x) for one in possible]
        union = min(n[0] for n in counts), max(n[1] for n in counts)
        assert unknown.bounds_count_below(x) == union


def test_the_matrices_hold_the_same_set():
    given_set, w = feasible(reading="few_any"), np.random.default_rng(4).normal(size=25)
    m = given_set.matrices()
    assert not m.integrality.any()
    box = np.column_stack([m.lower, m.upper])
    ends = [
        s
        * linprog(
            s * w,
            m.A_ub,
            m.b_ub,
            m.A_eq if m.b_eq.size else None,
            m.b_eq if m.b_eq.size else None,
            box,
        ).fun
        for s in (1.0, -1.0)
    ]
    assert given_set.bounds(pd.Series(w, AREAS)) == pytest.approx(ends, abs=1e-9)


# --- properties -------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(seed=some.integers(0, 10**6))
def test_adding_a_statement_never_widens_a_bound(seed):
    rng = np.random.default_rng(seed)
    areas, b, customers, evidence = truths(rng, 4)
    given_set = FeasibleSet.from_evidence(evidence, areas, customers)
    i = rng.integers(4)
    added = {"statement_id": "new", "subject": areas[i], "kind": "range"}
    more = given_set.with_statement(added | {"lower": b[i] - 0.02, "upper": b[i] + 0.02})
    w = pd.Series(rng.normal(size=4), areas)
    wide, narrow = given_set.bounds(w), more.bounds(w)
    assert (
        wide[0] - 1e-8 <= narrow[0] <= w @ b + 1e-8 and w @ b - 1e-8 <= narrow[1] <= wide[1] + 1e-8
    )
    wide, narrow = given_set.bounds_count_below(0.4), more.bounds_count_below(0.4)
    assert wide[0] <= narrow[0] <= (b < 0.4).sum() <= narrow[1] <= wide[1]
    wide, narrow = given_set.bounds_quantile(0.5), more.bounds_quantile(0.5)
    assert wide[0] - 1e-5 <= narrow[0] and narrow[1] <= wide[1] + 1e-5


@settings(max_examples=8, deadline=None)
@given(seed=some.integers(0, 10**6))
def test_order_and_units_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    areas, _, customers, evidence = truths(rng, 4)
    given_set = FeasibleSet.from_evidence(evidence, areas, customers)
    shuffled = list(rng.permutation(areas))
    rows = evidence.sample(frac=1, random_state=seed % 2**31)
    other = FeasibleSet.from_evidence(rows, shuffled, 1000 * customers)
    w = pd.Series(rng.normal(size=4), areas)
    low, high = given_set.bounds(w)
    assert other.bounds(w) == pytest.approx((low, high), abs=1e-8)
    assert given_set.bounds(7e5 * w) == pytest.approx((7e5 * low, 7e5 * high), rel=1e-8, abs=1e-6)
    assert given_set.bounds(-w) == pytest.approx((-high, -low), abs=1e-8)
    assert given_set.bounds_quantile(0.5) == pytest.approx(other.bounds_quantile(0.5), abs=1e-5)


def mirrored(evidence):
    """What the register would say of the shares that are up to date instead of the backlogs."""
    turned = evidence[evidence["kind"] != "few_below"].copy()
    turned["lower"], turned["upper"] = 1 - turned["upper"], 1 - turned["lower"]
    turned["kind"] = turned["kind"].replace({"smallest": "largest", "largest": "smallest"})
    order = turned["kind"] == "order"
    turned.loc[order, "subject"] = [
        ";".join(reversed(s.split(";"))) for s in turned.loc[order, "subject"]
    ]
    return turned


@pytest.mark.parametrize("seed", range(5))
def test_what_lies_above_is_what_lies_below_in_the_mirror(seed):
    rng = np.random.default_rng(400 + seed)
    areas, _, customers, evidence = truths(rng, 4)
    evidence = evidence[evidence["kind"] != "few_below"]
    plain = FeasibleSet.from_evidence(evidence, areas, customers)
    mirror = FeasibleSet.from_evidence(mirrored(evidence), areas, customers)
    w = pd.Series(rng.normal(size=4), areas)
    low, high = mirror.bounds(w)
    assert plain.bounds(w) == pytest.approx((w.sum() - high, w.sum() - low), abs=1e-8)
    for x in (0.3, 0.6):
        assert plain.bounds_count_above(x) == mirror.bounds_count_below(1 - x)
        assert plain.bounds_count_below(x) == mirror.bounds_count_above(1 - x)
        assert plain.bounds_count_above(x, 0.1) == mirror.bounds_count_below(1 - x, 0.1)
    # of four the second smallest is the third largest
    low, high = mirror.bounds_quantile(0.75)
    assert plain.bounds_quantile(0.5) == pytest.approx((1 - high, 1 - low), abs=2e-5)


def test_areas_beyond_a_threshold_by_hand():
    rows = frame(
        ("a", "A", "range", 0.1, 0.2), ("b", "B", "range", 0.3, 0.6), ("c", "C", "range", 0.5, 0.9)
    )
    free = FeasibleSet.from_evidence(rows, list("ABC"))
    for x, below, above in (
        (0.05, (0, 0), (3, 3)),
        (0.15, (0, 1), (2, 3)),
        (0.4, (1, 2), (1, 2)),
        (0.55, (1, 3), (0, 2)),
        (0.95, (3, 3), (0, 0)),
    ):
        assert free.bounds_count_below(x) == below and free.bounds_count_above(x) == above
    # half a point of room: 0.6 is beyond 0.59 by 0.01 and not by 0.02
    assert free.bounds_count_above(0.59, margin=0.01)[1] == 2
    assert free.bounds_count_above(0.59, margin=0.02)[1] == 1
    assert free.bounds_count_below(0.51, margin=0.01)[1] == 3
    assert free.bounds_count_below(0.51, margin=0.02)[1] == 2
    for q, expected in ((0.01, (0.1, 0.2)), (1 / 3, (0.1, 0.2)), (0.34, (0.3, 0.6))):
        assert free.bounds_quantile(q) == pytest.approx(expected, abs=1e-9)
    assert free.bounds_quantile(2 / 3) == pytest.approx((0.3, 0.6), abs=1e-9)
    assert free.bounds_quantile(1.0) == pytest.approx((0.5, 0.9), abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(seed=some.integers(0, 10**6))
def test_a_group_statement_equals_one_for_each_member(seed):
    rng = np.random.default_rng(seed)
    areas, _, customers, evidence = truths(rng, 4)
    groups = {"pair": [areas[0], areas[2]]}
    whole = pd.concat([evidence, frame(("g", "pair", "range", 0.0, 0.9))])
    split = pd.concat(
        [evidence, frame(*((f"g{i}", a, "range", 0.0, 0.9) for i, a in enumerate(groups["pair"])))]
    )
    w = pd.Series(rng.normal(size=4), areas)
    one, two = (
        FeasibleSet.from_evidence(e, areas, customers, groups=groups) for e in (whole, split)
    )
    try:
        expected = one.bounds(w)
    except EmptySetError:
        with pytest.raises(EmptySetError):
            two.bounds(w)
    else:
        assert two.bounds(w) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=8, deadline=None)
@given(seed=some.integers(0, 10**6))
def test_every_conflict_found_is_minimal_and_all_are_found(seed):
    rng = np.random.default_rng(seed)
    areas = ["A", "B", "C"]
    rows = []
    for i in range(4):
        low = rng.uniform(0, 0.7)
        subject = rng.choice(["all", *areas])
        kind = "mean" if subject == "all" else "range"
        rows.append((f"s{i}", subject, kind, low, low + 0.15, "areas" if kind == "mean" else ""))
    evidence = frame(*rows)

    def holds(ids):
        some_rows = evidence[evidence["statement_id"].isin(ids)]
        return not FeasibleSet.from_evidence(some_rows, areas).conflicts(limit=1)

    ids = list(evidence["statement_id"])
    minimal = {
        c
        for size in range(1, 5)
        for c in itertools.combinations(ids, size)
        if not holds(c) and all(holds(set(c) - {one}) for one in c)
    }
    assert {tuple(c) for c in FeasibleSet.from_evidence(evidence, areas).conflicts()} == minimal
