"""Executed notebooks as the bodies of pages: code folded, tables and pictures readable by all."""

import base64
import html
import re
from dataclasses import dataclass
from pathlib import Path

from kokeilu_analysis import paths
from kokeilu_analysis.errors import DataError, KokeiluError
from kokeilu_analysis.report import figures

TEMPLATES = Path(__file__).parent / "templates" / "site"
HEADING = re.compile(r'<h([1-6])(?: id="([^"]*)")?>(.*?)</h\1>', re.S)
TABLE = re.compile(r"<table\b.*?</table>", re.S)
ROW = re.compile(r"<tr\b.*?</tr>", re.S)
CELL = re.compile(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", re.S)
NUMBER = re.compile(r"[-−+]?[\d.,\s]*(?:e-?\d+)?|NaN|NaT|inf|–")


@dataclass(frozen=True)
class Notebook:
    """A notebook ready for its page.

    Attributes
    ----------
    stem : str
        File name without ending.
    title : str
        Its first heading.
    body : str
        HTML.
    sections : list of (str, str)
        Anchor and title of its second-level headings.
    pictures : dict
        File name → PNG bytes.
    """

    stem: str
    title: str
    body: str
    sections: list
    pictures: dict


def convert(path, exporter=None):
    """Turn one executed notebook into a page body.

    Parameters
    ----------
    path : path
    exporter : nbconvert exporter, optional
        From `exporter`; making one costs more than using it.

    Returns
    -------
    Notebook

    Raises
    ------
    DataError
        The notebook has a code cell that was not executed, a picture without alt text, or not
        exactly one first-level heading.
    """
    import nbformat

    book = nbformat.read(path, as_version=4)
    pictures = _pictures(book, path)
    body, _ = (exporter or make_exporter()).from_notebook_node(book)
    body = accessible_tables(anchored(body))
    found = [(level, anchor, _plain(text)) for level, anchor, text in HEADING.findall(body)]
    titles = [text for level, _, text in found if level == "1"]
    if len(titles) != 1:
        raise DataError(
            paths.shown(path), f"{len(titles)} headings of level 1", "one, the notebook's question"
        )
    sections = [(anchor, text) for level, anchor, text in found if level == "2"]
    return Notebook(path.stem, titles[0], body, sections, pictures)


def convert_all(found):
    """Turn notebooks into page bodies, in their order; to be called in a process of its own.

    Raises
    ------
    KokeiluError
        As `convert`, as one sentence: what is raised must be able to travel between processes.
    """
    exporter = make_exporter()
    try:
        return [convert(path, exporter) for path in found]
    except DataError as error:
        raise KokeiluError(str(error)) from None


def make_exporter():
    """Return nbconvert's HTML exporter with the study's own template and no outside address."""
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    settings = dict(
        template_name="notebook",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_anchor_links=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        preprocessors=[],
        default_preprocessors=[],
    )
    urls = dict.fromkeys(("mathjax_url", "require_js_url", "jquery_url", "mermaid_js_url"), "")
    return HTMLExporter(config=Config(HTMLExporter=settings | urls))


def anchored(body):
    """Give each heading an id made of its words.

    Examples
    --------
    >>> anchored("<h2>What was said?</h2><h2>What was said?</h2>")
    '<h2 id="what-was-said">What was said?</h2><h2 id="what-was-said-2">What was said?</h2>'
    """
    seen = {}

    def anchor(match):
        level, _, text = match.groups()
        slug = re.sub(r"\W+", "-", _plain(text).lower()).strip("-") or "section"
        seen[slug] = seen.get(slug, 0) + 1
        slug += f"-{seen[slug]}" if seen[slug] > 1 else ""
        return f'<h{level} id="{slug}">{text}</h{level}>'

    return HEADING.sub(anchor, body)


def accessible_tables(body):
    """Give each data frame a caption, header scopes and a region that scrolls by keyboard.

    The caption is the heading that the table stands under, numbered through the page.

    Examples
    --------
    >>> made = accessible_tables('<h2 id="a">Means</h2><table border="1" class="dataframe"><thead>'
    ...     '<tr><th></th><th>mean</th></tr></thead><tbody><tr><th>x</th><td>1</td></tr></tbody>'
    ...     '</table>')
    >>> "<span>Table 1. Means</span></caption>" in made, '<th scope="row">x</th>' in made
    (True, True)
    """
    body = re.sub(r"<style scoped>.*?</style>\s*", "", body, flags=re.S)
    made, last, number = [], 0, 0
    for match in TABLE.finditer(body):
        number += 1
        above = [_plain(text) for level, _, text in HEADING.findall(body[: match.start()])]
        caption = f"Table {number}. {above[-1]}" if above else f"Table {number}"
        made += [body[last : match.start()], _table(match.group(), caption, number)]
        last = match.end()
    return "".join([*made, body[last:]])


def _table(table, caption, number):
    head, _, rest = re.sub(r"<table\b[^>]*>|</table>", "", table).partition("</thead>")
    rows = [[_plain(cell) for cell in CELL.findall(row)] for row in ROW.findall(rest)]
    places = range(max(map(len, rows), default=0))
    right = [all(NUMBER.fullmatch(r[j]) for r in rows if j < len(r)) for j in places]
    head = head.replace("<th></th>", "<td></td>")
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="table-{number}">'
        f'<table><caption id="table-{number}"><span>{html.escape(caption)}</span></caption>'
        f"{_cells(head, 'col', right)}</thead>{_cells(rest, 'row', right)}</table></div>"
    )


def _cells(part, scope, right):
    """Give header cells their scope and columns of numbers their alignment."""

    def row(match):
        place = iter(range(len(right) or 1))

        def cell(found):
            kind = found.group(1)
            marks = f' scope="{scope}"' if kind == "th" else ""
            marks += ' class="r"' if right[next(place, 0) :][:1] == [True] else ""
            span = re.search(r' (?:row|col)span="\d+"', found.group(2))
            return f"<{kind}{marks}{span.group() if span else ''}>"

        return re.sub(r"<(t[hd])\b([^>]*)>", cell, match.group())

    return ROW.sub(row, part)


def _pictures(book, path):
    """Take the pictures out of the notebook; refuse what a reader could not see or trust."""
    found = {}
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        if cell.execution_count is None and cell.source.strip():
            raise DataError(
                paths.shown(path),
                f"the cell that begins {cell.source.splitlines()[0]!r}, not executed",
                "an executed notebook",
                advice="Run `kokeilu notebooks`.",
            )
        for output in cell.outputs:
            picture = output.get("data", {}).get("image/png")
            if picture is None:
                continue
            if not output.metadata.get("image/png", {}).get("alt"):
                raise DataError(
                    paths.shown(path),
                    f"a picture without alt text ({cell.source.splitlines()[0]!r})",
                    "alt text",
                    advice="Show it with `figures.show` or `figures.show_picture`.",
                )
            name = f"files/{figures.mark()}{path.stem}_{len(found) + 1}.png"
            found[name] = base64.b64decode(picture)
            output.metadata["filenames"] = {"image/png": name}
            output.metadata["size"] = picture_size(found[name])
    return found


def picture_size(png):
    """Return width and height of a PNG in pixels, from its header."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def _plain(text):
    return html.unescape(re.sub(r"<[^>]+>", "", text)).strip()
