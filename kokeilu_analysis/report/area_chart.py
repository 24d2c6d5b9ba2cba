"""The small chart of an area's page: its unemployed and those of its own comparison."""

from kokeilu_analysis import results
from kokeilu_analysis.report import figures, numbers, typeset
from kokeilu_analysis.report.marks import mark_time, spread_apart, y_numbers, year_axis
from kokeilu_analysis.report.style import MM, NAVY, ORANGE, ORANGE_TEXT, STYLE, WIDTH_MM

HEIGHT_MM = 58
PLACE = (0.055, 0.12, 0.94, 0.76)  # of the axes: the same on every page, so nothing is laid out
LINES = (  # column, label, line, its colour, the label's colour
    ("area", "area", "-", NAVY, NAVY),
    ("comparison", "comparison_line", "--", ORANGE, ORANGE_TEXT),
)


def draw(lang, areas, folder, words):
    """Draw the chart of every area, all on one scale.

    Parameters
    ----------
    lang : {"fi", "sv", "en"}
    areas : dict
        Area id → what its sentences may name.
    folder : path
        Where the result tables are.
    words : dict
        The ``[series]`` of the area pages' texts.

    Returns
    -------
    dict
        Area id → picture block, with alt text and source.
    """
    import matplotlib as mpl

    series, did = results.read("03_area_series", folder), results.read("03_did", folder)
    common = figures.texts(lang)["common"]
    source, blocks = numbers.fill(common["source"], {}, lang), {}
    labels = common["labels"] | {k: words[k] for k in ("area", "comparison_line", "y")}
    with mpl.rc_context(STYLE):
        frame = None
        for area_id, rows in series.groupby("area_id"):
            subtitle, alt = (
                numbers.fill(words[k], areas[area_id], lang) for k in ("subtitle", "alt")
            )
            say = figures.Words(lang, areas[area_id]["name"], subtitle, "", source, alt, labels)
            # one frame serves all areas: ticks and labels cost more than the lines
            frame = frame or _Frame(series, did, say)
            svg = frame.picture(rows, say)
            blocks[area_id] = typeset.picture(svg, alt, subtitle, f"{words['note']} {source}")
    return blocks


class _Frame:
    """Axes, marks of time and two lines whose places change from area to area."""

    def __init__(self, series, did, say):
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(WIDTH_MM / MM, HEIGHT_MM / MM))
        self.axes = axes = self.figure.add_axes(PLACE)
        self.top = 1.15 * series[["area", "comparison"]].max().max()
        self.lines, self.labels = {}, {}
        for column, key, style, color, text in LINES:
            (self.lines[column],) = axes.plot([], [], style, color=color)
            self.labels[column] = axes.annotate(
                say(key),
                (series["month"].max(), 0),
                xytext=(4, 0),
                textcoords="offset points",
                color=text,
                va="center",
                fontsize=8.5,
            )
        year_axis(axes, series["month"], room=0.16)
        axes.set_ylim(0, self.top)
        axes.yaxis.get_major_locator().set_params(integer=True, nbins=5)
        mark_time(axes, say, did)
        y_numbers(axes, say, decimals=0)
        axes.set_title(say("y"))

    def picture(self, rows, say):
        """Return the chart of one area as SVG."""
        self.place(rows)
        return figures.image(self.figure, "svg", say)

    def place(self, rows):
        """Move lines and labels to one area's numbers."""
        ends = sorted(LINES, key=lambda line: rows[line[0]].iloc[-1])
        heights = spread_apart([rows[line[0]].iloc[-1] for line in ends], gap=0.09 * self.top)
        for (column, *_), height in zip(ends, heights, strict=True):
            self.lines[column].set_data(rows["month"], rows[column])
            self.labels[column].xy = (rows["month"].iloc[-1], height)
