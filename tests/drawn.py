"""Figures as they come out: each drawn once a session, with every text that was put on the page."""

from functools import cache
from types import SimpleNamespace

import pytest

from kokeilu_analysis import paths, results
from kokeilu_analysis.report import drawings, figures, numbers

IDS = list(figures.register())
LANGUAGES = numbers.LANGUAGES
# what the study could have found, for each verdict: estimate and both ends
FOUND = {
    "lower": (-0.7, -1.7, -0.3),
    "higher": (0.7, 0.3, 1.7),
    "unclear": (0.7, -0.3, 1.7),
}
AS_PNG = ["F2", "F4"]  # hatched bars, and a transparent band
PAIRS = [("ci_low", "ci_high"), ("slope_low", "slope_high"), ("zero_low", "zero_high")]


@cache
def tables(figure_id):
    return {name: results.read(name) for name in figures.register()[figure_id]["tables"]}


@cache
def values(figure_id):
    """What a figure's sentences may name, from the committed result tables."""
    own = getattr(drawings, f"values_{figure_id.lower()}")(tables(figure_id))
    return figures.group_sizes(paths.RESULTS) | own


def verdicts(figure_id):
    """The verdicts that a figure has words for; [None] when its words do not vary."""
    own = figures.texts("en")[figure_id]
    varied = [
        set(own[key]) for key in ("headline", "alt", "note", "subtitle") if is_varied(own, key)
    ]
    return sorted(set.union(*varied)) if varied else [None]


def is_varied(own, key):
    return isinstance(own[key], dict)


def words(figure_id, lang, verdict=None):
    """A figure's words had the study found `verdict`."""
    given = dict(values(figure_id))
    if verdict is not None:
        given["verdict"] = verdict
    if verdict in FOUND:
        estimate, low, high = FOUND[verdict]
        given |= {"estimate": estimate} if "estimate" in given else {}
        for first, last in PAIRS:
            given |= {first: low, last: high} if first in given else {}
    return figures.words(figure_id, lang, given)


def sentences(said):
    return [said.headline, said.subtitle, said.note, said.source, said.alt]


@cache
def drawn(figure_id, lang, titled=False):
    """Draw a figure and record every text on the page, with its size, turn and place in points."""
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    figure, frame, said = figures.draw(figure_id, lang)
    if titled:
        figure = figures.slide(figures.image(figure, "png", said), said)
    page = SimpleNamespace(figure=figure, frame=frame, said=said, texts=[])
    page.width, page.height = (72 * inches for inches in figure.get_size_inches())
    passes, draw_text, draw_figure = [], Text.draw, Figure.draw

    def noted(self, renderer):
        # saving draws twice, the first time only to settle the layout
        if len(passes) == (1 if titled else 2) and self.get_visible() and self.get_text().strip():
            box = self.get_window_extent(renderer)
            scale = 72 / self.get_figure(root=True).dpi
            ends = {k: scale * getattr(box, k) for k in ("x0", "x1", "y0", "y1")}
            look = {"size": self.get_fontsize(), "turn": self.get_rotation()}
            page.texts.append(SimpleNamespace(text=self.get_text(), **look, **ends))
        return draw_text(self, renderer)

    def counted(self, renderer):
        passes.append(renderer)
        return draw_figure(self, renderer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", noted)
        patch.setattr(Figure, "draw", counted)
        if titled:
            figure.draw_without_rendering()
        else:
            page.svg = figures.image(figure, "svg", said).decode("utf-8")
    if figure_id in AS_PNG and lang == "fi" and not titled:
        # the layout settles a little further each time: compare pictures saved in one order
        page.png = figures.image(figure, "png", said)
    return page


def marks(figure):
    """Every coordinate of the lines, bars, bands and dots of a figure."""
    numbers_ = []
    for axes in figure.axes:
        for line in axes.lines:
            numbers_ += [*line.get_xdata(orig=False), *line.get_ydata(orig=False)]
        for bar in axes.patches:
            numbers_ += (
                [bar.get_x(), bar.get_x() + bar.get_width()] if hasattr(bar, "get_x") else []
            )
        for group in axes.collections:
            numbers_ += [*group.get_offsets().ravel()]
            for path in group.get_paths():
                numbers_ += [*path.vertices.ravel()]
    return [float(n) for n in numbers_]
