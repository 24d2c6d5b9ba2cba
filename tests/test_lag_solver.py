"""Sharp bounds against SCIP, a global solver that knows nothing of how they are computed.

SCIP gets the backlogs, the mean, the variance and the slope as variables of a nonconvex quadratic
program and returns an attained value and a proof that nothing lies beyond it.
"""

import numpy as np
import pytest
from test_lag import ends, instance

from kokeilu_analysis.methods.lag import ENDS, intercept_bounds
from kokeilu_analysis.methods.line_losses import least_loss
from kokeilu_analysis.methods.line_region import Region

scip = pytest.importorskip("pyscipopt", reason="SCIP is the independent solver")


def stated(seed):
    """A random problem; every second one has a mean and an ordering among its statements."""
    d, low, high, w, at, rng = instance(5000 + seed)
    inside = rng.uniform(low, high)
    more = {}
    if seed % 2:
        mean, row = float(w @ inside / w.sum()), rng.normal(size=len(d))
        more = {"mean": (mean - 0.03, mean + 0.03), "constraints": ([row], [row @ inside + 0.02])}
    return d, low, high, w, at, more


def solved(d, low, high, w, at, more, slope, sign):
    """Value that SCIP attains and the bound that it proves."""
    model = scip.Model()
    model.hideOutput()
    for name, value in {"numerics/feastol": 1e-9, "limits/gap": 1e-8, "limits/time": 60}.items():
        model.setParam(name, value)
    w = w / w.sum()
    centred, n = d - w @ d, len(d)
    # Two areas whose ranges do not meet keep the variance away from zero, hence the slope finite.
    apart = max(
        (low[i] - high[j]) * np.sqrt(w[i] * w[j] / (w[i] + w[j]))
        for i in range(n)
        for j in range(n)
    )
    steepest = float(np.sqrt(w @ centred**2) / apart)
    b = [model.addVar(lb=float(x), ub=float(y)) for x, y in zip(low, high, strict=True)]
    mean = model.addVar(lb=0, ub=1)
    variance = model.addVar(lb=float(apart**2), ub=1)
    beta = model.addVar(lb=-steepest, ub=steepest)
    value = model.addVar(lb=None, ub=None)

    def total(weights, of):
        return scip.quicksum(float(x) * y for x, y in zip(weights, of, strict=True))

    model.addCons(mean == total(w, b))
    model.addCons(variance == total(w, [y * y for y in b]) - mean * mean)
    model.addCons(beta * variance == total(w * centred, b))
    model.addCons(value == (beta if slope else float(w @ d) + beta * (at - mean)))
    if more:
        model.addCons(mean >= more["mean"][0])
        model.addCons(mean <= more["mean"][1])
        (row,), (limit,) = more["constraints"]
        model.addCons(total(row, b) <= float(limit))
    model.setObjective(value, "maximize" if sign > 0 else "minimize")
    model.optimize()
    assert model.getStatus() in ("optimal", "gaplimit")
    return model.getObjVal(), model.getDualbound()


UNPROVED = {10, 111, 192}  # SCIP needs over five seconds to close its gap


def test_the_smallest_mean_at_the_reference_is_met_exactly():
    """The least mean of the box is `at` to rounding, where the fit is the mean effect."""
    d, low = np.array([-2.0, 0.1, 2.0, 3.2, 2.8]), np.array([0, 0.5, 0.7, 0.9, 0.9])
    high = np.array([0, 0.5, 0.75, 0.9, 1])
    found = intercept_bounds(d, low, high, at=0.6)
    assert found.intercept[1] == pytest.approx(d.mean(), abs=1e-9)


