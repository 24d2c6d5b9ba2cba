"""Documents as tagged PDF: content is data, one template sets it, PDF/UA-1 is checked on the way.

The same content gives the same bytes: no clock, the fonts that matplotlib ships, no other.
"""

import json
from functools import cache
from pathlib import Path

from kokeilu_analysis.errors import KokeiluError

TEMPLATE = Path(__file__).parent / "templates" / "document.typ"
AUTHOR = "kokeilu-analysis"
SHORT = 6  # letters; beside first cells like years, all columns are equally wide


def document(lang, title, subtitle, running, description, parts, compact=False):
    """Return the content of a document, as `pdf` sets it.

    Parameters
    ----------
    title, subtitle, running, description : str
        Title of the document; the line below it; the foot of each page; what the file says of
        itself.
    parts : list of dict
        From `part`.
    compact : bool
        Small headings, for a document of one page.
    """
    return {
        "title": title,
        "subtitle": subtitle,
        "running": running,
        "description": description,
        "lang": lang,
        "region": "GB" if lang == "en" else "FI",
        "author": AUTHOR,
        "compact": compact,
        "parts": parts,
    }


def part(heading, *blocks, level=1, new_page=False, outlined=True):
    """Return a heading and what stands under it; `outlined`: it stands in the contents."""
    before = [{"kind": "newpage"}] if new_page else []
    return {
        "heading": heading,
        "level": level,
        "outlined": outlined,
        "before": before,
        "blocks": list(blocks),
    }


def text(words):
    """Return a paragraph."""
    return {"kind": "text", "text": words}


def bullets(items):
    """Return a list of points."""
    return {"kind": "list", "items": list(items)}


def answer(items):
    """Return the framed, numbered answer."""
    return {"kind": "answer", "items": list(items)}


def works(items):
    """Return a list of references, each ``{"text": …, "lang": …}`` in its own language."""
    return {"kind": "works", "items": items}


def contents():
    """Return a table of contents of the level-1 headings."""
    return {"kind": "contents"}


def table(caption, head, rows, align, note=""):
    """Return a table with real header cells.

    Parameters
    ----------
    caption : str
    head : list of str
    rows : list of list of str
        As they are to be read: numbers written in the language.
    align : str
        One letter a column, ``l`` or ``r``.
    note : str, optional

    Raises
    ------
    KokeiluError
        A row is not as long as the head, or the table is empty.
    """
    for number, row in enumerate(rows, start=1):
        if len(row) != len(head):
            raise KokeiluError(
                f"Table {caption!r}, row {number}: found {len(row)} cells, expected {len(head)}."
            )
    if not rows or len(align) != len(head):
        raise KokeiluError(
            f"Table {caption!r}: found {len(rows)} rows and alignment {align!r}, expected rows and "
            f"{len(head)} letters."
        )
    even = max(len(row[0]) for row in rows) <= SHORT
    wide = align.index("l") if "l" in align else 0  # the column of names takes the room
    parts = {
        "even": even and wide == 0,
        "wide": wide,
        "caption": caption,
        "head": list(head),
        "rows": [list(r) for r in rows],
    }
    return {"kind": "table", **parts, "align": list(align), "note": note}


def picture(svg, alt, subtitle="", note=""):
    """Return a picture (SVG bytes) with its text alternative.

    Raises
    ------
    KokeiluError
        There is no alternative, so the picture would be silent to whoever cannot see it.
    """
    if not alt.strip():
        raise KokeiluError("A picture has no alt text; expected a sentence with its numbers.")
    said = {"alt": alt, "subtitle": subtitle, "note": note}
    return {"kind": "figure", "svg": svg.decode("utf-8"), **said}


def pdf(content):
    """Return a document as tagged PDF (PDF/UA-1).

    Parameters
    ----------
    content : dict
        From `document`.

    Raises
    ------
    KokeiluError
        The document would not be accessible, e.g. a picture without alt text.
    """
    return _compile(content, format="pdf", pdf_standards="ua-1")


def pages(content, ppi=80):
    """Return the document's pages as PNG, to look at."""
    made = _compile(content, format="png", ppi=ppi)
    return made if isinstance(made, list) else [made]


def _compile(content, **how):
    import typst

    try:
        return _compiler().compile(sys_inputs={"data": json.dumps(content)}, **how)
    except typst.TypstError as error:
        raise KokeiluError(f"{content['title']}: {error.message}") from error


@cache
def _compiler():
    import matplotlib
    import typst

    fonts = typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[str(Path(matplotlib.get_data_path()) / "fonts" / "ttf")],
    )
    return typst.Compiler(str(TEMPLATE), root=str(TEMPLATE.parent), font_paths=fonts)
