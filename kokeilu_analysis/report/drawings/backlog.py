"""The starting backlog: bounds, COVID's share, worth of replies."""

import numpy as np

from kokeilu_analysis.report import numbers
from kokeilu_analysis.report.marks import (
    forest,
    quantity_row,
    short_decimals,
    x_numbers,
)
from kokeilu_analysis.report.style import BAND, EDGE, NAVY


def values_f2(tables):
    """How wide the areas' ranges are."""
    areas = tables["02_area_bounds"]
    mean = quantity_row(tables, "mean_of_areas")
    return {
        "n_areas": len(areas),
        "n_reported": int((areas["known"] != "rest").sum()),
        "n_rest": int((areas["known"] == "rest").sum()),
        "mean_low": 100 * mean["bound_low"],
        "mean_high": 100 * mean["bound_high"],
        "rest_low": 100 * areas.loc[areas["known"] == "rest", "bound_low"].min(),
        "rest_high": 100 * areas.loc[areas["known"] == "rest", "bound_high"].max(),
        "smallest": 100 * areas["bound_low"].min(),
        "largest": 100 * areas["bound_high"].max(),
    }


def draw_f2(figure, tables, say, values):
    """One bar an area, from the lowest to the highest backlog that the statements allow."""
    areas = tables["02_area_bounds"].copy()
    areas["order"] = areas["known"].map({"value": 0, "range": 1, "rest": 2})
    areas = areas.sort_values(["order", "bound_high", "area_id"], ascending=[True, False, True])
    axes = figure.add_subplot()
    for y, row in enumerate(areas.itertuples()):
        low, high = 100 * row.bound_low, 100 * row.bound_high
        if row.known == "value":
            axes.plot(low, y, "o", color=NAVY, markersize=6)
        elif row.known == "range":
            axes.barh(y, high - low, left=low, height=0.62, color=NAVY)
        else:
            axes.barh(
                y,
                high - low,
                left=low,
                height=0.62,
                facecolor="white",
                edgecolor=EDGE,
                linewidth=0.6,
                hatch="////",
            )
    name = "area_name_sv" if say.lang == "sv" else "area_name_fi"
    axes.set_yticks(range(len(areas)), areas[name], fontsize=8)
    axes.set_ylim(len(areas) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    x_numbers(axes, say, [0, 20, 40, 60, 80, 100], decimals=0)
    axes.set_xlabel(say("x"))
    axes.grid(axis="x")
    axes.grid(False, axis="y")
    axes.axvspan(values["mean_low"], values["mean_high"], color=BAND, zorder=0)
    middle = (values["mean_low"] + values["mean_high"]) / 2
    axes.annotate(
        say("mean"),
        (middle, -0.6),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=8,
    )
    return areas.drop(columns="order")


def values_f10(tables):
    """The most that COVID can explain under the plainest assumption, and what is left."""
    ladder, mean = tables["02_covid_share"], quantity_row(tables, "mean_of_areas")
    same = ladder[ladder["assumption"] == "same"].iloc[0]
    return {
        "most": 100 * same["bound_high"],
        "rest": 100 * same["rest_low"],
        "free": 100 * ladder["bound_high"].max(),
        "mean_low": 100 * mean["bound_low"],
        "mean_high": 100 * mean["bound_high"],
    }


def draw_f10(figure, tables, say, values):
    """One bar an assumption: how many points of the average COVID can explain."""
    ladder = tables["02_covid_share"].copy()
    bars = ladder.assign(
        bound_low=100 * ladder["bound_low"], bound_high=100 * ladder["bound_high"], estimate=np.nan
    )
    bars[["ci_low", "ci_high"]] = np.nan
    labels = [
        say(row.assumption, k=numbers.number(row.k, short_decimals(row.k), say.lang))
        for row in ladder.itertuples()
    ]
    forest(figure.add_subplot(), bars, labels, say)
    return ladder


def values_f11(tables):
    """What the most telling area's reply would be worth."""
    ranking = tables["02_replies"].sort_values("rank")
    first = ranking.iloc[0]
    return {
        "first_fi": first["area_name_fi"],
        "first_sv": first["area_name_sv"],
        "gain": 100 * first["gain_mean"],
        "gain_worst": 100 * first["gain_worst"],
        "gain_best": 100 * first["gain_best"],
        "width": 100 * first["width_now"],
        "n_zero": int((ranking["gain_best"] < 1e-9).sum()),
    }


def draw_f11(figure, tables, say, values):
    """One line an area: worst to best gain of a reply, a dot at the mean."""
    ranking = tables["02_replies"].sort_values("rank")
    axes = figure.add_subplot()
    for y, row in enumerate(ranking.itertuples()):
        axes.plot([100 * row.gain_worst, 100 * row.gain_best], [y, y], color=NAVY, linewidth=1.4)
        axes.plot(100 * row.gain_mean, y, "o", color=NAVY, markersize=5)
    name = "area_name_sv" if say.lang == "sv" else "area_name_fi"
    axes.set_yticks(range(len(ranking)), ranking[name], fontsize=8)
    axes.set_ylim(len(ranking) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(lambda x, _: numbers.number(x, 1, say.lang))
    axes.set_xlabel(say("x"))
    axes.grid(axis="x")
    axes.grid(False, axis="y")
    return ranking[["rank", "area_id", name, "gain_worst", "gain_mean", "gain_best", "width_now"]]
