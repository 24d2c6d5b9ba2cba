"""The starting lag: areas against their backlog, the adjusted comparison."""

import itertools

import numpy as np

from kokeilu_analysis.report import numbers
from kokeilu_analysis.report.marks import (
    effect_values,
    forest,
    spread_apart,
    spread_within,
    text_width,
    x_numbers,
    y_numbers,
)
from kokeilu_analysis.report.style import BAND, DARK, EDGE, GRID, NAVY, ORANGE, ORANGE_TEXT

FULL = 104  # right end of the axis of backlogs, per cent: a point at 100 is drawn whole
GAP = 0.24  # between names one above the other, percentage points
INNER = (
    400  # width of the axes of F7 in points, and the height of a line of names in it, as a share
)
LINE = 0.041
FRACTION = {"xycoords": "axes fraction"}


def values_f7(tables):
    """How the area changes spread and what a line through them says."""
    areas, adjusted = tables["04_area_effects"], tables["04_adjusted"].set_index("spec")
    slope = adjusted.loc["sharp_slope"]
    return {
        "lowest": areas["estimate"].min(),
        "highest": areas["estimate"].max(),
        **effect_values(areas.iloc[0]),
        "reach": (areas["ci_high"] - areas["estimate"]).max(),
        "slope_low": slope["bound_low"] / 10,
        "slope_high": slope["bound_high"] / 10,
        "verdict": numbers.verdict(slope["bound_low"], slope["bound_high"]),
    }


def draw_f7(figure, tables, say, values):
    """Area changes against the backlog each area may have had; a bar where a range is known."""
    effects = tables["04_area_effects"][["area_id", "estimate", "ci_low", "ci_high"]]
    areas = effects.merge(tables["02_area_bounds"], on="area_id", validate="1:1")
    axes = figure.add_subplot()
    for row in areas.sort_values("known", ascending=False).itertuples():
        low, high = 100 * row.bound_low, 100 * row.bound_high
        reported = row.known != "rest"
        axes.plot(
            [low, high],
            [row.estimate] * 2,
            color=NAVY if reported else EDGE,
            linewidth=2.4 if reported else 0.9,
            solid_capstyle="butt",
        )
        if row.known == "value":
            axes.plot(low, row.estimate, "o", color=NAVY, markersize=6)
    named = areas[areas["known"] != "rest"].sort_values("estimate")
    name = "area_name_sv" if say.lang == "sv" else "area_name_fi"
    labels = [
        (100 * end + 1.5, y, label)
        for end, column in named.groupby("bound_high")
        for label, y in zip(column[name], spread_apart(column["estimate"], GAP), strict=True)
    ]
    rest = (13, areas["estimate"].max() * 0.75, say("rest"))
    if _apart([*labels, rest], axes.get_ylim()):
        for x, y, label in labels:
            axes.text(x, y, label, va="center", fontsize=8, color=NAVY)
        axes.text(*rest, fontsize=8, color=DARK)
    else:
        _names_aside(axes, named, name)
        if (areas["known"] == "rest").any():
            axes.annotate(say("rest"), (0.02, 0.98), **FRACTION, va="top", fontsize=8, color=DARK)
    axes.axhline(0, color=DARK, linewidth=0.9)
    axes.set_xlim(0, FULL)
    x_numbers(axes, say, [0, 20, 40, 60, 80, 100], decimals=0)
    y_numbers(axes, say)
    axes.set_xlabel(say("x"))
    axes.set_title(say("y"))
    shown = ["area_id", "area_name_fi", "known", "bound_low", "bound_high", "estimate"]
    return areas[shown].sort_values("area_id")


def _apart(labels, limits):
    """Tell whether labels to the right of their points, in data, leave each other room.

    Parameters
    ----------
    labels : list of (x, y, text)
        x in per cent of backlog, y in percentage points; text in 8 points.
    limits : (float, float)
        Least and greatest y.
    """
    row = max(GAP, LINE * (limits[1] - limits[0]))
    boxes = [(x, x + FULL * text_width(text, 8) / INNER, y) for x, y, text in labels]
    inside = all(right <= FULL and y <= limits[1] for _, right, y in boxes)
    return inside and not any(
        min(one[1], other[1]) > max(one[0], other[0]) and abs(one[2] - other[2]) < 0.98 * row
        for one, other in itertools.combinations(boxes, 2)
    )


