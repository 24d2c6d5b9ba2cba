"""Where the trial is: places."""

import numpy as np

from kokeilu_analysis.report.style import NAVY, ORANGE, ORANGE_TEXT

BIG_MUNICIPALITY = 60_000  # inhabitants from which the map names a place
# where a name stands so that names do not meet: its edge at the dot, points upward
MAP_LABELS = {
    "Espoo": ("right", -4),
    "Vantaa": ("left", 7),
    "Helsinki": ("left", -6),
    "Turku": ("right", 0),
    "Pori": ("right", 0),
    "Vaasa": ("right", 0),
    "Hämeenlinna": ("right", -3),
    "Lahti": ("left", 9),
    "Kouvola": ("left", -3),
    "Lappeenranta": ("left", 8),
}


def values_f1(tables):
    """Counts and shares of the treated."""
    places, support = tables["01_municipalities"], tables["01_support"]
    people = places.groupby("group")["population_2020"].sum()
    largest = support[support["group"] == "control"].iloc[0]
    above = support[support["population_2020"] > largest["population_2020"]]
    return {
        "named_from": float(BIG_MUNICIPALITY),
        "share": 100 * people["trial"] / people.sum(),
        "largest_control": largest["municipality_name_fi"],
        "largest_control_people": float(largest["population_2020"]),
        "n_larger": len(above),
    }


def draw_f1(figure, tables, say, values):
    """Dot map: every municipality at its centre point, size by inhabitants."""
    places = tables["01_municipalities"].sort_values("population_2020", ascending=False)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_aspect(1 / np.cos(np.radians(65)))  # one degree of longitude at Finland's latitude
    for group, color, marker in (("control", ORANGE, "s"), ("trial", NAVY, "o")):
        part = places[places["group"] == group]
        axes.scatter(
            part["centre_lon"],
            part["centre_lat"],
            s=6 + part["population_2020"] / 1500,
            color=color,
            marker=marker,
            alpha=0.75,
            linewidth=0,
        )
    for row in places[places["population_2020"] > BIG_MUNICIPALITY].itertuples():
        side, up = MAP_LABELS.get(row.municipality_name_fi, ("left", 0))
        gap = 3 + np.sqrt(row.population_2020) / 90
        axes.annotate(
            row.municipality_name_sv if say.lang == "sv" else row.municipality_name_fi,
            (row.centre_lon, row.centre_lat),
            xytext=(gap if side == "left" else -gap, up),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=8,
            color=NAVY if row.group == "trial" else ORANGE_TEXT,
        )
    left = places["centre_lon"].min() - 5.5
    axes.text(left, 69.6, say("trial", n=values["n_trial"]), color=NAVY, fontsize=9, va="top")
    axes.text(
        left, 68.8, say("control", n=values["n_control"]), color=ORANGE_TEXT, fontsize=9, va="top"
    )
    axes.text(left, 68.0, say("size"), fontsize=8.5, va="top")
    axes.set_xlim(left - 0.2, places["centre_lon"].max() + 3)
    return places.drop(columns=[c for c in places if c.startswith("area")])
