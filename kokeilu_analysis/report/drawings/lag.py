"""The starting lag: areas against their backlog, the adjusted comparison."""

from kokeilu_analysis.report import numbers
from kokeilu_analysis.report.marks import (
    effect_values,
    forest,
    spread_apart,
    x_numbers,
    y_numbers,
)
from kokeilu_analysis.report.style import DARK, EDGE, NAVY


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
    for end, column in named.groupby("bound_high"):
        places = spread_apart(column["estimate"], gap=0.24)
        for label, y in zip(column[name], places, strict=True):
            axes.text(100 * end + 1.5, y, label, va="center", fontsize=8, color=NAVY)
    axes.text(13, areas["estimate"].max() * 0.75, say("rest"), fontsize=8, color=DARK)
    axes.axhline(0, color=DARK, linewidth=0.9)
    axes.set_xlim(0, 104)
    x_numbers(axes, say, [0, 20, 40, 60, 80, 100], decimals=0)
    y_numbers(axes, say)
    axes.set_xlabel(say("x"))
    axes.set_title(say("y"))
    shown = ["area_id", "area_name_fi", "known", "bound_low", "bound_high", "estimate"]
    return areas[shown].sort_values("area_id")


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
