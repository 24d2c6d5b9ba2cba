"""A chain of origin in words: the same on the terminal and in a figure's note on the site.

Words are in ``texts/trace_*.toml``; what the chain holds is worked out by `trace`.
"""

import textwrap
from functools import partial

import pandas as pd

from kokeilu_analysis.report import figures, numbers

texts = partial(figures.texts, of="trace")  # its words in one language


def blocks(chain, lang):
    """Return a chain as blocks of a heading and labelled items.

    Parameters
    ----------
    chain : trace.Chain
    lang : {"fi", "sv", "en"}

    Returns
    -------
    list of (str, list of (str, list of str))
        Heading; then label and items of each line. First the numbers that are printed, then one
        block for each result table, last the source files.
    """
    words = texts(lang)
    said = [(words["numbers"], [("", [_number(n, words, lang) for n in chain.numbers])])]
    steps = [_step(step, words, lang) for step in chain.steps]
    sources = [_source(source, words, lang) for source in chain.sources]
    last = [(words["sources"], [("", sources)])]
    return [*(said if chain.numbers else []), *steps, *(last if sources else [])]


def lines(chain, lang="en"):
    """Return a chain as the lines of a terminal."""
    for heading, parts in blocks(chain, lang):
        yield heading
        for label, items in parts:
            if len(items) == 1 and label:
                yield f"  {label}: {items[0]}"
                continue
            if label:
                yield f"  {label}:"
            yield from textwrap.indent("\n".join(items), "    ").splitlines()
        yield ""


def listing(known):
    """Return the lines of a terminal that name all that can be traced.

    Parameters
    ----------
    known : dict
        As `trace.known` returns it.
    """
    yield "Figures, by number:"
    for figure_id in known["figures"]:
        yield f"  {figure_id:<4}{figures.said(figure_id, 'en').headline}"
    first = known["areas"][-1].partition("_")[0]
    areas = [key for key in known["areas"] if key.startswith(("areas_", f"{first}_"))]
    for heading, keys in (
        ("Numbers of the memo, the headline and the README:", known["memo"]),
        ("Numbers that the figures' words give:", known["said"]),
        (f"Numbers of the area pages, here of {first.upper()}:", areas),
        ("Result tables, whole (03_did) or by line (03_did.csv:6):", known["tables"]),
    ):
        yield f"\n{heading}"
        yield textwrap.fill(
            " ".join(keys), 98, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
        )


def _number(number, words, lang):
    if isinstance(number.value, pd.Timestamp):
        value = numbers.month(number.value, lang)
    else:
        value = numbers.number(number.value, 0 if float(number.value).is_integer() else 4, lang)
    values = {"key": number.key, "value": value}
    if number.cell:
        cell = number.cell
        values |= {"file": f"{cell.table}.csv", "line": str(cell.line), "column": cell.column}
        return numbers.fill(words["cell"], values, lang)
    values |= {"function": _function(number.made)}
    values["tables"] = ", ".join(f"{table}.csv" for table in number.tables)
    return numbers.fill(words["made"] if number.tables else words["choice"], values, lang)


def _step(step, words, lang):
    first, last = str(step.lines[0]), str(step.lines[-1])
    where = "line" if first == last else "lines"
    values = {"file": step.file, "first": first, "last": last, "column": step.column or ""}
    heading = numbers.fill(words[where], values, lang)
    if step.column:
        heading += numbers.fill(words["column"], values, lang)
    written = step.written
    cell = "notebook" if written.file.endswith(".ipynb") else "module"
    origin = {"file": written.file, "cell": written.cell}
    parts = [
        ("written", [numbers.fill(words[cell], origin, lang)]),
        ("functions", [_function(f) for f in written.functions]),
        ("measures", list(written.measures)),
        ("months", [_span(*span, lang) for span in step.spans]),
        ("facts", list(written.facts)),
        ("reads", [f"{table}.csv" for table in written.reads]),
    ]
    return heading, [(words["labels"][name], items) for name, items in parts if items]


def _function(function):
    return f"{function.name} ({function.file}:{function.line})"


def _span(first, last, lang):
    ends = [numbers.month(when, lang) for when in (first, last)]
    return ends[0] if first == last else numbers.EN_DASH.join(ends)


def _source(source, words, lang):
    date = numbers.day(source.date, lang) if source.date else ""
    form = "unlisted" if source.sha256 is None else "dated" if date else "undated"
    values = {"file": source.file, "date": date, "sha256": source.sha256 or ""}
    return numbers.fill(words[form], values, lang)
