"""Figures from result tables: one style, three languages, text kept as text, same bytes each time.

A figure is an entry of ``figures.toml`` (what it is drawn from), an entry of each ``texts/*.toml``
(its words) and two functions of `drawings` (its numbers, its marks). Nothing here computes.
"""

import base64
import io
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from kokeilu_analysis import paths, results, store
from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.report import marks, numbers
from kokeilu_analysis.report.style import DPI, MM, STYLE, WIDTH_MM


@dataclass(frozen=True)
class Words:
    """A figure's words in one language, numbers filled in."""

    lang: str
    headline: str
    subtitle: str
    note: str
    source: str
    alt: str
    labels: dict

    def __call__(self, key, **values):
        """Return a label, filled; a missing key is an error, never an empty text."""
        return numbers.fill(self.labels[key], values, self.lang)


@cache
def register():
    """Return the register: figure id → its entry of ``figures.toml``, in order."""
    return tomllib.loads((Path(__file__).parent / "figures.toml").read_text(encoding="utf-8"))


@cache
def texts(lang, of=""):
    """Return all words of one language as a dict: the figures', or of the memo, areas or site."""
    path = Path(__file__).parent / "texts" / f"{of}_{lang}.toml".lstrip("_")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def words(figure_id, lang, values):
    """Return a figure's words; headline and alt follow ``values["verdict"]`` where they vary."""
    own, common = texts(lang)[figure_id], texts(lang)["common"]
    if "weights" in values:
        values = values | {"weighting": common["weighting"][values["weights"]]}

    def pick(key):
        text = own[key]
        if isinstance(text, dict):
            text = text[values["verdict"]]
        return numbers.fill(text, values, lang)

    parts = {key: pick(key) for key in ("headline", "subtitle", "note", "alt")}
    source = numbers.fill(own.get("source", common["source"]), values, lang)
    return Words(lang, labels=common["labels"] | own.get("labels", {}), source=source, **parts)


def tables(figure_id):
    """Return the names of the result tables a figure is made from."""
    return ["01_groups", *register()[figure_id]["tables"]]


def said(figure_id, lang, folder=paths.RESULTS):
    """Return a figure's words, filled from the result tables, without drawing it."""
    return _told(figure_id, lang, folder)[2]


def _told(figure_id, lang, folder):
    from kokeilu_analysis.report import drawings

    read = {name: results.read(name, folder) for name in register()[figure_id]["tables"]}
    values = group_sizes(folder) | getattr(drawings, f"values_{figure_id.lower()}")(read)
    return read, values, _marked(words(figure_id, lang, values))


def _marked(said):
    """Add to a figure's words that its counts come from a register, or are simulated."""
    kind = store.origin(paths.PANEL)
    if not kind:
        return said
    mark = texts(said.lang)["common"]["origin"][kind]
    headline = f"{mark['title']} {said.headline}".strip()
    return replace(said, headline=headline, source=f"{said.source} {mark['source']}")


def mark():
    """Return what the names of all files begin with that are made from simulated data.

    Returns
    -------
    str
        ``simulated_`` where the panel was built from simulated spells, else nothing.
    """
    return "simulated_" if store.origin(paths.PANEL) == "simulated" else ""


def stem(figure_id, lang=""):
    """Return the name of a figure's exported files, without its ending.

    Examples
    --------
    The picture of figure 4 in Finnish is ``F4_fi``, its numbers are ``F4``; from simulated spells
    ``simulated_F4_fi`` and ``simulated_F4``.
    """
    return mark() + "_".join(part for part in (figure_id, lang) if part)


