"""The numbers of a figure as a table short enough to read: yearly means, groups of areas, rows.

Which table a figure gets follows from the columns of what is drawn, so that a new figure of a
known shape needs nothing here. The full data is the CSV beside the figure.
"""

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.report import numbers, typeset
from kokeilu_analysis.report.marks import window_ends

FEW = 6  # as many area names as fit a cell
FOUND = ("found", "interval")


def table(figure_id, drawn, said, words):
    """Return the table block of a figure.

    Parameters
    ----------
    figure_id : str
    drawn : DataFrame
        What `figures.draw` returned beside the figure.
    said : figures.Words
    words : dict
        Captions and column heads, from the ``[tables]`` of the memo's texts.

    Raises
    ------
    KokeiluError
        The frame has none of the known shapes.
    """
    for columns, make in SHAPES:
        if columns <= set(drawn.columns):
            caption, head, rows, note = make(drawn, said, words)
            caption = numbers.fill(caption, {"n": figure_id[1:]}, said.lang)
            align = "l" + "".join("l" if h == words["basis"] else "r" for h in head[1:])
            return typeset.table(caption, head, rows, align, note)
    raise KokeiluError(
        f"{figure_id}: found columns {', '.join(drawn.columns)}, expected those of a table shape "
        "in memo_tables."
    )


def _by_year(drawn, when):
    return drawn.assign(year=when.dt.year).groupby("year")


def _groups(drawn, said, words):
    """Two groups over time: yearly means and their difference."""
    wide = drawn.pivot(index="month", columns="group", values="mean").reset_index()
    rows = []
    for year, part in _by_year(wide, wide["month"]):
        means = part[["trial", "control"]].mean()
        shown = [means["trial"], means["control"], means["trial"] - means["control"]]
        rows.append([str(year), str(len(part)), *_numbers(shown, said.lang)])
    keys = ("year", "months", "trial", "control", "difference")
    return words["yearly"], [words[k] for k in keys], rows, words["yearly_note"]


def _gap(drawn, said, words):
    """A gap over time: yearly mean, lowest and highest month."""
    import pandas as pd

    rows = []
    when = pd.to_datetime(drawn["post"], format="%YM%m")
    for year, part in _by_year(drawn, when):
        gap = part["estimate"]
        shown = _numbers([gap.mean(), gap.min(), gap.max()], said.lang)
        rows.append([str(year), str(len(part)), *shown])
    keys = ("year", "months", "mean", "lowest", "highest")
    return words["yearly"], [words[k] for k in keys], rows, words["yearly_note"]


def _series(drawn, said, words):
    """Series with bounds over time: yearly means of both ends."""
    names = list(dict.fromkeys(drawn["series"]))
    rows = []
    for year, part in _by_year(drawn, drawn["month"]):
        ends = part.groupby("series")[["bound_low", "bound_high"]].mean()
        shown = [numbers.interval(*ends.loc[name], 1, said.lang) for name in names]
        rows.append([str(year), str(part["month"].nunique()), *shown])
    head = [words["year"], words["months"], *(said(name) for name in names)]
    return words["yearly"], head, rows, words["yearly_note"]


def _areas(drawn, said, words):
    """Ranges of areas: those with the same range share a row."""
    name = "area_name_sv" if said.lang == "sv" else "area_name_fi"
    rows = []
    for (known, low, high), part in drawn.groupby(["known", "bound_low", "bound_high"], sort=False):
        names = ", ".join(part[name]) if len(part) <= FEW else words["many_areas"]
        span = numbers.interval(100 * low, 100 * high, 1, said.lang)
        rows.append([names, words["known"][known], str(len(part)), span])
    keys = ("areas", "basis", "count", "backlog")
    return words["grouped"], [words[k] for k in keys], rows, words["grouped_note"]


def _outcomes(drawn, said, words):
    """Several outcomes and periods; hidden cells leave bounds instead of an estimate."""
    labels, rows = said.labels["rows"], []
    for row in drawn.itertuples():
        first, last = (numbers.month(when, said.lang) for when in window_ends(row.post))
        label = f"{_plain(labels[row.outcome])}, {first}–{last}"
        rows.append([label, *_found(row, said.lang)])
    return words["rows"], [words[k] for k in ("outcome", *FOUND)], rows, _note(drawn, words)


def _forest(drawn, said, words):
    """Estimates or bounds, one row a choice."""
    labels = said.labels["rows"]
    rows = [[_plain(labels[r.spec]), *_found(r, said.lang)] for r in drawn.itertuples()]
    return words["rows"], [words[k] for k in ("choice", *FOUND)], rows, _note(drawn, words)


def _note(drawn, words):
    return words["found_note"] if drawn["estimate"].isna().any() else ""


def _found(row, lang):
    """Estimate, or bounds where there is none; and the interval around either."""
    bounded = row.estimate != row.estimate
    found = numbers.number(row.estimate, 1, lang)
    if bounded:
        found = numbers.interval(row.bound_low, row.bound_high, 1, lang)
    return [found, numbers.interval(row.ci_low, row.ci_high, 1, lang)]


def _plain(label):
    """A label without the line breaks that the figure needs."""
    return label.replace("-\n", "").replace("\n", " ")


def _numbers(values, lang):
    return [numbers.number(v, 1, lang) for v in values]


SHAPES = [
    ({"month", "group", "mean"}, _groups),
    ({"post", "event_month", "estimate"}, _gap),
    ({"month", "series", "bound_low", "bound_high"}, _series),
    ({"known", "bound_low", "bound_high", "area_name_fi", "area_name_sv"}, _areas),
    ({"outcome", "post", "estimate", "ci_low", "ci_high", "bound_low"}, _outcomes),
    ({"spec", "estimate", "ci_low", "ci_high"}, _forest),
]
