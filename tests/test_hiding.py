"""Inner steps of hiding more cells, each with an answer that can be worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, hstack, random_array

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import complementary, crowded, linked_cells, suppression
from kokeilu_analysis.methods.complementary import Hiding

SUM = [("T", ["a", "b"])]
INF = np.inf


def searching(sums=(), within=(), hidden="", rounding=0, need=5.0, marks=None, **values):
    """The search before its first step; small differences stand behind the cells."""
    units, value = list(values), np.array(list(values.values()), dtype=float)
    links = linked_cells.build(
        pd.DataFrame({"unit": units}), {"unit": list(sums)}, {"unit": list(within)}
    )
    links, rest, rest_need = suppression._with_rests(links, value, 5)
    need = np.r_[np.broadcast_to(need, len(value)), rest_need]
    marked = {mark: np.isin(units, list(of)) for mark, of in (marks or {}).items()}
    none = dict.fromkeys(complementary.Marks._fields, np.zeros(len(value), dtype=bool))
    secret = np.r_[np.isin(units, list(hidden)), np.zeros(len(rest), dtype=bool)]
    marked = complementary.Marks(**none | marked)
    return Hiding(links, np.r_[value, rest], need, secret, marked, rounding)


def chain(length, **options):
    """Cells a0, a1, …, each two neighbours with a total of their own: T0 = a0 + a1, …"""
    parts = {f"a{i}": 3 + i for i in range(length)}
    totals = {f"T{i}": 7 + 2 * i for i in range(length - 1)}
    sums = [(f"T{i}", [f"a{i}", f"a{i + 1}"]) for i in range(length - 1)]
    return searching(sums, **options, **parts, **totals)


def lists(*arrays):
    return [np.asarray(array).tolist() for array in arrays]


def links_of(rows, low, high):
    return linked_cells.Links(csr_array(np.array(rows, dtype=float)), np.array(low), np.array(high))


# What a cell costs, and what is known of it.


def test_a_cell_costs_one_and_its_digits_and_what_may_not_be_hidden_is_out_of_price():
    values = dict(none=0, flow=0, one=1, ten=10, fixed=10, kept=1000, whole=1003)
    marks = {"fixed": ["fixed"], "kept": ["kept"], "zeros": ["flow", "one"]}
    sparing, last = searching(within=[("kept", "whole")], marks=marks, **values).costs
    whole = 1 + np.log10(1003)
    assert last.tolist() == [INF, 1, 1, 2, INF, 4, whole, INF], "the difference is never hidden"
    assert sparing.tolist() == [INF, 1, 1, 2, INF, INF, whole, INF]
    assert len(searching(marks={"kept": []}, **values).costs) == 1


def test_what_is_known_of_shown_hidden_and_rounded_cells_and_of_differences():
    values = dict(flow=0, small=2, one=1, part=0.5, twelve=12, nine=9, seven=7, whole=10.5)
    secret = [0, 0, 1, 0, 10], [10, 10, 10, 10, 20]
    for rounding, shown in {0: [9, 7, 10.5], 1: [9, 7, 10.5], 2: [8, 8, 10], 3: [9, 6, 12]}.items():
        state = searching(
            within=[("nine", "whole")],
            hidden=["flow", "small", "one", "part", "twelve"],
            rounding=rounding,
            marks={"zeros": ["flow", "small"]},
            **values,
        )
        low, high = state.printed(slice(8))
        assert low.tolist() == secret[0] + shown and high.tolist() == secret[1] + shown
        half = rounding / 2 if rounding > 1 else 0
        low, high = state.known()
        assert low.tolist() == [*secret[0], *(s - half for s in shown), 0]
        assert high[:-1].tolist() == [*secret[1], *(s + half for s in shown)]
        some = np.array([8, 2, 5])
        assert lists(*state.known(some)) == lists(low[some], high[some])


@pytest.mark.parametrize("need", [5.0, 90.0])
def test_a_difference_may_be_as_large_as_anything_that_a_reader_could_take_a_cell_for(need):
    state = searching(within=[("b", "c")], hidden="a", need=[need, 5, 5], a=100, b=40, c=41)
    assert state.known()[1][-1] == state.everything
    assert (state.everything >= state._would(slice(None))[1]).all()


def test_a_dominated_share_of_a_unit_lies_in_its_interval():
    table = pd.DataFrame({"unit": ["a", "b"], "value": [0.5, 1.0], "largest": [0.5, 1.0]})
    spec = suppression.Spec(("unit",), dominance=(1, 0.1), largest="largest")
    made, _ = suppression.protect(table, spec)
    assert made["lower"].tolist() == [0, 1]
    assert suppression._primary(table, table["value"].to_numpy(), spec)[1].tolist() == [5, 9]


def test_what_moves_along_is_drawn_to_either_side_and_always_the_same_way():
    state, again = (searching(**dict.fromkeys("abcdefghijkl", 7)) for _ in range(2))
    assert sorted({*state.along}) == [-complementary.ALONG, complementary.ALONG]
    assert 0 < complementary.ALONG * 10 < 1, "less than the cheapest cell, however wide it moves"
    assert (state.along == again.along).all()


# Neighbours, and parts of matrices.


@pytest.mark.parametrize(
    ("cell", "depth", "rows", "cells"),
    [
        (0, 0, [0], [0]),
        (0, 1, [0, 1], [0, 1]),
        (0, 3, [0, 1, 2, 3], [0, 1, 2, 3]),
        (0, 4, [0, 1, 2, 3], [0, 1, 2, 3, 4]),
        (2, 0, [1, 2], [2]),
        (2, 1, [0, 1, 2, 3], [1, 2, 3]),
        (2, 9, [0, 1, 2, 3], [0, 1, 2, 3, 4]),
        (5, 3, [], [5]),
    ],
)
def test_neighbours_are_as_many_links_away_and_all_their_links_are_looked_at(
    cell, depth, rows, cells
):
    within = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")]
    state = searching(within=within, a=10, b=20, c=30, d=40, e=50, alone=60)
    assert lists(*state._near(cell, depth)) == [rows, cells]


@pytest.mark.parametrize("seed", range(4))
def test_parts_of_a_matrix_are_what_slicing_gives(seed):
    rng = np.random.default_rng(seed)
    matrix = csr_array(random_array((9, 12), density=0.3, rng=rng))
    lines = np.flatnonzero(rng.random(9) < 0.6)
    at = complementary._entries(matrix, lines)
    assert matrix.data[at].tolist() == matrix[lines].data.tolist()
    assert complementary._entries(matrix, lines[:0]).tolist() == []
    cells = np.flatnonzero(rng.random(12) < 0.7)[:-1]
    paid = rng.random(len(cells)) < 0.5
    links = linked_cells.Links(matrix, np.zeros(9), np.zeros(9))
    part = matrix[lines][:, cells]
    expected = hstack([part, part[:, paid], -part[:, paid]]).toarray()
    found = Hiding._matrix(SimpleNamespace(links=links), lines, cells, paid)
    assert found.toarray().tolist() == expected.tolist()


# The cheapest cells to hide.


def moved(state, cell, way):
    rows, cells = state._near(cell, 3)
    return state._moved(cell, way, rows, cells, state.costs[-1][cells])


def test_a_cell_gets_its_room_on_one_side_or_else_on_both():
    state = searching(SUM, hidden="a", a=3, b=8, T=11)
    hide, points = moved(state, 0, 1)
    assert hide == [1] and points.tolist() == [[3, 8, 11], [8, 3, 11]]
    hide, points = moved(state, 0, -1)  # two down, where the interval ends, and three up
    assert hide == [1] and points.tolist() == [[3, 8, 11], [1, 10, 11], [6, 5, 11]]
    high = searching(SUM, hidden="a", a=9, b=5, T=14)
    assert moved(high, 0, 1)[1].tolist() == [[9, 5, 14], [10, 4, 14], [5, 9, 14]]
    half = searching(SUM, hidden="a", a=2.5, b=8, T=10.5)
    assert moved(half, 0, -1)[1][:, 0].tolist() == [2.5, 1.5, 6.5], "counts move by whole numbers"
    assert moved(searching(SUM, hidden="a", marks={"fixed": "bT"}, a=3, b=8, T=11), 0, 1) is None
    wide = searching(SUM, hidden="a", a=3, b=30, T=33)
    assert moved(wide, 0, 1)[0] == [2], "b of 30 to 40 could not make room for more of a"


def test_hidden_cells_that_may_move_too_do_as_far_as_they_can():
    state = searching([("T", [*"abcd"])], hidden="abcd", a=5, b=5, c=5, d=5, T=20)
    state.along = np.array([0.0, 2, -1, 1, 1]) * complementary.ALONG
    every = np.arange(5)
    for size, point in ((3, [8, 10, 1, 1, 20]), (-3, [2, 1, 10, 7, 20])):
        hide, found = state._path(0, size, np.array([0]), every, state.costs[-1], [])
        assert hide == [] and found.tolist() == pytest.approx(point)


def test_a_link_with_room_on_both_sides_draws_a_cell_along_only_at_its_ends():
    none = np.zeros(2, dtype=bool)
    links, value = links_of([[1, -1]], [2], [7]), np.array([10.0, 6])
    marked = complementary.Marks(none, none, none)
    state = Hiding(links, value, np.full(2, 5.0), ~none, marked, 0)
    state.along = np.array([0.0, -complementary.ALONG])  # as little as it may
    for size, point in ((5, [15, 15 - 7]), (-5, [5, 5 - 2])):
        _, found = state._path(0, size, np.array([0]), np.arange(2), state.costs[-1], [])
        assert found.tolist() == pytest.approx(point)


def test_a_way_that_leads_nowhere_is_left_for_the_other_one():
    # b is at the foot of its interval, so a has no way up
    state = searching(SUM, hidden="ab", marks={"fixed": "T"}, a=9, b=10, T=19)
    assert moved(state, 0, 1) is None
    assert state._hidden_near(0, state.costs[-1], (3,)) is True
    assert lists(*state.seen) == [[4, 10, 19], [9, 15, 19]]
    assert state.hidden.tolist() == [True, True, False]


def test_what_is_hidden_near_a_cell_is_seen_to_move_and_where_nothing_helps_nothing_is_hidden():
    state = searching(SUM, hidden="a", a=3, b=8, T=11)
    state.seen = np.array([2.0, 7, 11]), np.array([3.0, 8, 12])  # then a at 8 beside b at 3
    assert state._hidden_near(0, state.costs[-1], complementary.DEPTHS) is True
    assert state.hidden.tolist() == [True, True, False]
    assert lists(*state.seen) == [[2, 3, 11], [8, 8, 12]] and state.value.tolist() == [3, 8, 11]
    state = searching(SUM, hidden="a", marks={"fixed": "bT"}, a=3, b=8, T=11)
    assert state._hidden_near(0, state.costs[-1], complementary.DEPTHS) is False
    assert state.hidden.tolist() == [True, False, False]
    alone = searching(within=[("a", "b")], hidden="a", a=3, b=20)
    assert alone._hidden_near(0, alone.costs[-1], (0,)) is True
    assert alone.hidden.tolist() == [True, False]


def test_neighbours_are_looked_at_until_there_are_no_more():
    state, depths = chain(4, hidden=["a0"], marks={"fixed": ["a0", "a1", "a2", "a3"]}), []
    state._moved = lambda cell, way, rows, cells, cost: depths.append((way, len(cells)))
    assert state._hidden_near(0, state.costs[-1], (0, 1, 2, 9, 10)) is False
    assert depths == [(way, size) for size in (1, 3, 5, 7) for way in (1, -1)]


def test_intervals_grow_step_by_step_around_a_cell_that_nothing_else_helps(monkeypatch):
    state, asked = chain(6, hidden=["a0"]), []
    monkeypatch.setattr(
        Hiding, "_hidden_near", lambda self, *of: asked.append((of[2], self.step.copy()))
    )
    assert state._hidden_with_coarser(0, state.costs[-1]) is False
    assert [depths for depths, _ in asked] == [complementary.DEPTHS[:1]] * 4
    cells = [0, 1, 2, 3, 6, 7, 8]  # a0 to a3, T0 to T2
    assert lists(*(step[cells] for _, step in asked)) == [
        [10, 10, 10, 10, 10, 10, 10],
        [20, 20, 10, 10, 20, 10, 10],  # one link away
        [40, 40, 20, 10, 40, 20, 10],  # and two
        [40, 40, 40, 10, 40, 40, 10],
    ]
    assert state._hidden_with_coarser(0, state.costs[-1]) is False
    assert len(asked) == 5, "at eight times the need nothing grows, and nobody is asked again"


def test_where_nothing_may_be_hidden_intervals_within_three_links_grow():
    cells = [*(f"a{i}" for i in range(7)), *(f"T{i}" for i in range(6))]
    state = chain(7, hidden=["a0"], marks={"fixed": cells})
    state._hide_around(0)
    grown = np.isin(cells, ["a0", "a1", "a2", "a3", "T0", "T1", "T2"])
    assert state.step.tolist() == np.where(grown, 20, 10).tolist()
    assert state.hidden.sum() == 1


def test_with_coarser_intervals_around_it_a_cell_spares_what_is_kept():
    state = searching(SUM, hidden="a", marks={"kept": "T"}, a=4, b=20, T=24)
    sparing, _ = state.costs
    assert state._hidden_with_coarser(0, sparing) is True
    assert state.hidden.tolist() == [True, True, False] and state.step.tolist() == [40, 40, 40]


# Rounds.


class Scripted:
    """A search whose ranges are given round by round; what is asked in it is kept."""

    def __init__(self, monkeypatch, state, *rounds, hides=lambda state: None):
        self.state, self.rounds, self.enough, self.seen, self.asked = state, [*rounds], [], [], []

        def ranges(links, low, high, enough, seen):
            assert lists(low, high) == lists(*state.known())
            self.enough.append(enough.tolist())
            self.seen.append(lists(*seen))
            return np.array(self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]).T

        def around(state, cell):
            self.asked.append(int(cell))
            hides(state)

        monkeypatch.setattr(linked_cells, "ranges", ranges)
        monkeypatch.setattr(Hiding, "_hide_around", around)
        monkeypatch.setattr(crowded, "hide", lambda *of: self.asked.append(of[1:]))


@pytest.mark.parametrize("rounding", [0, 1, 2, 3])
def test_who_has_passed_is_asked_again_only_where_rounding_may_have_reached_further(
    monkeypatch, rounding
):
    def hides(state):
        state.hidden[1] = True
        state.seen[0][0] -= 2

    state = searching(within=[("c", "d")], hidden="ac", rounding=rounding, a=3, b=6, c=3, d=6)
    narrow, wide, shown = (3, 3), (1, 6), (6, 6)
    first = [narrow, shown, wide, shown, (1, 9)]
    told = Scripted(monkeypatch, state, first, [wide, wide, wide, shown, (1, 9)], hides=hides)
    state.close()
    assert told.asked == [(complementary.COARSE,), 0]
    everyone = [5, 5, 5, -INF, 5]
    later = [[5, 5, -INF, -INF, -INF]] + ([everyone] if rounding > 1 else [])
    assert told.enough == [[5, -INF, 5, -INF, 5], *later]
    value = [3, 6, 3, 6, 3]
    moved = value if rounding > 1 else [1, 6, 3, 6, 3]
    assert told.seen == [[value, value]] + [[moved, value]] * len(later)


@pytest.mark.parametrize("rounding", [0, 3])
def test_where_everyone_passes_at_once_nobody_is_asked_again(monkeypatch, rounding):
    state = searching(SUM, hidden="a", rounding=rounding, a=3, b=9, T=12)
    told = Scripted(monkeypatch, state, [(0.6, 6.3), (9, 9), (12, 12)])  # 1 to 6 is just enough
    state.close()
    assert told.asked == [(8,)] and told.enough == [[5, -INF, -INF]]


def test_the_smallest_cell_is_helped_first_and_who_is_seen_to_be_safe_by_then_not_at_all(
    monkeypatch,
):
    def hides(state):
        state.seen[0][:] = [7.5, 4, 2, 2]
        state.seen[1][:] = [12.9, 9, 2, 2]  # that is, a of 8 to 12 and b of 4 to 9

    state = searching(hidden="abcd", a=8, b=4, c=2, d=2)
    told = Scripted(monkeypatch, state, [(9, 9)] * 4, [(1, 9)] * 4, hides=hides)
    state.close()
    assert told.asked == [(8,), 2, 3, 0]
    assert told.enough == [[5] * 4] * 2, "who was short is looked at again"


def test_what_is_never_safe_is_not_published(monkeypatch):
    state = searching(SUM, hidden="a", a=3, b=9, T=12)
    told = Scripted(monkeypatch, state, [(3, 3), (9, 9), (12, 12)])
    with pytest.raises(KokeiluError, match="publish fewer totals"):
        state.close()
    assert len(told.enough) == complementary.ROUNDS


# Who tells what of whom.


def test_links_that_hold_some_cells_and_links_among_the_free_ones():
    links = links_of([[1, -1, 0], [0, 1, 1], [0, 0, 1]], [0, 2, -3], [INF, 4, 5])
    holding = linked_cells.holding(links, np.array([True, True, False]))
    assert holding.tolist() == [True, True, False]
    part = linked_cells.among(links, np.array([True, False, True]), np.array([7.0, 2, 9]))
    assert part.matrix.toarray().tolist() == [[1, 0], [0, 1], [0, 1]]
    assert lists(part.low, part.high) == [[2, 0, -3], [INF, 2, 5]]


def test_each_link_says_of_each_cell_what_the_others_leave():
    # 2 <= a - b <= 7, and b + d <= 9; c stands nowhere
    links = links_of([[1, -1, 0, 0], [0, 1, 0, 1]], [2, -INF], [7, 9])
    sent = linked_cells.Sent(links)
    assert lists(sent.cells, sent.starts, sent.cell, sent.row) == [
        [0, 1, 3], [0, 1, 3], [0, 1, 1, 3], [0, 0, 1, 1]
    ]  # fmt: skip
    low, high = sent.ends(np.array([0.0, 1, 0, 3]), np.array([10.0, 4, 9, 6]))
    assert low.tolist() == [2 + 1, 0 - 7, -INF, -INF]
    assert high.tolist() == [7 + 4, 10 - 2, 9 - 3, 9 - 1]


def test_ends_travel_one_link_in_each_sweep_and_stop_where_they_cross():
    steps = links_of([[1, -1, 0], [0, 1, -1]], [0, 0], [0, 0])
    low, high = np.zeros(3), np.array([1.0, 9, 9])
    assert lists(*linked_cells.tightened(steps, low, high, 1)) == [[0, 0, 0], [1, 1, 9]]
    assert lists(*linked_cells.tightened(steps, low, high, 2)) == [[0, 0, 0], [1, 1, 1]]
    # a is b and one more than b: both ends move on until they meet, and no further
    torn = links_of([[1, -1, 0], [1, -1, 0]], [0, 1], [0, 1])
    crossed = linked_cells.tightened(torn, np.zeros(3), np.full(3, 3.0))
    assert lists(*crossed) == [[2, 2, 0], [1, 1, 3]]
    none = links_of(np.zeros((0, 2)), [], [])
    assert lists(*linked_cells.tightened(none, np.zeros(2), np.ones(2))) == [[0, 0], [1, 1]]


@pytest.mark.parametrize(
    ("low", "high", "sweeps"),
    [([0, 0, 0], [1, 9, 9], 3), ([7, 0, 0], [9, 9, 9], 3), ([1, 1, 1], [4, 4, 4], 1)],
)
def test_ends_stop_travelling_when_nothing_moves_and_leave_what_was_given(
    monkeypatch, low, high, sweeps
):
    sent, ends = [], linked_cells.Sent.ends
    monkeypatch.setattr(linked_cells.Sent, "ends", lambda *of: sent.append(1) or ends(*of))
    given = np.array(low, dtype=float), np.array(high, dtype=float)
    equal = links_of([[1, -1, 0], [0, 1, -1]], [0, 0], [0, 0])
    assert lists(*linked_cells.tightened(equal, *given)) == [[max(low)] * 3, [min(high)] * 3]
    assert lists(*given) == [low, high] and len(sent) == sweeps


@pytest.mark.parametrize(
    ("low", "high", "broken"),
    [
        (0, 9, False),
        (-9, 0, False),
        (3, 9, False),
        (-9, -1, False),
        (4, 9, True),
        (-9, -2, True),
        (3 + 5e-8, 9, False),
        (-9, -1 - 5e-8, False),
        (3 + 2e-7, 9, True),
        (-9, -1 - 2e-7, True),
    ],
)
def test_a_link_is_broken_only_by_more_than_rounding(low, high, broken):
    links = links_of([[1, -1]], [low], [high])
    found = linked_cells.broken(links, np.array([1.0, 1]), np.array([4.0, 2]))  # from -1 to 3
    assert found.tolist() == [broken]


def test_an_end_within_a_millionth_of_a_whole_number_is_that_number():
    low, high = np.array([1, 1 + 0.95e-6, 1 + 1.05e-6]), np.array([9, 9 - 0.95e-6, 9 - 1.05e-6])
    assert lists(*linked_cells.inwards(low, high)) == [[1, 1, 2], [9, 9, 8]]


@pytest.mark.parametrize("index", [range(6), range(6, 0, -1), list("cbazyx")])
def test_links_know_cells_by_their_place_in_the_table_whatever_its_index(index):
    rows = [(k, m) for m in (1, 2) for k in ("stock", "in", "out")]
    cells = pd.DataFrame(rows, columns=["measure", "month"], index=index)
    sums = {"measure": [("stock", ["in", "out"])]}
    links = linked_cells.build(cells, sums, {}, [("stock", "in", "out")])
    assert links.matrix.toarray().tolist() == [
        [1, -1, -1, 0, 0, 0],
        [0, 0, 0, 1, -1, -1],
        [-1, 0, 0, 1, -1, 1],
    ]


CIRCLE = [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]]  # two rows and two columns


def test_only_links_in_a_circle_are_solved_and_each_circle_by_itself():
    rows = np.zeros((12, 12))
    rows[:4, :4] = CIRCLE
    rows[4, [4, 5]] = 1  # a tree
    rows[5:9, 6:10] = CIRCLE
    rows[9, 0] = 1  # one open cell alone
    rows[10, [1, 2]] = 1  # holds whatever its cells are, if only just
    rows[11, [3, 10]] = 1  # beside a cell that is fixed
    low, upper = np.zeros(12), np.full(12, 5.0)
    low[10] = upper[10] = 1
    upper[0] = 8
    most, least = np.full(12, 6.0), np.full(12, 2.0)
    most[[10, 11]], least[10] = 10, 0
    none = np.full(12, INF)
    circles = [[[0, 1, 2, 3], [0, 1, 2, 3]], [[5, 6, 7, 8], [6, 7, 8, 9]]]
    for ends, expected in (
        ((-none, most), circles),
        ((least, none), circles),
        ((-none, np.where(most == 10, 5, most)), [[[0, 1, 2, 3, 10], [0, 1, 2, 3]], circles[1]]),
        ((-none, most + 99), []),
    ):
        parts = linked_cells._cycles(links_of(rows, *ends), low, upper)
        assert sorted(lists(*part) for part in parts) == expected


def test_parts_are_solved_together_until_they_have_enough_cells():
    parts = [(range(9), range(size)) for size in (1, 3, 1, 1, 3, 1, 2)]
    batches = linked_cells._batches(parts, 5)
    assert [[len(cells) for _, cells in some] for some in batches] == [[1, 3, 1]] * 2 + [[2]]
    assert list(linked_cells._batches(parts[:3], 5)) == [parts[:3]]


# The ends in a circle.


def search(links=None, low=(), high=(), enough=None, least=None, most=None):
    size = len(low)
    ends = [np.array(end, dtype=float) for end in (low, high)]
    enough = np.full(size, INF) if enough is None else np.array(enough, dtype=float)
    least = np.full(size, INF) if least is None else np.array(least, dtype=float)
    most = np.full(size, -INF) if most is None else np.array(most, dtype=float)
    return linked_cells._Search(links, *ends, enough, least, most)


def test_an_end_matters_until_it_is_seen_or_the_range_is_wide_enough():
    cases = [  # enough, least, most, whether an end is open: the interval is 0 to 9
        (INF, INF, -INF, True),
        (INF, 0, 9, False),
        (INF, 0, 8, True),
        (INF, 1, 9, True),
        (5, 1, 6, False),
        (5, 1, 5, True),
        (5, 0.5, 5.9, True),  # one to five
        (5, 1 + 1e-9, 6 - 1e-9, False),
        (-INF, INF, -INF, False),
    ]
    enough, least, most, expected = map(list, zip(*cases, strict=True))
    size = len(cases)
    looked = search(None, [0] * size, [9] * size, enough, least, most)
    assert looked._open(np.arange(size)).tolist() == expected
    assert looked._open(np.array([3, 1])).tolist() == [True, False]


def test_a_programme_holds_the_other_cells_of_its_links_fixed():
    links = links_of([[1, 1, -1, 0], [0, 0, 1, 1]], [1, -INF], [4, 8])
    looked = search(links, [0, 2, 0, 5], [9, 2, 7, 5])
    programme, column = looked._program(np.array([0, 1]), np.array([0, 2]))
    assert lists(column, programme.lower, programme.upper) == [[0, 1], [0, 0], [9, 7]]
    assert programme.minimise(column, [1, -1])[0] == pytest.approx(1 - 2)
    assert programme.minimise(column, [-1, 1])[0] == pytest.approx(-(4 - 2))
    assert programme.minimise(column, [0, -1])[0] == pytest.approx(-(8 - 5))


def test_open_cells_are_asked_together_in_one_direction_and_its_opposite():
    looked, asked = search(links_of(CIRCLE, [5] * 4, [5] * 4), [0] * 4, [5] * 4), []
    looked.least[1], looked.most[1] = 0, 5  # seen already
    looked._ask = lambda _, columns, direction, members: asked.append((columns, direction))
    every = np.arange(4)
    for seed in range(40):
        looked._both_ways(every, every, np.random.default_rng(seed))
    assert all(columns.tolist() == [0, 2, 3] for columns, _ in asked)
    directions = np.array([direction for _, direction in asked])
    assert (directions[::2] == -directions[1::2]).all()
    assert {*directions.ravel()} == {-1, 1} and len({*map(tuple, directions[::2])}) == 8


def test_one_cell_after_the_other_is_asked_for_the_ends_that_are_not_seen():
    looked, asked = search(links_of(CIRCLE, [5] * 4, [5] * 4), [0] * 4, [5] * 4), []
    looked.least[:] = [1, 0, 1, 0]
    looked.most[:] = [4, 4, 5, 5]
    looked.enough[2] = 4  # wide enough as it is

    def answer(_, columns, direction, members):
        asked.append((*columns, *direction))
        return direction[0] * (2.0 if direction[0] > 0 else 3.0)

    looked._ask = answer
    looked._one_by_one(np.arange(4), np.arange(4))
    assert asked == [(0, 1), (0, -1), (1, -1)]
    assert lists(looked.least, looked.most) == [[2, 0, 1, 0], [3, 3, 5, 5]]


def test_a_cell_that_is_wide_enough_after_its_first_end_is_not_asked_for_the_other():
    looked, asked = search(links_of(CIRCLE, [5] * 4, [5] * 4), [0] * 4, [5] * 4, [3] * 4), []
    looked.least[:], looked.most[:] = 2, 4

    def answer(_, columns, direction, members):
        asked.append((*columns, *direction))
        return 1.0

    looked._ask = answer
    looked._one_by_one(np.arange(4), np.arange(4))
    assert asked == [(0, 1), (1, 1), (2, 1), (3, 1)]


@pytest.mark.parametrize(
    ("circles", "closed", "together"),
    [
        (1, 0, []),  # four open cells: one by one
        (2, 0, [8]),  # eight, and a look at all of them shows nothing new
        (5, 6, [20, 16, 8]),  # twenty, fourteen, eight, two; a circle without any is left out
        (5, 5, [20]),  # fifteen of twenty are too many to go on
    ],
)
def test_many_open_cells_are_asked_together_while_that_helps(circles, closed, together):
    rows = np.pad(np.kron(np.eye(circles), CIRCLE), ((0, 0), (4, 0)))  # four cells in no link
    links = links_of(rows, [5] * len(rows), [5] * len(rows))
    looked, asked = search(links, np.zeros(rows.shape[1]), np.full(rows.shape[1], 5)), []

    def both_ways(rows, members, random):
        still = members[looked._open(members)][:closed]
        looked.least[still], looked.most[still] = 0, 5
        asked.append(len(members))
        assert len(rows) == len(members)

    left = []
    looked._both_ways = both_ways
    looked._one_by_one = lambda rows, members: left.extend(members)
    looked.close()
    assert asked == together
    assert set(4 + np.flatnonzero(looked._open(np.arange(4, rows.shape[1])))) <= set(left)


def test_five_open_cells_are_asked_one_by_one_and_six_together():
    for open_, together in ((5, False), (6, True)):
        links = links_of(np.kron(np.eye(2), CIRCLE), [5] * 8, [5] * 8)
        looked, asked = search(links, [0] * 8, [5] * 8), []
        looked.least[open_:], looked.most[open_:] = 0, 5
        looked._both_ways = lambda *of, asked=asked: asked.append(of)
        looked._one_by_one = lambda *of: None
        looked.close()
        assert bool(asked) == together


def test_an_optimum_shows_something_of_all_its_cells():
    looked = search(None, [0, 0, 0], [9, 9, 9], least=[INF, 3, INF], most=[-INF, 3, -INF])
    programme = SimpleNamespace(minimise=lambda columns, direction: (7.0, np.array([4.0, 2])))
    assert looked._ask(programme, [0], [1.0], np.array([0, 1])) == 7
    assert lists(looked.least, looked.most) == [[4, 2, INF], [4, 3, -INF]]
    programme.minimise = lambda columns, direction: None
    with pytest.raises(KokeiluError, match="nothing fits"):
        looked._ask(programme, [0], [1.0], np.array([0, 1]))


@pytest.mark.parametrize(
    ("rows", "low", "high", "said"),
    [
        ([[1, 0, 0, 0]], 0, 3, "a total is not its parts"),
        ([[0, 1, 1, 0]], 30, 40, "no values fit all links"),
        ([[0, 1, -1, 0], [0, 1, -1, 0]], [0, 0.01], [0, 0.01], "nothing fits"),
    ],
)
def test_a_contradiction_is_said_wherever_it_shows(rows, low, high, said):
    links = links_of(rows, np.broadcast_to(low, len(rows)), np.broadcast_to(high, len(rows)))
    with pytest.raises(KokeiluError, match=said):
        linked_cells.ranges(links, [5, 0, 0, 0], [5, 9, 9, 9])  # the last cell has no part in it


def test_ranges_leave_what_they_were_given_and_add_what_they_saw():
    links = links_of(CIRCLE, [5, 5, 6, 4], [5, 5, 6, 4])
    low, high = np.zeros(4), np.full(4, 9.0)
    seen = np.array([2.0, 3, 4, 1]), np.array([2.0, 3, 4, 1])
    found = linked_cells.ranges(links, low, high, seen=seen)
    assert lists(*found) == lists(*seen) == [[1, 0, 1, 0], [5, 4, 5, 4]]
    assert low.tolist() == [0] * 4 and high.tolist() == [9] * 4


def test_ranges_that_are_seen_to_be_wide_enough_are_left_as_they_are_seen():
    links = links_of(CIRCLE, [5, 5, 6, 4], [5, 5, 6, 4])
    seen = np.array([2.0, 2, 3, 1]), np.array([3.0, 3, 4, 2])
    found = linked_cells.ranges(links, np.zeros(4), np.full(4, 9.0), np.ones(4), seen)
    assert lists(*found) == lists(*seen) == [[2, 2, 3, 1], [3, 3, 4, 2]]


# Many at once.


def test_links_give_away_what_they_leave_too_little_of():
    sums = [*SUM, ("U", ["c", "d"]), ("V", ["e", "f"])]
    counts = dict(a=3, b=8, T=11, c=3, d=4, U=7, e=1, f=3, V=4)
    short, row, cell, taken = crowded._given_away(searching(sums, hidden="acdef", **counts))
    # of the hidden ones: c and d are 1 to 6, which is just enough; e and f are 1 to 3
    assert short.tolist() == [True, False, False, True, True]
    assert lists(row, cell, taken) == [[0, 2, 2], [0, 6, 7], [2 + 7, 7, 7]]


def test_a_link_tells_as_much_as_it_takes_off_an_interval_at_either_end():
    counts = dict(a=18, b=8, T=26, least=12, most=23, c=12, d=8, U=20, top=18)
    within = [("least", "a"), ("a", "most"), ("c", "top")]
    state = searching([*SUM, ("U", ["c", "d"])], within, hidden="ac", **counts)  # both 10 to 20
    _, _, cell, taken = crowded._given_away(state)
    told = sorted(zip(cell.tolist(), taken.tolist(), strict=True))
    assert told == [(0, 2), (0, 10), (5, 2), (5, 10)], "at most 23 is nothing new"


TWO = [*SUM, ("U", ["a", "c"])]
COUNTS = dict(a=3, b=9, c=30, T=12, U=33)


def test_the_cheapest_cell_of_the_link_that_tells_most_is_hidden_for_all_at_once():
    def hides(taken, marks=None, hidden="a"):
        state = searching(TWO, hidden=hidden, marks=marks, **COUNTS)
        ask = np.array([0, 1]), np.array([0, 0]), np.array(taken)
        helped = crowded._cheapest(state, *ask, state.costs[-1])
        return helped.tolist(), "".join(np.array([*COUNTS])[state.hidden])

    assert hides([2.0, 5.0]) == ([0], "ac")
    assert hides([5.0, 2.0]) == ([0], "ab")
    assert hides([5.0, 5.0]) == ([0], "ab"), "b is cheaper"
    assert hides([2.0, 5.0], {"fixed": "cU"}) == ([0], "ab"), "the other link helps as well"
    assert hides([2.0, 5.0], {"fixed": "bcTU"}) == ([], "a")
    assert hides([2.0, 5.0], hidden="ac") == ([0], "acU"), "what is hidden helps no more"


def test_intervals_grow_where_nobody_was_helped_and_only_there():
    sums = [*SUM, ("U", ["c", "d"])]
    counts = dict(a=3, b=9, T=12, c=3, d=9, U=12)
    state = searching(sums, hidden="acd", marks={"fixed": "U"}, **counts)
    ask = np.array([0, 1, 1]), np.array([0, 3, 4]), np.array([9.0, 5, 5])
    assert crowded._hide_more(state, *ask, 8) is True
    assert state.hidden.tolist() == [True, True, False, True, True, False]
    assert state.step.tolist() == [10, 10, 10, 20, 20, 10]
    for step in (40, 40):
        done = crowded._hide_more(state, *(of[1:] for of in ask), 8)
        assert state.step.tolist() == [10, 10, 10, step, step, 10]
    assert done is False, "eight times the need is enough"


def test_no_interval_grows_beside_a_cell_that_is_helped_elsewhere():
    state = searching(TWO, hidden="ac", marks={"fixed": "U"}, **COUNTS)
    ask = np.array([0, 1, 1]), np.array([0, 0, 2]), np.array([5.0, 5, 5])
    assert crowded._hide_more(state, *ask, 8) is True
    assert state.hidden.tolist() == [True, True, True, False, False]
    assert state.step.tolist() == [10] * 5


def test_what_is_kept_is_hidden_at_once_when_no_interval_may_grow():
    state = searching(SUM, hidden="a", marks={"kept": "bT"}, a=3, b=9, T=12)
    ask = np.array([0]), np.array([0]), np.array([9.0])
    assert crowded._hide_more(state, *ask, 8) is True and state.hidden.sum() == 1
    state.step[0] = 40
    assert crowded._hide_more(state, *ask, 8) is True
    assert state.hidden.tolist() == [True, True, False]
    counts = dict(a=3, b=9, T=12, elsewhere=50)
    stuck = searching(SUM, hidden="a", marks={"fixed": "bT", "kept": ["elsewhere"]}, **counts)
    stuck.step[0] = 40
    assert crowded._hide_more(stuck, *ask, 8) is False


@pytest.mark.parametrize(
    ("many", "fixed", "rounds", "hidden"),
    [(1, "", 1, "ab"), (2, "", 0, "a"), (1, "T", 1, "ab"), (1, "bT", 2, "a")],
)
def test_rounds_are_counted_until_nothing_is_given_away_or_nothing_helps(
    monkeypatch, many, fixed, rounds, hidden
):
    monkeypatch.setattr(crowded, "MANY", many)
    state = searching(SUM, hidden="a", marks={"fixed": fixed}, a=3, b=8, T=11)
    assert crowded.hide(state, 8) == rounds
    assert "".join(np.array(["a", "b", "T"])[state.hidden]) == hidden