@pytest.mark.parametrize("seed", [seed for seed in range(203) if seed not in UNPROVED])
def test_sharp_bounds_are_the_global_optimum_that_scip_proves(seed):
    d, low, high, w, at, more = stated(seed)
    name = ENDS[seed // 2 % 4]  # each end for problems with and without statements
    found = intercept_bounds(d, low, high, w, at=at, minimum_areas=3, **more)
    mine = dict(zip(ENDS, ends(found), strict=True))[name]
    sign = 1 if name.endswith("high") else -1
    attained, proved = solved(d, low, high, w, at, more, name.startswith("slope"), sign)
    near = 1e-5 * max(1, abs(mine))  # SCIP holds its equations to 1e-9, the slope divides by them
    assert sign * (attained - mine) <= near, "SCIP found a feasible vector beyond the bound"
    assert sign * (proved - mine) >= -near, "SCIP proved that the bound cannot be attained"


def few_below(seed):
    """Ranges, an average and "at most so many below one half"; nearly always every line loses."""
    rng = np.random.default_rng(seed)
    n, k = 7, 1 + seed % 2
    low, high = np.full(n, 0.1), rng.uniform(0.75, 0.95, n)
    low[:3] = rng.uniform(0.6, 0.7, 3)
    low[3] = high[3] = 0.1
    w = rng.uniform(0.2, 3, n)
    at, sign = (0.0, 1) if seed % 2 else (1.0, -1)
    d = sign * (np.where(np.arange(n) < 3, 1.5, -0.5) + rng.normal(0, 0.1, n))
    eye, none = np.eye(n)[4:], np.zeros(n)
    rows = [np.column_stack([-eye, -0.4 * eye[:, 4:]]), [*none, *np.ones(3)]]  # x + 0.4 z >= 0.5
    mean = np.append(np.full(n, 1 / n), np.zeros(3))
    share = np.append(w / w.sum(), np.zeros(3))
    region = Region(
        np.append(low, np.zeros(3)),
        np.append(high, np.ones(3)),
        np.vstack([*rows, mean, -mean]),
        np.array([*np.full(3, -0.5), k, 0.54, -0.46]),
        whole=np.arange(n, n + 3),
    )
    centred = np.append(d - w @ d / w.sum(), np.zeros(3))
    return region, share, centred / np.abs(centred).max(), at


def proved_over(region, w, centred, at):
    """Bound that SCIP proves for the fitted value at `at`, less the mean effect, over a region."""
    model = scip.Model()
    model.hideOutput()
    for name, value in {"numerics/feastol": 1e-9, "limits/gap": 1e-7, "limits/time": 60}.items():
        model.setParam(name, value)
    kinds = np.where(np.isin(np.arange(len(w)), region.whole), "B", "C")
    ends = zip(region.lower, region.upper, kinds, strict=True)
    b = [model.addVar(lb=float(low), ub=float(high), vtype=kind) for low, high, kind in ends]

    def total(row):
        return scip.quicksum(float(row[i]) * b[i] for i in np.flatnonzero(row))

    for row, limit in zip(region.rows, region.limits, strict=True):
        model.addCons(total(row) <= float(limit))
    for row, limit in zip(region.equal_rows, region.equal_limits, strict=True):
        model.addCons(total(row) == float(limit))
    mean, variance = model.addVar(lb=0, ub=1), model.addVar(lb=1e-4, ub=1)
    value = model.addVar(lb=-100, ub=100)
    model.addCons(mean == total(w))
    squares = scip.quicksum(float(w[i]) * b[i] * b[i] for i in np.flatnonzero(w))
    model.addCons(variance == squares - mean * mean)
    model.addCons(value * variance == total(w * centred) * (at - mean))
    model.setObjective(value, "maximize")
    model.optimize()
    assert model.getStatus() in ("optimal", "gaplimit")
    return model.getDualbound()


@pytest.mark.parametrize("seed", range(33))
def test_a_loss_with_choices_is_no_further_from_scips_optimum_than_the_tolerance(seed):
    problem, tolerance = few_below(seed), 5e-3
    region, w, centred, at = problem
    proved, found = proved_over(*problem), least_loss(*problem, tolerance)
    assert (found is None) == (proved >= 0)  # then a line might gain, and other ways are open
    if found is None:
        return
    value, b, gap = found
    deviation = b - w @ b
    attained = (at - w @ b) * (w @ (centred * b)) / (w @ deviation**2)
    assert value == pytest.approx(attained, abs=1e-9) and gap <= tolerance
    assert np.all(region.rows @ b <= region.limits + 1e-8)
    assert value - 1e-6 <= proved <= value + gap + 1e-6
