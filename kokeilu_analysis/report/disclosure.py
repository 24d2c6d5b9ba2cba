"""The gate: nothing made from registers reaches ``reports/`` without a passed disclosure check.

The check writes a certificate with the SHA-256 of every file that it saw. `require` compares it
with the files that are there; a file that is new, changed or unchecked shuts the gate, and so does
a missing certificate. Open statistics need none.

What a table may show is decided in two places: small cells and their links in
``methods/suppression.py``, before a panel is written; what a finished table or notebook must not
hold, here.
"""

import json
import re
import tomllib
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from kokeilu_analysis import paths, store
from kokeilu_analysis.errors import KokeiluError

PANEL = f"{paths.PROCESSED.name}/{paths.PANEL.name}"  # what the log calls it
CERTIFICATE = "disclosure.json"
LOG = "disclosure_log.csv"  # what was hidden and why: for the owner of the data only
CHECKED = "disclosure_checked.csv"  # every file, and what the check found
WRITTEN = (CERTIFICATE, LOG, CHECKED)
COLUMNS = ["table", "row", "column", "rule", "action"]
DEFAULTS = {"minimum": 5, "rounding": 0, "dominance": ()}
OPEN_VINTAGE = re.compile(r"(\d{4}-\d{2}-\d{2})?")  # the date of a published table state
PERSON = re.compile(
    r"(^|_)(person|people|individual|jobseeker|customer|client|henkilo|asiakas|hakija|spell)"
    r"_?(id|nr|no|number|code|key|tunnus)$|(^|_)(hetu|ssn|pin|birth_?date|date_of_birth|born_on)$",
    re.IGNORECASE,
)
IDENTITY = re.compile(r"\b\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]\b")  # a Finnish personal identity code
EXTREME = re.compile(r"(^|_)(max|min|maximum|minimum|longest|shortest|oldest|youngest)(_|$)")
SIZES = ("n", "n_units", "n_persons", "persons", "count", "cells")
NOTE = "*Output left out: it was made from register data.*"


class DisclosureError(KokeiluError):
    """Something would leave that has not passed the disclosure check."""


def settings(study=None):
    """Return the limits: those of ``[disclosure]`` in ``study.toml``, the usual ones else.

    Returns
    -------
    dict
        ``minimum`` (a cell of fewer persons is hidden), ``rounding`` (base, 0 for none) and
        ``dominance`` (``(n, k)`` or empty).
    """
    given = _study(study).get("disclosure", {})
    unknown = set(given) - set(DEFAULTS)
    if unknown:
        known = ", ".join(DEFAULTS)
        raise KokeiluError(f"study.toml, [disclosure]: found {min(unknown)}, expected {known}.")
    rule = given.get("dominance", [])
    if not isinstance(rule, list) or len(rule) not in (0, 2):
        raise KokeiluError(
            f"study.toml, [disclosure]: found dominance {rule!r}, expected [n, k] or []."
        )
    return DEFAULTS | given | {"dominance": tuple(rule)}


def register_input(study=None, processed=None):
    """Tell whether the study works on registers.

    It does when ``study.toml`` names a source of them, or when the panel holds a cell that no
    published table state gave. A panel that cannot be read counts as one.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    processed = paths.PROCESSED if processed is None else Path(processed)
    if _study(study).get("registers", {}).get("source"):
        return True
    panel = processed / paths.PANEL.name
    if not panel.exists():
        return False
    try:
        vintages = pc.unique(pq.read_table(panel, columns=["vintage"])["vintage"]).to_pylist()
    except Exception:  # whatever it is, it is not a panel of published statistics
        return True
    return not all(isinstance(v, str) and OPEN_VINTAGE.fullmatch(v) for v in vintages)


def from_registers(study=None, processed=None):
    """Tell whether tables in ``data/processed`` may still come from registers.

    A certificate tells of an earlier register run; it is there until the notebooks have been run
    on open data (`release.settle`).
    """
    processed = paths.PROCESSED if processed is None else Path(processed)
    return (processed / CERTIFICATE).exists() or register_input(study, processed)


def findings(frame, name, minimum=DEFAULTS["minimum"], persons=()):
    """Return what a finished table must not show.

    Parameters
    ----------
    frame : DataFrame
    name : str
        What the log calls it.
    minimum : int
        Smallest number of persons that may be shown.
    persons : iterable of str
        Columns that count persons.

    Returns
    -------
    DataFrame
        ``table, row, column, rule, action``; `row` is the line in a CSV, 0 for the column itself.

    Examples
    --------
    >>> findings(pd.DataFrame({"jobseeker_id": [1]}), "a")["rule"].tolist()
    ['person-level column']
    """
    found = []
    for column in map(str, frame.columns):
        if PERSON.search(column):
            found.append((0, column, "person-level column"))
        elif EXTREME.search(column):
            found += _small_groups(frame, column, minimum)
        values = frame[column]
        if values.dtype == object or pd.api.types.is_string_dtype(values):
            codes = values.astype("str").str.contains(IDENTITY)
            found += [(int(at) + 2, column, "personal identity code") for at in _where(codes)]
        elif column in set(persons):
            small = (values > 0) & (values < minimum)
            found += [(int(at) + 2, column, f"minimum {minimum}") for at in _where(small)]
    rows = [(name, row, column, rule, "refused") for row, column, rule in found]
    return pd.DataFrame(rows, columns=COLUMNS)


def _small_groups(frame, column, minimum):
    """An extreme of few persons is one person's value; of an unknown number it may be."""
    sizes = [c for c in SIZES if c in frame]
    if not sizes:
        return [(0, column, "extreme without the size of its group")]
    shown = frame[column].notna() & (frame[sizes].min(axis=1) < minimum)
    return [(int(at) + 2, column, f"extreme of fewer than {minimum}") for at in _where(shown)]


