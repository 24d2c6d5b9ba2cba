"""The numbers of any figure as a table in the reader's language.

A figure of a shape that the memo knows gets the memo's short table; any other the columns of its
CSV that have a name in the site's texts, values in words. The CSV itself has everything.
"""

import re

import numpy as np

from kokeilu_analysis import paths, results
from kokeilu_analysis.report import figures, memo, memo_tables, numbers, typeset

MOST = 60  # rows; of a longer table every so-manieth is shown, and the note says so
WINDOW = re.compile(r"\d{4}M\d{2}–\d{4}M\d{2}")


def table(figure_id, said, words, folder=paths.FIGURES):
    """Return a figure's numbers as `typeset.table` has them.

    Parameters
    ----------
    figure_id : str
    said : figures.Words
    words : dict
        The ``[data]`` of the site's texts.
    folder : path
        Where the exported figures are.
    """
    drawn = results.read(figures.stem(figure_id), folder)
    if _known(drawn, said):
        return memo_tables.table(figure_id, drawn, said, memo.texts(said.lang)["tables"])
    names = words["columns"]
    columns = [c for c in names if c in drawn.columns] or list(drawn.columns)
    drawn, note = _short(drawn, words, said.lang)
    rows = [
        [_cell(value, column, said, words) for column, value in zip(columns, row, strict=True)]
        for row in drawn[columns].itertuples(index=False)
    ]
    return typeset.table(
        numbers.fill(words["caption"], {"n": figure_id[1:]}, said.lang),
        [names.get(c, c) for c in columns],
        rows,
        "".join("r" if drawn[c].dtype.kind in "if" else "l" for c in columns),
        note,
    )


def _known(drawn, said):
    """Tell whether the memo's tables have this shape and the figure a name for every row of it."""
    named = said.labels.get("rows", {})
    rows = next((drawn[c] for c in ("spec", "outcome") if c in drawn.columns), [])
    shaped = any(columns <= set(drawn.columns) for columns, _ in memo_tables.SHAPES)
    return shaped and all(value in named for value in rows)


def _short(drawn, words, lang):
    if len(drawn) <= MOST or "municipality" in drawn.columns:
        return drawn, words["note"]
    kept = drawn.iloc[np.linspace(0, len(drawn) - 1, MOST).round().astype(int)]
    sizes = {"shown": len(kept), "total": len(drawn)}
    return kept, numbers.fill(words["note_short"], sizes, lang)


def _cell(value, column, said, words):
    """Write a value: numbers in the language, codes in the words of the figure or the site."""
    if isinstance(value, str):
        if WINDOW.fullmatch(value):
            ends = (numbers.month(when, said.lang) for when in memo_tables.window_ends(value))
            return "–".join(ends)
        return _named(value, column, said, words)
    if isinstance(value, bool | np.bool_):
        return words["values"]["is_main"][str(bool(value)).lower()]
    if value == np.inf:
        return "∞"
    return numbers.number(value, 3 if isinstance(value, float) else 0, said.lang)


def _named(value, column, said, words):
    weighting = figures.texts(said.lang)["common"]["weighting"]
    places = [
        words["values"].get(column, {}),
        memo.texts(said.lang)["tables"]["known"] if column == "known" else {},
        weighting if column == "weights" else {},
        said.labels.get("rows", {}),
        said.labels,
        weighting,
    ]
    for place in places:
        if isinstance(place.get(value), str):
            return place[value].replace("-\n", "").replace("\n", " ")
    parts = value.split("/")
    if len(parts) > 1:
        return ", ".join(_named(part, column, said, words) for part in parts)
    return value
