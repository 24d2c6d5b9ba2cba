"""The explorer: every combination of assumptions in words and numbers, ready to be looked up.

Reads the tables ``explorer_grid`` and ``explorer_levels``, writes each result as a page shows it.
The page's script only picks rows; no number is made there.
"""

import json
import math

import pandas as pd

from kokeilu_analysis import paths, results
from kokeilu_analysis.errors import DataError
from kokeilu_analysis.report import numbers

GRID, LEVELS = "explorer_grid", "explorer_levels"
AXES = {  # assumption → control it is moved with; the first value of each is the study's own
    "few": "range",
    "average": "radio",
    "weights": "radio",
    "baseline": "radio",
    "reference": "radio",
    "control": "range",
    "rho": "range",
}
PAIR = ("control", "rho")  # the controls' backlog matters by the share of the slope that is its own
SOLVED = ("few", "average", "weights", "baseline")  # the others decide the level
WIDTH, MARGIN = 1000, 20  # of the bars, in units of the picture


def read(folder=paths.RESULTS):
    """Return the grid, with keys as text, and the levels: (DataFrame, DataFrame).

    Raises
    ------
    DataError
        A combination of assumptions has no row, or a table is missing.
    """
    grid, levels = results.read(GRID, folder), results.read(LEVELS, folder)
    for table in (grid, levels):
        table["level"] = table["level"].map(_text)
    for name in ("reference", "control", "rho"):
        levels[name] = levels[name].map(_text)
    grid["conflict"] = grid["conflict"].fillna("")
    found = set(grid[[*SOLVED, "level"]].itertuples(index=False, name=None))
    expected = pd.MultiIndex.from_product(
        [*(grid[name].unique() for name in SOLVED), levels["level"].unique()]
    )
    missing = [key for key in expected if key not in found]
    if missing:
        raise DataError(
            f"{GRID}.csv",
            f"no row for {' | '.join(missing[0])}",
            f"one for each of {len(expected)} combinations",
            advice="Solve the grid again.",
        )
    return grid, levels


def axes(grid, levels):
    """Return the assumptions in order: name, control, values as text."""
    return [
        {
            "name": name,
            "kind": kind,
            "values": list((grid if name in SOLVED else levels)[name].unique()),
        }
        for name, kind in AXES.items()
    ]


def content(lang, words, folder=paths.RESULTS):
    """Return what the explorer page of a language is filled with.

    Parameters
    ----------
    lang : {"fi", "sv", "en"}
    words : dict
        The ``[explorer]`` of the site's texts.
    folder : path
        Where the result tables are.

    Returns
    -------
    dict
        ``axes``; ``start``, the shown form of the study's own setting; ``main_settings``, one
        assumption changed at a time, as (name, shown form); ``ticks``; and ``grid``, the JSON
        that the script reads.
    """
    grid, levels = read(folder)
    order, scale = axes(grid, levels), _scale(grid)
    rows = {
        "|".join(getattr(row, k) for k in (*SOLVED, "level")): shown(row, scale, words, lang)
        for row in grid.itertuples()
    }
    at = {"|".join((row.reference, row.control, row.rho)): row.level for row in levels.itertuples()}

    def found(state):
        level = at["|".join(state[k] for k in ("reference", "control", "rho"))]
        return rows["|".join([*(state[k] for k in SOLVED), level])]

    own = {axis["name"]: axis["values"][0] for axis in order}
    says = {
        axis["name"]: {v: words["axes"][axis["name"]]["values"][v] for v in axis["values"]}
        for axis in order
    }
    payload = {"axes": list(AXES), "says": says, "levels": at, "rows": rows}
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    low, high = scale
    return {
        "axes": order,
        "start": found(own),
        "main_settings": [(words["own"], found(own)), *_one_changed(order, own, found, words)],
        "ticks": [(_place(x, scale), numbers.number(x, 0, lang)) for x in range(low, high + 1)],
        "grid": text.replace("<", "\\u003c"),  # nothing in it can end the script element
    }


def _one_changed(order, own, found, words):
    """Yield settings that change one assumption; a pair where one alone changes nothing."""
    values = {axis["name"]: axis["values"] for axis in order}
    alone = [{name: v} for name in values if name not in PAIR for v in values[name][1:]]
    control, rho = (values[name] for name in PAIR)
    pairs = [*((c, rho[-1]) for c in control[1:]), *((control[-1], r) for r in rho[1:-1])]
    for change in [*alone, *(dict(zip(PAIR, pair, strict=True)) for pair in pairs)]:
        said = (
            f"{words['axes'][name]['label'].rstrip('?')}: "
            f"{words['axes'][name]['values'][value]['label']}"
            for name, value in change.items()
        )
        yield "; ".join(said), found(own | change)


def shown(row, scale, words, lang):
    """Return a grid row as a page shows it.

    Parameters
    ----------
    row : namedtuple
        A row of the grid.
    scale : (int, int)
        Ends of the axis of the bars, percentage points.
    words : dict
        As in `content`.
    lang : {"fi", "sv", "en"}

    Returns
    -------
    dict
        ``mean, customers, plain, midpoint, bounds, summary`` as text; ``bars``: for each of
        plain, midpoint and bounds left end, width and middle in units of the picture, or None.
    """
    told = {"plain": _estimate(row.estimate, row.ci_low, row.ci_high, lang)}
    bars = {"plain": _bar(row.ci_low, row.ci_high, scale, row.estimate)}
    if row.conflict:
        gone = dict.fromkeys(("mean", "customers", "midpoint", "bounds"), numbers.MISSING)
        bars |= {"midpoint": None, "bounds": None}
        return told | gone | {"summary": words["conflict"], "bars": bars}
    for name, column in (("mean", "mean"), ("customers", "mean_of_customers")):
        low, high = (100 * getattr(row, f"{column}_{end}") for end in ("low", "high"))
        told[name] = numbers.interval(low, high, 1, lang)
        told[name] += "%" if lang == "en" else f"{numbers.NO_BREAK}%"
    told["midpoint"] = _estimate(row.midpoint, row.midpoint_ci_low, row.midpoint_ci_high, lang)
    bars["midpoint"] = _bar(row.midpoint_ci_low, row.midpoint_ci_high, scale, row.midpoint)
    told["bounds"] = numbers.interval(row.bound_low, row.bound_high, 2, lang)
    bars["bounds"] = _bar(row.bound_low, row.bound_high, scale)
    values = {"bounds": told["bounds"], "midpoint": numbers.number(row.midpoint, 2, lang)}
    said = [words["verdict"][numbers.verdict(row.bound_low, row.bound_high)]]
    if not row.sharp:
        said.append(words["wider"])
    told["summary"] = numbers.fill(" ".join(said), values, lang)
    return told | {"bars": bars}


def _estimate(estimate, low, high, lang):
    return f"{numbers.number(estimate, 2, lang)} ({numbers.interval(low, high, 2, lang)})"


def _scale(grid):
    ends = grid[[c for c in grid if c.endswith(("ci_low", "ci_high")) or c.startswith("bound_")]]
    return math.floor(ends.min().min()), math.ceil(ends.max().max())


def _place(value, scale):
    low, high = scale
    return round(MARGIN + WIDTH * (value - low) / (high - low))


def _bar(low, high, scale, middle=None):
    left, right = _place(low, scale), _place(high, scale)
    bar = [left, max(right - left, 2)]
    return bar if middle is None else [*bar, _place(middle, scale)]


def _text(share):
    """Return a share as the key of texts and script: ``0``, ``0.125``."""
    return f"{share:g}"