def _where(mask):
    return mask.fillna(False).to_numpy(dtype=bool).nonzero()[0]


def panel_findings(panel, audit, days, minimum=DEFAULTS["minimum"]):
    """Return what a panel must not show: small cells, and hidden ones that can be worked out.

    Parameters
    ----------
    panel : DataFrame
        As in ``data/processed``. Cells of published table states are open already.
    audit : DataFrame
        `suppression.attack` on the cells that are not.
    days : Series of str
        Of the cells of days alone: the rule by which it must not be shown, such as that the number
        of its persons is hidden, or nothing.
    minimum : int
    """
    closed = register_rows(panel)
    rows = panel[closed]
    shown = rows["status"] != "hidden"
    small = rows["value"].between(0, minimum, inclusive="neither")
    small &= ~rows.index.isin(days.index)  # few days are no few persons
    leaked = ~shown & (rows["value"].notna() | (rows["upper"] - rows["lower"] < minimum))
    found = [("value", f"minimum {minimum}", rows[shown & small])]
    found += [("value", "hidden but given away", rows[leaked])]
    own = days.reindex(rows.index)
    found += [("value", rule, rows[shown & (own == rule)]) for rule in sorted({*days} - {""})]
    found += [("lower, upper", "can be worked out", audit[audit["determined"]])]
    empty = pd.DataFrame(columns=COLUMNS)
    parts = [part.assign(column=column, rule=rule) for column, rule, part in found]
    return logged(empty, pd.concat(parts), "refused")


def logged(log, cells, action="hidden"):
    """Add cells of the panel (its keys, `column` and `rule`) to a log."""
    keys = (cells["municipality"], cells["month"], cells["measure"])
    rows = [
        f"{place}, {month:%Y-%m}, {measure}" for place, month, measure in zip(*keys, strict=True)
    ]
    more = cells[["column", "rule"]].assign(table=PANEL, row=rows, action=action)
    return pd.concat([log, more[COLUMNS]], ignore_index=True)


def register_rows(panel):
    """Tell which cells of a panel no published table state gave."""
    vintage = panel["vintage"].fillna("unknown").astype("str")
    known = {v: bool(OPEN_VINTAGE.fullmatch(v)) for v in vintage.unique()}
    empty = (vintage == "") & (panel["status"] != "not published yet")
    return ~vintage.map(known).astype(bool) | empty


