"""The linear and mixed-integer programmes under the backlog bounds and the disclosure gate."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods.program import Program


def drawn(seed, whole):
    """A random programme, its whole columns, and its rows as (coefficients, low, high)."""
    rng = np.random.default_rng(seed)
    p, n = Program(), 3
    lower = rng.uniform(-1, 0.5, n).round(2)
    columns = p.columns(lower, lower + rng.uniform(0, 1.5, n).round(2))
    choices = p.columns(np.zeros(whole), np.ones(whole), whole=True)
    rows, everything = [], np.concatenate([columns, choices])
    for kind in rng.choice(["low", "high", "both", "equal"], 3):
        a = rng.normal(size=len(everything)).round(2) * (rng.random(len(everything)) < 0.7)
        middle = a @ rng.uniform(p.lower, p.upper)
        low, high = middle - rng.random() / 2, middle + rng.random() / 2
        low, high = {
            "low": (low, np.inf), "high": (-np.inf, high), "both": (low, high),
            "equal": (middle, middle),
        }[kind]  # fmt: skip
        p.row(everything, a, low, high)
        rows.append((a, low, high))
    return p, choices, rows, rng


def by_enumeration(p, choices, rows, cost):
    """Least cost over all 0/1 choices, each a linear programme of its own."""
    best = np.inf
    a, low, high = (np.array(part) for part in zip(*rows, strict=True))
    above, below = np.isfinite(high), np.isfinite(low)
    for chosen in itertools.product([0.0, 1.0], repeat=len(choices)):
        box = np.column_stack([p.lower, p.upper])
        box[choices] = np.array(chosen)[:, None]
        answer = linprog(
            cost, np.vstack([a[above], -a[below]]), np.r_[high[above], -low[below]], bounds=box
        )
        best = min(best, answer.fun if answer.status == 0 else np.inf)
    return best


@pytest.mark.parametrize("whole", [0, 1, 3])
@pytest.mark.parametrize("seed", range(12))
def test_minimum_is_that_of_trying_every_choice(seed, whole):
    p, choices, rows, rng = drawn(seed, whole)
    for cost in rng.normal(size=(3, len(p.lower))):
        expected = by_enumeration(p, choices, rows, cost)
        answer = p.minimise(np.arange(len(p.lower)), cost)
        if np.isinf(expected):
            assert answer is None
            continue
        value, point = answer
        assert value == pytest.approx(expected, abs=1e-7)
        assert value == pytest.approx(cost @ point, abs=1e-12)
        assert np.isin(point[choices], (0, 1)).all()
        assert (point >= p.lower).all() and (point <= p.upper).all()
        for a, low, high in rows:
            assert low - 1e-7 <= a @ point <= high + 1e-7


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_unit_of_the_costs_does_not_move_the_point(unit):
    p, _, _, rng = drawn(3, 1)
    cost = rng.normal(size=len(p.lower))
    one, other = (p.minimise(np.arange(len(cost)), cost * by) for by in (1.0, unit))
    assert other[1] == pytest.approx(one[1], abs=1e-9)


def test_how_many_choices_are_needed_is_a_whole_number():
    p = Program()
    x = p.columns([0.4, 0.0], [1.0, 0.3])
    z = p.columns([0, 0, 0], [1, 1, 1], whole=True)
    p.row([x[0], z[0]], [1.0, 0.5], low=1.0)  # met by the area itself
    p.row([x[1], z[1]], [1.0, 0.5], low=0.5)  # needs its choice
    p.row([x[1], z[2]], [1.0, 5.0], low=1.0)  # a fifth of its choice would do
    value, point = p.minimise(z, [1.0, 1.0, 1.0])
    assert value == 2 and point[z].tolist() == [0, 1, 1]


def test_a_column_named_twice_counts_twice():
    p = Program()
    x = p.columns([0.25], [1.0])
    assert p.minimise([x[0], x[0]], [1.0, 2.0])[0] == pytest.approx(0.75)


def test_a_copy_and_an_included_programme_leave_the_first_alone():
    p = Program()
    x = p.columns([0.0, 0.0], [1.0, 1.0])
    p.row(x, [1.0, 1.0], low=0.5)
    assert p.minimise(x, [1, 1])[0] == pytest.approx(0.5)
    twin = p.copy()
    twin.row(x, [1.0, 1.0], low=1.5)
    twin.lower[0] = 0.75
    first = twin.include(p)
    assert first == 2 and len(twin.lower) == 4
    assert twin.minimise([first, first + 1], [1, 1])[0] == pytest.approx(0.5)
    assert twin.minimise(x, [1, 1])[0] == pytest.approx(1.5)
    assert twin.minimise(x, [0, 1])[0] == pytest.approx(0.5)
    assert p.minimise(x, [1, 1])[0] == pytest.approx(0.5) and p.lower.tolist() == [0, 0]


def test_whole_columns_stay_whole_in_another_programme():
    p, inner = Program(), Program()
    p.columns([0.0], [1.0])
    z = inner.columns([0.0], [1.0], whole=True)
    inner.row(z, [1.0], low=0.3)
    first = p.include(inner)
    assert p.minimise([first], [1.0])[0] == 1
    assert p.copy().minimise([first], [1.0])[0] == 1


def test_limits_that_cross_or_rows_that_clash_have_no_point():
    p = Program()
    x = p.columns([0.0], [1.0])
    p.lower[0] = 1.0 + 1e-13  # crossed by rounding only
    assert p.minimise(x, [1.0])[0] == pytest.approx(1.0)
    p.lower[0] = 1.1
    assert p.minimise(x, [1.0]) is None
    q = Program()
    x = q.columns([0.0], [1.0])
    q.row(x, [1.0], low=1.5)
    assert q.minimise(x, [1.0]) is None


def test_the_arrays_hold_the_columns_as_they_are_and_no_more():
    p = Program()
    x, z = p.columns([0.1, 0.2], [0.8, 0.9]), p.columns([0], [1], whole=True)
    p.row([x[0], z[0]], [2.0, -1.0], low=-0.5, high=0.5)
    m = p.matrices()
    assert m.A_ub.toarray().tolist() == [[2, 0, -1], [-2, 0, 1]] and m.b_ub.tolist() == [0.5, 0.5]
    assert m.A_eq.shape == (0, 3) and m.b_eq.tolist() == []
    assert m.lower.tolist() == [0.1, 0.2, 0] and m.upper.tolist() == [0.8, 0.9, 1]
    assert m.integrality.tolist() == [0, 0, 1]
    m.lower[0], m.upper[0], m.integrality[0] = 9, 9, 9  # a copy: the programme stays
    assert (p.lower[0], p.upper[0], p.integrality[0]) == (0.1, 0.8, 0)
    empty = Program()
    empty.columns([0.0], [1.0])
    assert empty.matrices().A_ub.shape == (0, 1)
    assert empty.columns(0.5, [1.0, 2.0]).tolist() == [1, 2] and empty.lower.tolist() == [
        0,
        0.5,
        0.5,
    ]


def test_choices_that_the_solver_leaves_a_little_off_are_made_whole_and_the_rest_solved_again(
    monkeypatch,
):
    p = Program()
    x, z = p.columns([0.0], [1.0]), p.columns([0.0], [1.0], whole=True)
    p.row([x[0], z[0]], [1.0, 1.0], low=1.5)
    solve = Program._solve

    def off(self, cost, lower, upper, integrality=None):
        point = solve(self, cost, lower, upper, integrality)
        return point if integrality is None else point + [1e-7, -1e-7]

    monkeypatch.setattr(Program, "_solve", off)
    value, point = p.minimise([*x, *z], [1.0, 3.0])
    assert value == 3.5 and point.tolist() == [0.5, 1.0]
    assert p.lower.tolist() == [0, 0] and p.upper.tolist() == [1, 1]


def test_limits_tightened_after_a_solution_hold_in_the_next():
    p = Program()
    x = p.columns([0.0, 0.0], [1.0, 1.0])
    p.row(x, [1.0, 1.0], low=0.5)
    assert p.minimise(x, [1.0, 2.0])[1].tolist() == [0.5, 0]
    p.upper[0] = 0.25
    assert p.minimise(x, [1.0, 2.0])[1].tolist() == [0.25, 0.25]
    y = p.columns([0.0], [1.0])  # new columns and rows count as well
    p.row([x[0], y[0]], [1.0, 1.0], 1.0, 1.0)
    assert p.minimise([*x, *y], [1.0, 2.0, 1.0])[0] == pytest.approx(0.25 + 0.5 + 0.75)


def test_a_cost_without_least_value_is_an_error():
    p = Program()
    x = p.columns([-np.inf], [np.inf])
    with pytest.raises(KokeiluError, match="gave no answer"):
        p.minimise(x, [1.0])


def test_a_zero_beside_a_column_without_limit_says_nothing():
    p = Program()
    x = p.columns([0.0, 0.0], [1.0, np.inf])
    p.row(x, [1.0, 0.0], low=0.5)
    assert p.minimise(x, [1.0, 1.0])[0] == pytest.approx(0.5)


def test_rows_that_the_limits_imply_are_left_out_of_the_matrices():
    p = Program()
    x = p.columns([0.0, 0.0], [1.0, 1.0])
    for a, low, high in (
        ([1.0, -1.0], -1.0, np.inf),  # says nothing
        ([1.0, 1.0], -np.inf, 2.0),  # says nothing
        ([1.0, 1.0], -np.inf, 1.5),
        ([1.0, -1.0], -0.5, np.inf),
        ([2.0, 1.0], 1.0, 1.0),
    ):
        p.row(x, a, low, high)
    m = p.matrices()
    assert m.A_ub.toarray().tolist() == [[1.0, 1.0], [-1.0, 1.0]]
    assert m.b_ub.tolist() == [1.5, 0.5]
    assert m.A_eq.toarray().tolist() == [[2.0, 1.0]] and m.b_eq.tolist() == [1.0]
