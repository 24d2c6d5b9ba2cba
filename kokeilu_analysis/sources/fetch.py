"""Read a whole state of table 12r5 from the interface: what to ask, in which pieces, put together.

Nothing is taken for granted about names: the table is found by a list of aliases, its variables by
the part they play, and the pieces are put together by their codes.
"""

import itertools
import re
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.sources import jsonstat
from kokeilu_analysis.sources.pxweb import FetchError, Limits, TooLarge
from kokeilu_analysis.sources.statfin import AREA_PATTERN, CUBE, MONTH_PATTERN

TABLES = ("12r5.px", "statfin_tyonv_pxt_12r5.px")  # names since and before 8 June 2026
ROUNDS = 3  # a table that is updated while it is read is read again this often


@dataclass(frozen=True)
class Piece:
    """What one call asks for: lists of codes; None is everything, where the server tells no codes.

    >>> Piece(("SSS", "KU091"), ("2021M03",), ("TYOTTOMATLOPUSSA",)).cells
    2
    """

    areas: tuple | None
    months: tuple
    measures: tuple | None

    @property
    def cells(self):
        """Number of cells; a list that the server does not tell counts as one."""
        return len(self.areas or "1") * len(self.months) * len(self.measures or "1")

    @property
    def values(self):
        """Number of values that are named."""
        return len(self.areas or "1") + len(self.months) + len(self.measures or "1")

    @property
    def text(self):
        """The piece in words."""
        first, last = self.months[0], self.months[-1]
        return f"{first if first == last else f'{first}–{last}'}, {self.cells:,} cells"

    def parts(self, count):
        """Return the piece cut into `count` or fewer pieces: by months, areas, then measures."""
        for name in ("months", "areas", "measures"):
            codes = getattr(self, name)
            if codes and len(codes) > 1:
                size = -(-len(codes) // count)
                return [replace(self, **{name: part}) for part in _batches(codes, size)]
        return [self]

    def fitting(self, cells, values):
        """Return the piece cut up until no part has more than so many cells and values."""
        if self.cells <= cells and self.values <= values:
            return [self]
        smaller = self.parts(2)
        if len(smaller) == 1:
            return smaller  # a single cell; the server must say itself that it is too much
        return [p for part in smaller for p in part.fitting(cells, values)]


@dataclass(frozen=True)
class Plan:
    """What is asked: table, variable of each role, codes, limits, and remarks on what is not."""

    table: str
    state: str
    variables: dict
    whole: Piece
    limits: Limits
    notes: tuple = ()

    @property
    def pieces(self):
        """The whole cut into calls: as many whole months a call as the limits allow."""
        one = replace(self.whole, months=self.whole.months[:1])
        months = min(self.limits.cells // one.cells, self.limits.values - one.values + 1)
        blocks = _batches(self.whole.months, max(1, months))
        return [
            piece
            for block in blocks
            for piece in replace(self.whole, months=block).fitting(
                self.limits.cells, self.limits.values
            )
        ]

    def lines(self, address):
        """Return in words what is asked of which address."""
        counts = [
            f"{len(codes):,} {what}" if codes else f"all {what}"
            for what, codes in (
                ("areas", self.whole.areas),
                ("months", self.whole.months),
                ("measures", self.whole.measures),
            )
        ]
        pieces, limits = self.pieces, self.limits
        yield f"{address}: {' × '.join(counts)} = {self.whole.cells:,} cells."
        yield (
            f"{len(pieces)} calls within the server's limits ({limits.cells:,} cells a call, "
            f"{limits.calls} calls in {limits.window:g} s):"
        )
        yield from (f"  {at}. {piece.text}" for at, piece in enumerate(pieces, 1))
        yield from self.notes

    def query(self, piece):
        """Return the selections of a piece as the interface wants them."""
        codes = dict(zip(CUBE, (piece.areas, piece.months, piece.measures), strict=True))
        return [
            {
                "code": self.variables[role],
                "selection": {"filter": "item", "values": list(codes[role])}
                if codes[role]
                else {"filter": "all", "values": ["*"]},
            }
            for role in CUBE
        ]


def plan(client, known, first=None, last=None, table=None):
    """Ask the server for limits and metadata and decide what to ask of the table.

    Parameters
    ----------
    client : pxweb.Client
    known : iterable of str
        Source codes of the measures that the study knows.
    first, last : str, optional
        Months such as ``2021M03``; by default all of the table.
    table : str, optional
        Name of the table, if it has none of `TABLES`.

    Returns
    -------
    Plan

    Raises
    ------
    FetchError, DataError
    """
    limits = client.limits()
    listed = client.tables()
    # where the list has one of the names, that one; without a list each is tried
    names = [table] if table else [n for n in TABLES if n in listed] or TABLES
    for name in names:
        try:
            variables = client.metadata(name)
            break
        except FetchError as error:
            if error.code not in (400, 404) or name == names[-1]:
                if error.code in (400, 404):
                    raise _unknown_table(client, names, listed) from error
                raise
    roles, codes = _roles(variables, list(known), name, (first, last))
    notes, areas, measures = [], codes[CUBE[0]], codes[CUBE[2]]
    if areas:
        areas, other = _split(areas, lambda a: re.fullmatch(AREA_PATTERN, a))
        if other:
            notes.append(f"Areas of other kinds are not asked for: {_some(other)}.")
    if measures:
        measures, other = _split(measures, set(known).__contains__)
        if other:
            notes.append(f"Measures that measures.csv does not know are left out: {_some(other)}.")
        gone = [m for m in known if m not in measures]
        if gone:
            notes.append(f"The table no longer has: {_some(gone)}.")
    months = sorted(codes[CUBE[1]])
    wanted = [m for m in months if (first or m) <= m <= (last or m)]
    if not wanted:
        asked = f"{first or months[0]} to {last or months[-1]}"
        raise DataError(name, f"months {months[0]} to {months[-1]}", f"some of {asked}")
    if (first and first < months[0]) or (last and last > months[-1]):
        notes.append(f"The table has {months[0]} to {months[-1]}; nothing outside is asked for.")
    whole = Piece(areas and tuple(areas), tuple(wanted), measures and tuple(measures))
    # without a time stamp a new state is known by its new month
    state = listed.get(name) or f"until {months[-1]}"
    return Plan(name, state, roles, whole, limits, tuple(notes))


def read(client, make_plan, progress):
    """Ask for every piece of a plan and put the answers together.

    Parameters
    ----------
    client : pxweb.Client
    make_plan : callable
        Returns a `Plan`; called again if the table is updated while it is read.
    progress : object
        Offers ``step(text)``, a context manager around one call, and ``say(text)``.

    Returns
    -------
    jsonstat.Cube
        Dimensions `statfin.CUBE`, codes in order; the same whatever went wrong on the way.
    """
    newest = ""
    for _ in range(ROUNDS):
        drawn = make_plan()
        cubes = _pieces(client, drawn, newest, progress)
        stamps = {c.updated for c in cubes}
        if len(stamps) == 1:
            return _together(cubes, drawn.table)
        newest = max(stamps)
        progress.say(f"The table was updated to {newest} while it was read; it is read again.")
    said = f"the table was updated {ROUNDS} times while it was read"
    raise FetchError(client.address(drawn.table), said)


def _pieces(client, drawn, newest, progress):
    waiting, cubes, limit = deque(drawn.pieces), [], drawn.limits.cells
    number, reused = 0, 0

    def check(cube):
        cube = jsonstat.arranged(cube, [drawn.variables[role] for role in CUBE], "the answer")
        codes = dict(zip(CUBE, cube.codes.values(), strict=True))
        asked = zip(CUBE, (piece.areas, piece.months, piece.measures), strict=True)
        for role, wanted in asked:
            lacking = sorted(set(wanted or ()) - set(codes[role]))
            strange = sorted(set(codes[role]) - set(wanted or codes[role]))
            if lacking or strange:
                found = [f"no {_some(lacking)}"] * bool(lacking)
                found += [_some(strange)] * bool(strange)
                raise DataError("the answer", " but ".join(found), "what was asked for", None, role)
        labels = dict(zip(CUBE, cube.labels.values(), strict=True))
        return replace(cube, codes=codes, labels=labels)

    while waiting:
        piece = waiting.popleft()
        parts = piece.fitting(limit, drawn.limits.values)
        if len(parts) > 1:
            waiting.extendleft(reversed(parts))
            continue
        number += 1
        with progress.step(f"call {number} of {number + len(waiting)}: {piece.text}"):
            try:
                cube, asked = client.data(
                    drawn.table,
                    drawn.query(piece),
                    drawn.state,
                    check,
                    lambda cube: not newest or cube.updated == newest,
                )
            except TooLarge:
                parts = piece.parts(2)
                if len(parts) == 1:
                    raise
                progress.say(
                    f"The server finds {piece.cells:,} cells too many; they are asked in halves."
                )
                limit = min(limit, max(part.cells for part in parts))
                waiting.extendleft(reversed(parts))
                number -= 1
                continue
        cubes.append(cube)
        reused += not asked
    if reused:
        progress.say(
            f"{reused} of {len(cubes)} answers had arrived earlier and were not asked for again."
        )
    return cubes


def _together(cubes, name):
    """Put pieces together by their codes: areas and measures sorted, months in time."""
    codes = {role: sorted({c for cube in cubes for c in cube.codes[role]}) for role in CUBE}
    shape = tuple(len(c) for c in codes.values())
    values, marks = np.full(shape, np.nan), np.full(shape, "", dtype=object)
    filled = np.zeros(shape, dtype=bool)
    labels = {role: {} for role in CUBE}
    for cube in cubes:
        place = {role: {code: at for at, code in enumerate(codes[role])} for role in CUBE}
        at = np.ix_(*([place[role][code] for code in cube.codes[role]] for role in CUBE))
        values[at], marks[at], filled[at] = cube.values, cube.marks, True
        for role in CUBE:
            labels[role] |= cube.labels[role]
    if not filled.all():
        hole = zip(codes.values(), np.argwhere(~filled)[0], strict=True)
        area, month, measure = (listed[at] for listed, at in hole)
        found = f"no {measure} of {area} in {month}"
        raise DataError(name, found, "every area and measure in every piece")
    last = max(cubes, key=lambda cube: cube.codes[CUBE[1]][-1])
    notes = tuple(sorted({note for cube in cubes for note in cube.notes}))
    return jsonstat.Cube(codes, values, marks, labels, last.updated, last.source, notes)


def written(cube):
    """Return the bytes of the table state as a file, and its date ``YYYY-MM-DD``.

    Raises
    ------
    DataError
        The answers do not say when the table was updated.
    """
    date = re.match(r"\d{4}-\d{2}-\d{2}", cube.updated)
    if not date:
        found = f"updated {cube.updated or 'nothing'}"
        raise DataError("the answer", found, "a date such as 2026-08-25", column="updated")
    roles = {"geo": [CUBE[0]], "time": [CUBE[1]], "metric": [CUBE[2]]}
    return jsonstat.write(cube, "StatFin, tyonv, 12r5", roles), date.group()


def _roles(variables, known, table, span):
    """Return {role: variable} and {role: codes or None}, found by what the variables hold."""
    tests = {
        CUBE[1]: lambda v, codes: v.get("time") is True or _all(codes, MONTH_PATTERN),
        CUBE[2]: lambda v, codes: bool(set(codes) & set(known)),
        CUBE[0]: lambda v, codes: any(re.fullmatch("KU[0-9]{3}", c) for c in codes),
    }
    found, spare = {}, list(variables)
    for role, test in tests.items():
        fits = [v for v in spare if test(v, _listed(v))]
        if fits:
            found[role] = fits[0]
            spare.remove(fits[0])
    # a variable with more values than the server lists plays the part that is left over
    silent = [v for v in spare if not _listed(v)]
    for role, variable in zip([r for r in CUBE if r not in found], silent, strict=False):
        found[role] = variable
        spare.remove(variable)
    absent = [role for role in CUBE if role not in found]
    if absent:
        what = dict(
            zip(CUBE, ("areas (KU091 …)", "months", f"measures ({known[0]} …)"), strict=True)
        )
        listed = ", ".join(v["code"] for v in variables)
        raise DataError(table, f"variables {listed}", f"one that holds {what[absent[0]]}")
    for variable in spare:
        if not variable.get("elimination") and len(_listed(variable)) != 1:
            said = f"a further variable {variable['code']} without a total"
            raise DataError(table, said, "areas, months and measures only")
    codes = {role: _listed(found[role]) or None for role in CUBE}
    if codes[CUBE[1]] is None:
        if None in span:
            said = f"no list of the values of {found[CUBE[1]]['code']}"
            raise DataError(table, said, "the months", advice="Say which: --from and --to.")
        codes[CUBE[1]] = _months(*span)
    odd = [code for code in codes[CUBE[1]] if not re.fullmatch(MONTH_PATTERN, code)]
    if odd:
        raise DataError(table, f"{_some(odd)} in {found[CUBE[1]]['code']}", "months like 2021M03")
    return {role: found[role]["code"] for role in CUBE}, codes


def _unknown_table(client, names, listed):
    similar = [name for name in listed if "12r5" in name]
    said = f"none of the names {', '.join(names)} is known there"
    if listed:
        said += f"; its list of {len(listed)} tables has " + (
            ", ".join(similar) if similar else "none with 12r5 in its name"
        )
    return FetchError(client.base, said, "Name the table with --table, or check --base.", 404)


def month_code(text):
    """Return a month given as ``2021-03`` or ``2021M03`` in the table's form.

    >>> month_code("2021-03")
    '2021M03'
    """
    code = text.strip().upper().replace("-", "M")
    if not re.fullmatch(MONTH_PATTERN, code):
        raise KokeiluError(f"{text} is no month; write it as 2021-03.")
    return code


def _months(first, last):
    spans = itertools.product(range(int(first[:4]), int(last[:4]) + 1), range(1, 13))
    codes = [f"{year}M{month:02d}" for year, month in spans]
    return [code for code in codes if first <= code <= last]


def _listed(variable):
    values = variable.get("values")
    return [str(v) for v in values] if isinstance(values, list) else []


def _all(codes, pattern):
    return bool(codes) and all(re.fullmatch(pattern, code) for code in codes)


def _split(codes, test):
    return [c for c in codes if test(c)], [c for c in codes if not test(c)]


def _batches(codes, size):
    return [codes[at : at + size] for at in range(0, len(codes), size)]


def _some(codes):
    return ", ".join(codes[:5]) + (f" and {len(codes) - 5} more" if len(codes) > 5 else "")
