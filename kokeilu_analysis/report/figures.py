"""Figures from result tables: one style, three languages, text kept as text, same bytes each time.

A figure is an entry of ``figures.toml`` (what it is drawn from), an entry of each ``texts/*.toml``
(its words) and two functions of `drawings` (its numbers, its marks). Nothing here computes.
"""

import base64
import io
import textwrap
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kokeilu_analysis import paths, results, store
from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.report import numbers

WIDTH_MM, DPI = 159, 200
NAVY, ORANGE, ORANGE_TEXT = "#12436D", "#F46A25", "#A33A00"  # trial, control, control as text
DARK, GRID, BAND, EDGE = "#3D3D3D", "#D9D9D9", "#EEEEEE", "#767676"
STYLE = {
    "font.family": "DejaVu Sans",  # matplotlib ships it: the same figure on every machine
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": EDGE,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.labelcolor": DARK,
    "text.color": DARK,
    "xtick.color": DARK,
    "ytick.color": DARK,
    "ytick.major.size": 0,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "kokeilu",
}


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
def texts(lang):
    """Return all words of one language as a dict."""
    path = Path(__file__).parent / "texts" / f"{lang}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def words(figure_id, lang, values):
    """Return a figure's words; headline and alt follow ``values["verdict"]`` where they vary."""
    own, common = texts(lang)[figure_id], texts(lang)["common"]

    def pick(key):
        text = own[key]
        if isinstance(text, dict):
            text = text[values["verdict"]]
        return numbers.fill(text, values, lang)

    parts = {key: pick(key) for key in ("headline", "subtitle", "note", "alt")}
    source = numbers.fill(own.get("source", common["source"]), values, lang)
    return Words(lang, labels=common["labels"] | own.get("labels", {}), source=source, **parts)


def draw(figure_id, lang, folder=paths.RESULTS, titled=False):
    """Draw a figure from the result tables.

    Parameters
    ----------
    figure_id : str
        An id of the register, e.g. ``"F4"``.
    lang : {"fi", "sv", "en"}
    folder : path
        Where the result tables are.
    titled : bool
        Put headline, note and source inside, for slides; otherwise they stay text beside it.

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
    entry = register()[figure_id]
    tables = {name: results.read(name, folder) for name in entry["tables"]}
    values = group_sizes(folder) | getattr(drawings, f"values_{figure_id.lower()}")(tables)
    said = words(figure_id, lang, values)
    height = entry["height_mm"] + (38 if titled else 0)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_MM / 25.4, height / 25.4), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.04, h_pad=0.05)
        drawn = getattr(drawings, f"draw_{figure_id.lower()}")(figure, tables, said, values)
        if titled:
            _title(figure, said)
    return figure, drawn, said


def group_sizes(folder=paths.RESULTS):
    """Return how many municipalities and areas each group has, for the sentences of all figures."""
    sizes = results.read("01_groups", folder).set_index("group")
    return {
        "n_trial": int(sizes.loc["trial", "municipalities"]),
        "n_control": int(sizes.loc["control", "municipalities"]),
        "n_trial_areas": int(sizes.loc["trial", "areas"]),
        "n_control_areas": int(sizes.loc["control", "areas"]),
    }


def _title(figure, said):
    headline = textwrap.fill(said.headline, 72)
    subtitle = textwrap.fill(said.subtitle, 100)
    footer = textwrap.fill(f"{said.note} {said.source}", 108)
    figure.suptitle(f"{headline}\n", x=0.01, ha="left", fontsize=11.5, weight="bold")
    figure.axes[0].set_title(
        f"{subtitle}\n\n{figure.axes[0].get_title(loc='left')}", loc="left", fontsize=9
    )
    figure.supxlabel(footer, x=0.01, ha="left", fontsize=8)


def image(figure, form, said):
    """Return a figure as PNG or SVG bytes without clock, program or host in them."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        if form == "png":
            figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
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
    picture = base64.b64encode(image(figure, "png", said)).decode("ascii")
    display(
        {"image/png": picture, "text/plain": said.alt},
        raw=True,
        metadata={"image/png": {"alt": said.alt, "width": 750}},
    )
    display(Markdown(f"<small>{said.note} {said.source}</small>"))


def stem(figure_id, lang):
    """Return the file name stem of an exported figure, e.g. ``F4_fi``."""
    return f"{figure_id}_{lang}"


def export(folder=paths.FIGURES, progress=None):
    """Export every figure in every language: SVG, PNG, PNG for slides, and CSV of what is drawn.

    Parameters
    ----------
    folder : path
        Where to; a file that would not change is left untouched.
    progress : callable, optional
        Told each figure as it is done.

    Returns
    -------
    list of Path
    """
    written = []
    for figure_id, entry in register().items():
        for lang in numbers.LANGUAGES:
            figure, drawn, said = draw(figure_id, lang)
            slide, _, _ = draw(figure_id, lang, titled=True)
            base = folder / stem(figure_id, lang)
            png = image(figure, "png", said)
            written.append(store.write_bytes(base.with_suffix(".svg"), image(figure, "svg", said)))
            written.append(store.write_bytes(base.with_suffix(".png"), png))
            slide_path = base.with_name(base.name + "_esitys.png")
            written.append(store.write_bytes(slide_path, image(slide, "png", said)))
            if entry.get("readme") and lang == "en":
                written.append(store.write_bytes(paths.README_FIGURES / f"{base.name}.png", png))
        store.write_csv(folder / f"{figure_id}.csv", drawn)  # numbers have no language
        written.append(folder / f"{figure_id}.csv")
        if progress:
            progress(figure_id)
    return written