def _names_aside(axes, named, name):
    """Write the names in one column beside the axes, in the order of the points, with leaders."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)  # what is written beside must not move what is drawn
    heights = ((named["estimate"] - low) / (high - low)).tolist()
    for row, y in zip(named.itertuples(), spread_within(heights, LINE, 0, 1), strict=True):
        axes.annotate(
            getattr(row, name),
            (100 * row.bound_high, row.estimate),
            xytext=(1.02, y),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            color=NAVY,
            arrowprops={"arrowstyle": "-", "color": GRID, "linewidth": 0.6, "shrinkB": 4}
            | {"relpos": (0, 0.5)},  # from the name's beginning, not across it
        )


def values_f8(tables):
    """The effect as it was and without a backlog."""
    adjusted = tables["04_adjusted"].set_index("spec")
    att, zero = adjusted.loc["att_areas"], adjusted.loc["sharp_zero_backlog"]
    middle = adjusted.loc["midpoint_zero_backlog"]
    return {
        **effect_values(att),
        "zero_low": zero["bound_low"],
        "zero_high": zero["bound_high"],
        "middle": middle["estimate"],
        "middle_low": middle["ci_low"],
        "middle_high": middle["ci_high"],
        "verdict": numbers.verdict(zero["bound_low"], zero["bound_high"]),
    }


def draw_f8(figure, tables, say, values):
    """Forest: as it was, mid-points, sharp sets; a set is a bar without a point."""
    rows = tables["04_adjusted"]
    rows = rows[rows["spec"].isin(say.labels["rows"])].copy()
    order = list(say.labels["rows"])
    rows = rows.sort_values("spec", key=lambda s: s.map(order.index))
    forest(figure.add_subplot(), rows, [say.labels["rows"][s] for s in rows["spec"]], say)
    return rows[["spec", "estimate", "ci_low", "ci_high", "bound_low", "bound_high"]]


def values_f19(tables):
    """Where the adjusted effect and its interval cross zero."""
    sets, main = tables["04_frontier_sets"], tables["04_adjusted"].iloc[0]
    below = sets.loc[sets["ci_high"] < 0, "product"]
    signed = (sets["ci_high_set"] < 0) | (sets["ci_low_set"] > 0)
    return {
        **effect_values(main),
        "breakdown": tables["04_frontier"]["breakdown"].iloc[0],
        "clear_to": below.max() if len(below) else 0.0,
        "zero_low": sets["bound_low"].iloc[0],
        "zero_high": sets["bound_high"].iloc[0],
        "n_signed": int(signed.sum()),
        "n_products": len(sets),
        "verdict": "some" if signed.any() else "none",
    }


def draw_f19(figure, tables, say, values):
    """The rectangle of the two unknown numbers, and the sets along their product."""
    sets = tables["04_frontier_sets"]
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.15])
    backlog, share = np.meshgrid(np.linspace(0, 1, 201), np.linspace(0, 1, 201))
    product = backlog * share
    for edge, style in ((values["clear_to"], ":"), (values["breakdown"], "-")):
        left.contour(
            100 * backlog, share, product, [edge], colors=DARK, linewidths=1.2, linestyles=style
        )
    left.contourf(100 * backlog, share, product, [-1, values["clear_to"]], colors=[BAND])
    left.text(6, 0.06, say("lower"), fontsize=8, va="bottom")
    left.text(97, 0.96, say("higher"), fontsize=8, ha="right", va="top")
    x_numbers(left, say, [0, 50, 100], decimals=0)
    y_numbers(left, say)
    left.set_xlabel(say("backlog"))
    left.set_title(say("share"))
    left.grid(False)
    at = sets["product"]
    right.fill_between(
        at,
        sets["bound_low"],
        sets["bound_high"],
        facecolor="white",
        edgecolor=EDGE,
        hatch="////",
        linewidth=0.6,
    )
    for end in ("ci_low_set", "ci_high_set"):
        right.plot(at, sets[end], color=EDGE, linewidth=0.8, linestyle=(0, (1, 1.5)))
    right.fill_between(at, sets["ci_low"], sets["ci_high"], color=NAVY, alpha=0.18, linewidth=0)
    right.plot(at, sets["estimate"], color=NAVY)
    right.axhline(0, color=DARK, linewidth=0.9)
    right.axvline(values["breakdown"], color=DARK, linewidth=1.2)
    right.set_xlim(0, 1)
    x_numbers(right, say, [0, 0.5, 1], decimals=1)
    y_numbers(right, say)
    right.set_xlabel(say("product"))
    right.set_title(say("y"))
    return sets


def values_f20(tables):
    """The test between a slow start and no effect, and its power."""
    test, main = tables["04_slow_start"].iloc[0], effect_values(tables["04_adjusted"].iloc[0])
    return {
        **effect_values({**test, "weights": main["weights"]}),
        "base_first": main["pre_first"],
        "base_last": main["pre_last"],
        "size": test["size"],
        "power": 100 * test["power"],
        "step": float(tables["04_clock"]["exposure_to"].iloc[0]),
    }


def draw_f20(figure, tables, say, values):
    """The gap by calendar months and by months of effective capacity, least and most."""
    clocks = tables["04_clock"].dropna(subset=["estimate", "ci_low"])
    axes = figure.add_subplot()
    looks = {
        "calendar": (NAVY, "-", "o"),
        "least": (ORANGE, "--", "s"),
        "most": (DARK, ":", "^"),
    }
    for place, (clock, (color, line, marker)) in enumerate(looks.items()):
        rows = clocks[clocks["clock"] == clock]
        axes.plot(rows["exposure"], rows["estimate"], line, color=color, marker=marker)
        axes.vlines(rows["exposure"], rows["ci_low"], rows["ci_high"], color=color, linewidth=0.9)
        axes.text(
            1.0,
            0.98 - 0.07 * place,
            say(clock),
            color=ORANGE_TEXT if color == ORANGE else color,
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=8.5,
        )
    axes.axhline(0, color=DARK, linewidth=0.9)
    axes.set_xlim(left=0)
    axes.set_ylim(top=clocks["ci_high"].max() * 1.25)
    axes.xaxis.set_major_formatter(lambda x, _: numbers.number(x, 0, say.lang))
    y_numbers(axes, say)
    axes.set_xlabel(say("months"))
    axes.set_title(say("y"))
    return clocks[["clock", "exposure", "estimate", "ci_low", "ci_high", "n_areas"]]
