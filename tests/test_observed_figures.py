"""Figures of the starting lag when every backlog is observed, as with a register: made-up data."""

import itertools

import numpy as np
import pytest
from drawn import LANGUAGES, tables

from kokeilu_analysis.report import drawings, figures


def page_of(lang, share, effect):
    """Texts of F7 with their boxes in points, had the areas these backlogs and effects."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    given = {name: table.copy() for name, table in tables("F7").items()}
    bounds, areas = given["02_area_bounds"], given["04_area_effects"]
    known = np.isfinite(share)
    bounds["known"] = np.where(known, "value", bounds["known"])
    bounds["bound_low"] = np.where(known, share, bounds["bound_low"])
    bounds["bound_high"] = np.where(known, share, bounds["bound_high"])
    areas["estimate"] = effect
    values = figures.group_sizes() | drawings.values_f7(given)
    said = figures.words("F7", lang, values)
    with mpl.rc_context(figures.STYLE):
        size = (figures.WIDTH_MM / figures.MM, figures.register()["F7"]["height_mm"] / figures.MM)
        figure = Figure(figsize=size, dpi=72, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.04, h_pad=0.05)
        drawings.draw_f7(figure, given, said, values)
        figure.draw_without_rendering()  # the layout settles
        texts, draw = [], Text.draw

        def noted(self, renderer):
            if self.get_visible() and self.get_text().strip():
                # of the text alone: a note's own extent takes in its leader
                texts.append((self.get_text(), Text.get_window_extent(self, renderer)))
            return draw(self, renderer)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Text, "draw", noted)
            figure.draw_without_rendering()
    return figure, texts


def invented():
    rng = np.random.default_rng(7)
    n = len(tables("F7")["04_area_effects"])
    one = np.where(np.arange(n) < 13, 0.5, np.nan)
    return {
        "spread": (rng.uniform(0, 1, n), rng.normal(0.5, 1.5, n)),
        "all alike": (np.full(n, 0.5), np.full(n, 0.7)),
        "all high": (np.full(n, 1.0), rng.normal(0, 0.01, n)),
        "close together": (rng.uniform(0.4, 0.6, n), rng.uniform(0.6, 0.8, n)),
        "one far away": (rng.uniform(0, 1, n), np.r_[30.0, rng.normal(0, 0.2, n - 1)]),
        "half known": (one, rng.normal(0, 1, n)),
        "tiny effects": (rng.uniform(0, 1, n), rng.normal(0, 1e-3, n)),
        "all below": (rng.uniform(0, 1, n), -rng.uniform(1, 2, n)),
    }


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("case", invented())
def test_no_two_names_of_areas_overlap_whatever_was_observed(case, lang):
    figure, texts = page_of(lang, *invented()[case])
    width, height = (72 * inches for inches in figure.get_size_inches())
    for text, box in texts:
        assert -0.5 <= box.x0 and box.x1 <= width + 0.5, text
        assert -0.5 <= box.y0 and box.y1 <= height + 0.5, text
    meeting = [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(texts, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5
    ]
    assert meeting == []
    names = set(tables("F7")["02_area_bounds"][f"area_name_{'sv' if lang == 'sv' else 'fi'}"])
    known = np.isfinite(invented()[case][0]).all()
    assert not known or names <= {text for text, _ in texts}