def draw(figure_id, lang, folder=paths.RESULTS):
    """Draw a figure from the result tables.

    Parameters
    ----------
    figure_id : str
        An id of the register, e.g. ``"F4"``.
    lang : {"fi", "sv", "en"}
    folder : path
        Where the result tables are.

    Returns
    -------
    (matplotlib Figure, DataFrame, Words)
        The frame holds exactly what is drawn.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from kokeilu_analysis.report import drawings

    if figure_id not in register() or lang not in numbers.LANGUAGES:
        raise KokeiluError(
            f"No figure {figure_id} in {lang}; there are {', '.join(register())} in "
            f"{', '.join(numbers.LANGUAGES)}."
        )
    read, values, spoken = _told(figure_id, lang, folder)
    with mpl.rc_context(STYLE):
        size = (WIDTH_MM / MM, register()[figure_id]["height_mm"] / MM)
        figure = Figure(figsize=size, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.04, h_pad=0.05)
        drawn = getattr(drawings, f"draw_{figure_id.lower()}")(figure, read, spoken, values)
    return figure, drawn, spoken


def group_sizes(folder=paths.RESULTS):
    """Return how many municipalities and areas each group has, for the sentences of all figures."""
    sizes = results.read("01_groups", folder).set_index("group")
    return {
        "n_trial": int(sizes.loc["trial", "municipalities"]),
        "n_control": int(sizes.loc["control", "municipalities"]),
        "n_trial_areas": int(sizes.loc["trial", "areas"]),
        "n_control_areas": int(sizes.loc["control", "areas"]),
        "n_areas": int(sizes.loc[["trial", "control"], "areas"].sum()),
    }


def slide(picture, said):
    """Return a figure for slides: headline and subtitle above a picture, note and source below.

    Parameters
    ----------
    picture : bytes
        The figure as `image` returns it in PNG.
    said : Words
    """
    import matplotlib as mpl
    import numpy as np
    from matplotlib.figure import Figure
    from PIL import Image

    body = np.asarray(Image.open(io.BytesIO(picture)))
    above = [(line, 11.5, "bold") for line in _lines(said.headline, 11.5, "bold")]
    above += [(line, 9, "normal") for line in _lines(said.subtitle, 9)]
    below = [(line, 8, "normal") for line in _lines(f"{said.note} {said.source}", 8)]
    point, row = DPI / 72, 1.3  # pixels; line height in font sizes
    head, foot = (sum(row * size for _, size, _ in part) + 12 for part in (above, below))
    height = body.shape[0] + point * (head + foot)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_MM / MM, height / DPI), dpi=DPI)
        figure.figimage(body, 0, round(point * foot))
        for part, top in ((above, height - point * 4), (below, point * (foot - 4))):
            for line, size, weight in part:
                figure.text(0.012, top / height, line, va="top", fontsize=size, fontweight=weight)
                top -= point * row * size
    return figure


def _lines(text, fontsize, weight="normal"):
    """Break text into lines that fit the figure's width, measured in its own font."""
    room = 0.97 * WIDTH_MM / MM * 72
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if marks.text_width(longer, fontsize, weight) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def image(figure, form, said):
    """Return a figure as PNG or SVG bytes without clock, program or host in them."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        if form == "png":
            figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
            figure.set_layout_engine("none")  # laid out once; another form keeps the places
            return buffer.getvalue()
        figure.savefig(
            buffer,
            format="svg",
            metadata={"Date": None, "Creator": None, "Title": said.headline},
        )
    svg = buffer.getvalue().decode("utf-8")
    head = f'<svg role="img" lang="{said.lang}" '
    described = f"</title>\n <desc>{_escape(said.alt)}</desc>"
    return svg.replace("<svg ", head, 1).replace("</title>", described, 1).encode("utf-8")


def _escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def show(figure_id, lang="en"):
    """Show a figure in a notebook: headline as text, picture with alt text, note and source."""
    from IPython.display import Markdown, display

    figure, _, said = draw(figure_id, lang)
    number = texts(lang)["common"]["labels"]["figure"]
    display(Markdown(f"**{number} {figure_id[1:]}. {said.headline}** {said.subtitle}"))
    show_picture(image(figure, "png", said), said.alt)
    display(Markdown(f"<small>{said.note} {said.source}</small>"))


def canvas(height_mm=80):
    """Return an empty figure in the study's style for an exploratory picture, and its axes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_MM / MM, height_mm / MM), layout="constrained")
        return figure, figure.add_subplot()


def show_picture(picture, alt):
    """Show a picture (PNG bytes, or a figure) in a notebook with its alt text."""
    from IPython.display import display

    if not isinstance(picture, bytes):
        picture = image(picture, "png", None)
    display(
        {"image/png": base64.b64encode(picture).decode("ascii"), "text/plain": alt},
        raw=True,
        metadata={"image/png": {"alt": alt, "width": 750}},
    )
