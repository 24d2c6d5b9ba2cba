"""What may leave: brings the mathematics of suppression, the panel's links and the gate together.

A panel made from registers is protected before it is written, so that notebooks, tables and figures
are made from what may be published and can tell no more than it does. Before anything reaches
``reports/`` panel, result tables and notebooks are checked once more, and the gate wants the
certificate of that check.
"""

import functools

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
    suppression.dominance_rule(limits["dominance"])  # not understood: said before minutes of work
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
    why = days_to_hide(made, limits["dominance"])
    for measure in made.loc[why.index, "measure"].unique():
        rows = why.index[made.loc[why.index, "measure"] == measure]
        made.loc[rows, parts] = suppression.cover(
            made.loc[rows, parts], (why[rows] != "").to_numpy()
        )
    why = why[why != ""]
    more = made.loc[why.index, list(KEYS)].assign(column="value", rule=why)
    store.write_csv(paths.PROCESSED / disclosure.LOG, disclosure.logged(log, more))
    return made


def days_to_hide(panel, dominance=()):
    """Return the rule by which each cell of days must not be shown; empty where it may be.

    Parameters
    ----------
    panel : DataFrame
        Counts of persons are protected already. Cells of published table states are left out.
    dominance : (n, k) or ()
        As in ``[disclosure]`` of study.toml.

    Returns
    -------
    Series of str
        Of the cells of days alone: empty, ``days of hidden persons`` or ``dominance (n, k)``.

    Raises
    ------
    KokeiluError
        The rule is not understood.
    """
    from kokeilu_analysis.methods import suppression
    from kokeilu_analysis.report import disclosure
    from kokeilu_analysis.sources import register_rules

    rule, longest = suppression.dominance_rule(dominance), register_rules.LONGEST_DAYS
    days, at = links()["days"], list(KEYS)
    cells = panel.set_index(at)
    made = disclosure.register_rows(panel) & panel["status"].isin(["observed", "hidden"])
    rows = panel[panel["measure"].isin(days) & made]
    of = pd.MultiIndex.from_frame(rows.assign(measure=rows["measure"].map(days))[at])
    persons = pd.Series(cells["value"].reindex(of).to_numpy(), index=rows.index)
    hidden = (cells["status"].reindex(of) == "hidden").to_numpy()
    why = pd.Series("", index=rows.index, dtype=object).mask(hidden, "days of hidden persons")
    if not rule:
        return why
    said = f"dominance ({rule[0]}, {rule[1]:g})"
    dominated = suppression.may_dominate(rows["value"], persons, longest, rule)
    why = why.mask((why == "") & dominated & (rows["status"] != "hidden"), said)
    # the whole less a part is shown as well where both are
    shown = rows.assign(persons=persons, cell=rows.index)[
        (why == "") & (rows["status"] != "hidden")
    ]
    for part, whole in _parts_of_days():
        both = shown[shown["measure"] == whole].merge(
            shown[shown["measure"] == part], on=["municipality", "month"], suffixes=("", "_part")
        )
        rest = (both[c] - both[f"{c}_part"] for c in ("value", "persons"))
        why[both.loc[suppression.may_dominate(*rest, longest, rule), "cell_part"]] = said
    return why


def _parts_of_days():
    """Return the measures of days whose persons are a part of those of other days."""
    own = links()
    of = {persons: days for days, persons in own["days"].items()}
    return [(of[a], of[b]) for a, b in own["within"]["measure"] if a in of and b in of]


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
    known = _audited(store.sha256(paths.PANEL), tuple(limits.items()))
    days = days_to_hide(panel, limits["dominance"])
    found = [disclosure.panel_findings(panel, known, days, limits["minimum"])]
    found += [_result(path, limits["minimum"]) for path in sorted(_results())]
    disclosure.certify(pd.concat(found, ignore_index=True), limits)
    return f"passed; see {disclosure.CHECKED}"


@functools.lru_cache(maxsize=1)
def _audited(checksum, limits):
    """Audit the panel of this checksum; once, though a run settles before it exports and after."""
    panel = pd.read_parquet(paths.PANEL)
    return audit(panel, dict(limits))


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
