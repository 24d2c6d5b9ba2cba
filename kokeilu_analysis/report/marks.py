"""Marks and readings that several figures share: axes, time, forests, one row of a table."""

import numpy as np
import pandas as pd

from kokeilu_analysis.report import numbers
from kokeilu_analysis.report.style import BAND, DARK, NAVY, STYLE


def main_row(estimates):
    """Row of the main specification."""
    return estimates[estimates["is_main"]].iloc[0]


def effect_values(row):
    """Name an estimate and what its interval allows to say."""
    low, high = row["ci_low"], row["ci_high"]
    windows = {
        f"{name}_{end}": month
        for name in ("pre", "post")
        for end, month in zip(("first", "last"), window_ends(row[name]), strict=True)
    }
    return windows | {
        "weights": row["weights"],
        "estimate": row["estimate"],
        "ci_low": low,
        "ci_high": high,
        "verdict": numbers.verdict(low, high),
    }


def quantity_row(tables, quantity, reading="default"):
    """Row of a quantity under a reading of the letter."""
    rows = tables["02_quantities"]
    return rows[(rows["quantity"] == quantity) & (rows["reading"] == reading)].iloc[0]


def inside(wide, text):
    """Rows of a table by month inside a window written as 2019M03–2020M02."""
    first, last = window_ends(text)
    return wide[(wide.index >= first) & (wide.index <= last)]


def year_axis(axes, months, room=0.0):
    """Years on the x axis, the whole span shown, `room` (share) kept free at the right."""
    import matplotlib.dates as mdates

    span = months.max() - months.min()
    axes.set_xlim(months.min(), months.max() + span * room)
    axes.xaxis.set_major_locator(mdates.YearLocator())
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%Y"))


def mark_time(axes, say, did, covid=True):
    """Mark the COVID year and the start of the trial, both as the two-by-twos know them."""
    window = did.set_index(did["spec"].str.partition("/")[0])["post"]
    start, top = window_ends(window["first_year"].iloc[0])[0], axes.get_ylim()[1]
    if covid:
        band = window_ends(window["covid_year"].iloc[0])[0], start
        axes.axvspan(*band, color=BAND, zorder=0, linewidth=0)
        axes.text(
            band[0] + (start - band[0]) / 2, top, say("covid"), ha="center", va="top", fontsize=8
        )
    axes.axvline(start, color=DARK, linewidth=0.9, linestyle=(0, (1, 1.5)))
    axes.text(start + pd.Timedelta(days=20), top, say("start"), ha="left", va="top", fontsize=8)


def window_ends(text):
    """First and last month of a window written as 2019M03–2020M02."""
    return [pd.to_datetime(t, format="%YM%m") for t in text.split(numbers.EN_DASH)]


def short_decimals(x):
    """How many decimals a short number needs: 2 has none, 1.5 one, 1.25 two."""
    return 0 if not np.isfinite(x) else len(f"{x:g}".partition(".")[2])


def spread_apart(heights, gap):
    """Move label heights (ascending) up just enough to be `gap` apart."""
    placed = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    return placed


def spread_within(heights, gap, low, high):
    """Move label heights (ascending) as little as keeps them `gap` apart between two ends.

    Where there is no room for all of them they stand evenly.

    Examples
    --------
    >>> spread_within([0.9, 0.95, 0.95], 0.25, 0, 1)
    [0.5, 0.75, 1]
    """
    if len(heights) > 1 and gap * (len(heights) - 1) >= high - low:
        return np.linspace(low, high, len(heights)).tolist()
    up = spread_apart([max(height, low) for height in heights], gap)
    down = spread_apart([-min(height, high) for height in reversed(up)], gap)
    return [-height for height in reversed(down)]


def text_width(text, size, weight="normal"):
    """Return the width of a line of text in points, in the figures' own font."""
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    font = FontProperties(family=STYLE["font.family"], size=size, weight=weight)
    ruler = RendererAgg(1, 1, 72)  # at 72 dpi a pixel is a point
    return ruler.get_text_width_height_descent(text, font, ismath=False)[0]


def x_numbers(axes, say, ticks, decimals=1):
    """Write the ticks of the x axis as the language does."""
    axes.set_xticks(ticks, [numbers.number(t, decimals, say.lang) for t in ticks])


def y_numbers(axes, say, decimals=1):
    """Write the ticks of the y axis as the language does."""
    axes.yaxis.set_major_formatter(lambda y, _: numbers.number(y, decimals, say.lang))


def forest(axes, rows, labels, say):
    """Points with 95% intervals; a row with bounds only is a bar without a point.

    Where bounds have an interval around them it is drawn as a line behind the bar.
    """
    ends = rows[["ci_low", "ci_high", "bound_low", "bound_high"]].to_numpy(float)
    low, high = np.nanmin(ends), np.nanmax(ends)
    for y, row in enumerate(rows.itertuples()):
        if np.isnan(row.estimate):
            if not np.isnan(row.ci_low):
                axes.plot([row.ci_low, row.ci_high], [y, y], color=NAVY, linewidth=1.4, zorder=1)
            axes.barh(
                y,
                row.bound_high - row.bound_low,
                left=row.bound_low,
                height=0.34,
                facecolor="white",
                edgecolor=NAVY,
                linewidth=1,
                hatch="////",
            )
            text = numbers.interval(row.bound_low, row.bound_high, 1, say.lang)
            if not np.isnan(row.ci_low):
                text += f" ({numbers.interval(row.ci_low, row.ci_high, 1, say.lang)})"
        else:
            heavy = 2.6 if row.is_main else 1.4
            axes.plot([row.ci_low, row.ci_high], [y, y], color=NAVY, linewidth=heavy)
            axes.plot(row.estimate, y, "o", color=NAVY, markersize=7 if row.is_main else 5)
            span = numbers.interval(row.ci_low, row.ci_high, 1, say.lang)
            text = f"{numbers.number(row.estimate, 1, say.lang)} ({span})"
        axes.annotate(text, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    pad = 0.05 * (high - low)
    axes.set_xlim(min(low, 0) - pad, max(high, 0) + pad)
    axes.set_ylim(len(rows) - 0.5, -0.6)
    axes.set_yticks(range(len(rows)), labels)
    axes.axvline(0, color=DARK, linewidth=0.9)
    axes.xaxis.set_major_formatter(lambda x, _: numbers.number(x, 1, say.lang))
    axes.grid(axis="x")
    axes.grid(False, axis="y")
    axes.set_xlabel(say("x"))
