"""What may leave: brings the mathematics of suppression, the panel's links and the gate together.

A panel made from registers is protected before it is written, so that notebooks, tables and figures
are made from what may be published and can tell no more than it does. Before anything reaches
``reports/`` panel, result tables and notebooks are checked once more, and the gate wants the
certificate of that check.
"""

import pandas as pd

from kokeilu_analysis import paths, store

KEYS = ("municipality", "month", "measure")


def protect_panel(panel, kept=(), sums=None, within=None):
    """Return a panel whose register cells may be published, and write the log for the data owner.

    Parameters
    ----------
    panel : DataFrame
        As ``data/processed``; cells whose vintage is no date are counts made from registers.
    kept : sequence of str
        Measures whose cells are hidden to protect others only where nothing else does.
    sums, within : dict, optional
        More links than the panel's description has, of the same form.

    Returns
    -------
    DataFrame
        Hidden cells have no value, an interval and status ``hidden``.

    Raises
    ------
    KokeiluError
        A count is not a whole number, or parts do not fit their total.
    """
    from kokeilu_analysis.methods import suppression
    from kokeilu_analysis.report import disclosure

    limits = disclosure.settings()
    closed = disclosure.register_rows(panel) & (panel["status"] == suppression.OBSERVED)
    days = panel["measure"].isin(links()["days"])
    counted = closed & ~days
    cells = panel.loc[counted, [*KEYS, "value"]]
    cells["kept"] = cells["measure"].isin(kept)
    flows = {measure for _, *parts in links()["flows"] for measure in parts}
    cells["flow"] = cells["measure"].isin(flows)
    safe, log = suppression.protect(cells, spec(limits, sums, within), paths.PANEL.name)
    made = panel.copy()
    parts = ["value", "lower", "upper", "status"]
    made.loc[counted, parts] = safe[parts]
    thin = closed & _thin(made)
    for measure in made.loc[closed & days, "measure"].unique():
        rows = closed & (made["measure"] == measure)
        covered = suppression.cover(made.loc[rows, parts], thin[rows].to_numpy())
        made.loc[rows, parts] = covered
    more = made.loc[thin, list(KEYS)].assign(column="value", rule="days of hidden persons")
    store.write_csv(paths.PROCESSED / disclosure.LOG, disclosure.logged(log, more))
    return made


def _thin(panel):
    """Tell which cells are days of persons whose number is hidden."""
    days = links()["days"]
    at = panel[panel["status"] == "hidden"].set_index(list(KEYS)).index
    own = panel.assign(measure=panel["measure"].map(days)).set_index(list(KEYS)).index
    return pd.Series(panel["measure"].isin(days).to_numpy() & own.isin(at), index=panel.index)


def settle():
    """Check what lies in the data folder and write its certificate; open data need none.

    Returns
    -------
    str
        What was found, in words.

    Raises
    ------
    DisclosureError
        Something there must not leave; the certificate is taken away.
    """
    from kokeilu_analysis.report import disclosure

    if not disclosure.register_input():
        disclosure.withdraw()
        return "not needed: no register input"
    limits = disclosure.settings()
    panel = pd.read_parquet(paths.PANEL)
    known = audit(panel, limits)
    found = [disclosure.panel_findings(panel, known, _thin(panel), limits["minimum"])]
    found += [_result(path, limits["minimum"]) for path in sorted(_results())]
    disclosure.certify(pd.concat(found, ignore_index=True), limits)
    return f"passed; see {disclosure.CHECKED}"


def report():
    """Return what `settle` says as a line of `kokeilu check`; no line for open data."""
    from kokeilu_analysis.report import disclosure

    if not disclosure.register_input():
        return []
    try:
        settle()
    except disclosure.DisclosureError as error:
        return [("disclosure", [str(error)])]
    return [("disclosure", ["right"])]


def audit(panel, limits):
    """Return which hidden register cells of a panel can be worked out."""
    from kokeilu_analysis.methods import suppression
    from kokeilu_analysis.report import disclosure

    # what the open cells of the panel reveal, others have published
    closed = disclosure.register_rows(panel) & ~panel["measure"].isin(links()["days"])
    return suppression.attack(panel[closed], spec(limits), exact=False)


def published(panel, totals=None, sums=None):
    """Return what published totals reveal of the cells that StatFin hides, by measure.

    Parameters
    ----------
    panel : DataFrame
    totals : DataFrame, optional
        More published cells in the panel's columns, such as sub-regions, with their `sums`.
    sums : list, optional
        ``(total, municipalities)``.

    Returns
    -------
    DataFrame
        ``measure, hidden`` (cells), ``narrowed`` (known better than 1-4), ``exact`` (one value
        left); a last row of all.
    """
    from kokeilu_analysis.methods import suppression
    from kokeilu_analysis.report import disclosure

    rows = panel[panel["measure"].isin(counts())]
    limited = spec(disclosure.DEFAULTS, {"municipality": sums} if sums else None)
    found = suppression.attack(rows, limited, totals)
    found = found[found["municipality"].isin(rows["municipality"].unique())]
    found = found.assign(hidden=1, exact=found["attack_low"] == found["attack_high"])
    table = found.groupby("measure")[["hidden", "narrowed", "exact"]].sum()
    table.loc["all"] = table.sum()
    return table.astype(int).reset_index()


def spec(limits, sums=None, within=None):
    """Return the `suppression.Spec` of a panel under these limits, with further links if given."""
    from kokeilu_analysis.methods import suppression

    own = links()
    return suppression.Spec(
        KEYS,
        _joined(own["sums"], sums),
        _joined(own["within"], within),
        tuple(own["flows"]),
        minimum=limits["minimum"],
        rounding=limits["rounding"],
        kept="kept",
        zeros="flow",
    )


def links():
    """Return how the measures of the panel are linked, as its description says."""
    from kokeilu_analysis.sources import datapackage

    return datapackage.resource(paths.PROCESSED, "panel")["links"]


def _joined(own, more):
    return {
        column: [*own.get(column, []), *(more or {}).get(column, [])]
        for column in dict.fromkeys([*own, *(more or {})])
    }


def counts():
    """Return the measures that count persons or vacancies."""
    from kokeilu_analysis.sources import facts

    measures = facts.measures()
    return set(measures.loc[measures["kind"] == "count", "measure"])


def _results():
    return [path for path in paths.RESULTS.glob("*") if path.is_file()]


def _result(path, minimum):
    from kokeilu_analysis.report import disclosure

    name = f"{path.parent.name}/{path.name}"
    if path.suffix != ".csv":
        row = (name, 0, "", "a form that is not checked", "refused")
        return pd.DataFrame([row], columns=disclosure.COLUMNS)
    return disclosure.findings(pd.read_csv(path), name, minimum, _persons())


def _persons():
    from kokeilu_analysis.sources import datapackage

    fields = datapackage.load(paths.PROCESSED).get("columns", {})
    return {name for name, field in fields.items() if field.get("unit") == "persons"}
