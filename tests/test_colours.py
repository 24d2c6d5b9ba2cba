"""The figures' colours stay apart for the common kinds of colour vision and in grey print."""

import itertools

import numpy as np
import pytest
from drawn import IDS, drawn
from matplotlib.colors import to_hex, to_rgb

from kokeilu_analysis.report import area_chart, style

# Complete deuteranopia, protanopia and tritanopia on linear RGB: Machado, Oliveira & Fernandes
# (2009), A physiologically-based model for simulation of color vision deficiency, severity 1.0.
VISION = {
    "all colours": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
    "grey": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),
}
EVERY = pytest.mark.parametrize("vision", VISION)
APART = 20  # CIE76; about 2 is the smallest difference that eyes see side by side
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip
WHITE = TO_XYZ.sum(axis=1)
GROUNDS = {"#ffffff", style.GRID.lower(), style.BAND.lower()}  # they carry no data


def lab(colour, vision):
    """CIELAB of a colour as a kind of eye sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = TO_XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / WHITE
    f = np.where(seen > (6 / 29) ** 3, np.cbrt(seen), seen / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one, other, vision):
    """CIE76 distance of two colours as a kind of eye sees them."""
    return float(np.linalg.norm(lab(one, vision) - lab(other, vision)))


def is_reference(line):
    """A straight line right across the axes, such as zero: its place says what it is."""
    return len(line.get_xdata()) == 2 and line.get_transform() is not line.axes.transData


def forms(figure):
    """What each colour of a figure's data looks like besides its colour: dashes, dots, hatches.

    Bands and spans around a line go with the line, which tells them apart.
    """
    lines, others = {}, {}
    for axes in figure.axes:
        for line in axes.lines:
            if not is_reference(line):
                look = f"{line.get_linestyle()} {line.get_marker()}"
                lines.setdefault(to_hex(line.get_color()), set()).add(look)
        for group in axes.collections:
            for colour in {to_hex(c) for c in [*group.get_facecolor(), *group.get_edgecolor()]}:
                outline = str(group.get_paths()[0].vertices.round(3)) if group.get_paths() else ""
                others.setdefault(colour, set()).add(f"{type(group).__name__} {outline}")
        for bar in (patch for patch in axes.patches if patch.get_fill()):
            for colour in (to_hex(bar.get_facecolor()), to_hex(bar.get_edgecolor())):
                others.setdefault(colour, set()).add(f"bar {bar.get_hatch() or ''}")
    return {c: looks for c, looks in (others | lines).items() if c not in GROUNDS}


def test_the_simulation_leaves_grey_as_it_is_and_mixes_what_each_eye_mixes():
    for vision in VISION:
        assert distance("#808080", "#808080", vision) == 0
        assert lab("#ffffff", vision) == pytest.approx([100, 0, 0], abs=0.1)
    red, green = "#d00000", "#6f6f00"  # as bright as each other for an eye without red or green
    assert distance(red, green, "deuteranopia") < distance(red, green, "all colours") / 2
    blue, teal = "#0060ff", "#008a8a"
    assert distance(blue, teal, "tritanopia") < distance(blue, teal, "all colours") / 2
    red, green = "#ff0000", "#008000"  # of about the same brightness
    assert distance(red, green, "grey") < APART / 2 < APART < distance(red, green, "all colours")


def test_the_distance_of_black_and_white_is_a_hundred():
    assert distance("#000000", "#ffffff", "all colours") == pytest.approx(100, abs=0.01)


@EVERY
def test_trial_and_control_stay_apart(vision):
    assert distance(style.NAVY, style.ORANGE, vision) >= APART
    assert distance(style.NAVY, style.ORANGE_TEXT, vision) >= 10  # words say it as well


@EVERY
def test_data_stand_out_from_every_ground(vision):
    for colour, ground in itertools.product(
        (style.NAVY, style.ORANGE, style.ORANGE_TEXT, style.DARK, style.EDGE), GROUNDS
    ):
        assert distance(colour, ground, vision) >= APART, (colour, ground)


@EVERY
@pytest.mark.parametrize("figure_id", IDS)
def test_colours_that_come_together_differ_to_every_eye_or_in_their_form(figure_id, vision):
    looks = forms(drawn(figure_id, "en").figure)
    assert looks
    for one, other in itertools.combinations(sorted(looks), 2):
        if distance(one, other, vision) < APART:
            assert not looks[one] & looks[other], (one, other)


@EVERY
def test_the_two_lines_of_an_area_page_differ_in_colour_and_in_form(vision):
    (_, _, one, first, _), (_, _, other, second, _) = area_chart.LINES
    assert distance(first, second, vision) >= APART and one != other


def test_two_series_of_one_form_in_colours_that_grey_mixes_would_be_found():
    from matplotlib.figure import Figure

    axes = (figure := Figure()).add_subplot()
    axes.plot([1, 2, 3], [1, 2, 3], color=style.NAVY)
    axes.plot([1, 2, 3], [3, 2, 1], color=style.DARK)
    looks = forms(figure)
    assert distance(*looks, "grey") < APART and set.intersection(*looks.values())