def certify(found, limits, processed=None, notebooks=None):
    """Write what the check found, and the certificate when that is nothing.

    Parameters
    ----------
    found : DataFrame
        All `findings` of the panel and the result tables.
    limits : dict
        `settings` that were used.
    processed, notebooks : path, optional

    Raises
    ------
    DisclosureError
        Something was found; an earlier certificate is taken away.
    """
    processed = paths.PROCESSED if processed is None else Path(processed)
    files = _files(processed, notebooks)
    clean = [(name, "", "", "every rule", "passed") for name in files if name not in {*found.table}]
    log = pd.concat([found, pd.DataFrame(clean, columns=COLUMNS)], ignore_index=True)
    store.write_csv(processed / CHECKED, log)
    if len(found):
        (processed / CERTIFICATE).unlink(missing_ok=True)
        first = found.iloc[0]
        raise DisclosureError(
            f"{first.table}, row {first['row']}, column {first.column}: {first.rule} "
            f"({len(found)} findings in all). Nothing may leave; see {CHECKED} beside the panel."
        )
    made = {"limits": limits | {"dominance": list(limits["dominance"])}}
    made["files"] = {name: store.sha256(path) for name, path in files.items()}
    store.write_text(processed / CERTIFICATE, json.dumps(made, indent=1, sort_keys=True) + "\n")


def passed(processed=None, notebooks=None, limits=None):
    """Return the files that no certificate covers, each with the reason; empty means passed."""
    processed = paths.PROCESSED if processed is None else Path(processed)
    try:
        made = json.loads((processed / CERTIFICATE).read_text(encoding="utf-8"))
        certified, under = dict(made["files"]), dict(made["limits"])
    except (OSError, ValueError, KeyError, TypeError):
        return {CERTIFICATE: "there is no certificate"}
    wrong = {
        name: "changed since the check" if name in certified else "not checked"
        for name, path in _files(processed, notebooks).items()
        if certified.get(name) != store.sha256(path)
    }
    limits = settings() if limits is None else limits
    if under != limits | {"dominance": list(limits["dominance"])}:
        wrong[CERTIFICATE] = "it was given under other limits"
    return wrong


def require(processed=None, notebooks=None, study=None):
    """Let pass what is open or checked, refuse everything else.

    Every writer of ``reports/`` calls this first.

    Raises
    ------
    DisclosureError
        Register input, and a file without a passed check.
    """
    if not from_registers(study, processed):
        return
    wrong = passed(processed, notebooks, settings(study))
    if wrong:
        name, why = next(iter(wrong.items()))
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise DisclosureError(
            f"{name}{more}: {why}. These results come from registers, and nothing reaches "
            f"{paths.shown(paths.REPORTS)}/ unchecked. Run `kokeilu notebooks`, which ends with "
            "the check."
        )


def withdraw(processed=None):
    """Take the certificate away, once nothing of a register run is left."""
    processed = paths.PROCESSED if processed is None else Path(processed)
    (processed / CERTIFICATE).unlink(missing_ok=True)


@contextmanager
def publishable(notebooks=None, study=None, processed=None):
    """Give the folder of notebooks to publish from: without row-level outputs if need be."""
    notebooks = paths.NOTEBOOKS if notebooks is None else Path(notebooks)
    if not from_registers(study, processed):
        yield notebooks
        return
    import nbformat

    with TemporaryDirectory() as folder:
        for path in sorted(notebooks.glob("*.ipynb")):
            book = without_rows(nbformat.read(path, as_version=4))
            store.write_text(Path(folder) / path.name, nbformat.writes(book) + "\n")
        yield Path(folder)


def without_rows(book):
    """Return a notebook whose outputs are sentences and pictures; tables and prints are left out.

    A table in a notebook is rows of the data, and no rule sees it; sentences and pictures are made
    from checked result tables.
    """
    import copy

    import nbformat

    book = copy.deepcopy(book)
    for cell in book.cells:
        if cell.cell_type == "code" and cell.outputs:
            kept = [o for o in map(_without_row, cell.outputs) if o is not None]
            if len(kept) < len(cell.outputs):
                kept.append(nbformat.v4.new_output("display_data", {"text/markdown": NOTE}))
            cell.outputs = kept
        cell.pop("attachments", None)
    return book


def _without_row(output):
    data = output.get("data", {})
    shown = {form: data[form] for form in ("text/markdown", "image/png") if form in data}
    if not shown or "|--" in str(shown.get("text/markdown", "")):
        return None  # a printed frame, or a table written in Markdown
    output["data"] = shown
    return output


def _study(path):
    path = paths.STUDY if path is None else Path(path)
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _files(processed, notebooks):
    """Return what can reach ``reports/``: name → path of panel, result tables and notebooks."""
    notebooks = paths.NOTEBOOKS if notebooks is None else Path(notebooks)
    found = [processed / paths.PANEL.name, *sorted((processed / "results").glob("*"))]
    found += sorted(notebooks.glob("*.ipynb"))
    return {f"{path.parent.name}/{path.name}": path for path in found if path.is_file()}
