"""What the answer becomes when parallel trends fail by no more than is said in advance.

Coefficients of an event study, beta = effect + delta, with one period as base. Two families of
restrictions on the violation delta (Rambachan & Roth 2023, REStud 90(5)):

    relative      |delta_t - delta_(t-1)| <= m * largest such step before the start
    smoothness    |delta_(t+1) - 2 delta_t + delta_(t-1)| <= m

The target is theta = l'effect, by default the first period after the start.

*Relative magnitudes.* The set is a union over the step s that is largest and its sign. In each
part the post-period moments are |D_t beta - psi_t| <= m v'beta, where D_t beta are steps of the
coefficients, psi_t steps of the effect with c'psi = theta and c_t the sum of l from t on, and v
the signed step. The dual of the test's linear programme then has known vertices: theta too low,
theta too high, and v'beta negative (one vertex for each t, all multiples of each other, of which
only the shortest and longest can matter). So the conditional test of Andrews, Roth & Pakes (2023,
REStud 90(6)) needs no solver, and the critical value of its least-favourable first stage is an
integral over the angle of a two-dimensional normal instead of a simulation.

*Smoothness.* The fixed-length interval of the optimal linear estimator (Armstrong & Kolesár 2018,
Econometrica 86(2)): its weights on the pre-periods trade bias against variance.
"""

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError

METHODS = ("relative", "smoothness")
ANGLES = 1024  # of the first-stage integral


def honest(betas, cov, n_pre, n_post, method="relative", m=1.0, level=0.95, weights=None):
    """Confidence interval for an effect when violations of parallel trends are bounded.

    Parameters
    ----------
    betas : array, shape (n_pre + n_post,)
        Event-study coefficients in order of time, the base period (just before the start) left
        out.
    cov : array, shape (n_pre + n_post, n_pre + n_post)
        Their covariance.
    n_pre, n_post : int
        Coefficients before and after the base.
    method : "relative" or "smoothness"
        Relative magnitudes (conditional test with a least-favourable first stage of a tenth of
        the level, post-period moments) or bounded second differences (fixed-length interval).
    m : float
        Bound: times the largest step before the start (relative), or units of the outcome per
        period squared (smoothness). 0 = parallel trends, or a linear difference in trends.
    level : float
    weights : array, shape (n_post,), optional
        l of the target l'effect; left out = the first period after the start.

    Returns
    -------
    (float, float)

    Raises
    ------
    KokeiluError
        Shapes do not fit, the covariance is not one, `m` is negative, or the method is unknown.

    Examples
    --------
    >>> low, high = honest([0.1, 0.5], np.diag([0.01, 0.01]), 1, 1, "smoothness", m=0.0)
    >>> round(low, 4), round(high, 4)     # 0.5 + 0.1 +- 1.96 sqrt(0.01 + 0.01)
    (0.3228, 0.8772)
    """
    beta, sigma, l_vec = _checked(betas, cov, n_pre, n_post, method, m, weights)
    if not 0.5 < level < 1:
        raise KokeiluError(f"Level is {level}; expected a share between 0.5 and 1.")
    if method == "relative":
        return _relative(beta, sigma, n_pre, l_vec, m, 1 - level)
    centre, reach = _fixed_length(beta, sigma, n_pre, l_vec, m, 1 - level)
    return centre - reach, centre + reach


def identified_set(betas, n_pre, n_post, method="relative", m=1.0, weights=None):
    """Values of the target that the restriction allows if the coefficients were known exactly.

    Parameters
    ----------
    betas, n_pre, n_post, method, m, weights
        As in `honest`.

    Returns
    -------
    (float, float)
        For smoothness NaN when the pre-periods bend more than `m` allows: the restriction is then
        refuted.

    Raises
    ------
    KokeiluError
        As in `honest`.

    Examples
    --------
    >>> identified_set([0.1, 0.3, 0.5], 2, 1, m=2.0)    # largest step before: |0 - 0.3|
    (-0.09999999999999998, 1.1)
    """
    beta, _, l_vec = _checked(betas, np.eye(n_pre + n_post), n_pre, n_post, method, m, weights)
    estimate = float(l_vec @ beta[n_pre:])
    steps = _steps(n_pre, n_post) @ beta
    if method == "relative":
        reach = m * np.abs(steps[:n_pre]).max() * np.abs(_tail_sums(l_vec)).sum()
        return float(estimate - reach), float(estimate + reach)
    bends = np.diff(steps[:n_pre])
    if (np.abs(bends) > m * (1 + 1e-12)).any():
        return np.nan, np.nan
    periods = np.arange(1, n_post + 1)
    centre = estimate - steps[n_pre - 1] * float(periods @ l_vec)
    reach = m * _bend_weights(l_vec).sum()
    return float(centre - reach), float(centre + reach)


def honest_table(betas, cov, n_pre, n_post, method, values, level=0.95, weights=None):
    """Interval and identified set at several bounds, for a figure.

    Parameters
    ----------
    values : list of float
        Bounds `m`; the other arguments as in `honest`.

    Returns
    -------
    DataFrame
        ``m``, ``ci_low_set``, ``ci_high_set``, ``bound_low``, ``bound_high``.

    Examples
    --------
    >>> honest_table([0.1, 0.5], np.diag([0.01, 0.01]), 1, 1, "relative", [0, 1]).round(2)
         m  ci_low_set  ci_high_set  bound_low  bound_high
    0  0.0        0.30         0.70        0.5         0.5
    1  1.0        0.16         0.84        0.4         0.6
    """
    rows = []
    for m in values:
        interval = honest(betas, cov, n_pre, n_post, method, m, level, weights)
        rows.append((m, *interval, *identified_set(betas, n_pre, n_post, method, m, weights)))
    columns = ["m", "ci_low_set", "ci_high_set", "bound_low", "bound_high"]
    return pd.DataFrame(rows, columns=columns, dtype=float)


def honest_breakdown(
    betas, cov, n_pre, n_post, method="relative", level=0.95, weights=None, largest=None
):
    """Largest bound at which the interval still leaves zero out.

    Parameters
    ----------
    betas, cov, n_pre, n_post, method, level, weights
        As in `honest`.
    largest : float, optional
        Where to stop looking; left out = 100 (relative) or 100 standard errors of the target.

    Returns
    -------
    float
        NaN when zero is inside already at bound 0; infinite when it is outside up to `largest`.

    Examples
    --------
    >>> round(honest_breakdown([0.1, 0.9], np.diag([0.01, 0.01]), 1, 1, "smoothness"), 3)
    0.767
    """
    _, sigma, l_vec = _checked(betas, cov, n_pre, n_post, method, 0.0, weights)
    if largest is None:
        spread = np.sqrt(l_vec @ sigma[n_pre:, n_pre:] @ l_vec)
        largest = 100.0 if method == "relative" else 100.0 * float(spread)

    def excludes(m):
        low, high = honest(betas, cov, n_pre, n_post, method, m, level, weights)
        return low > 0 or high < 0

    if not excludes(0.0):
        return np.nan
    if excludes(largest):
        return np.inf
    inside, outside = largest / 2**7, largest
    while not excludes(inside) and inside > largest * 1e-9:
        inside, outside = inside / 2, inside
    while outside - inside > 1e-6 * outside:
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if excludes(middle) else (inside, middle)
    return inside


def _checked(betas, cov, n_pre, n_post, method, m, weights):
    """Return coefficients, covariance and target weights as arrays, or say what is wrong."""
    beta, sigma = np.asarray(betas, dtype=float), np.asarray(cov, dtype=float)
    if method not in METHODS:
        raise KokeiluError(f"Method is {method!r}; expected one of {', '.join(METHODS)}.")
    if n_pre < 1 or n_post < 1:
        raise KokeiluError(f"{n_pre} periods before and {n_post} after; each must be at least 1.")
    k = n_pre + n_post
    if beta.shape != (k,) or sigma.shape != (k, k):
        raise KokeiluError(
            f"{n_pre} + {n_post} coefficients and their covariance expected; found shapes "
            f"{beta.shape} and {sigma.shape}. The base period is left out."
        )
    if not (np.isfinite(beta).all() and np.isfinite(sigma).all()):
        raise KokeiluError("A coefficient or covariance is missing or infinite.")
    scale = max(np.abs(sigma).max(), np.finfo(float).tiny)
    if not np.allclose(sigma, sigma.T, atol=1e-9 * scale):
        raise KokeiluError("The covariance is not symmetric.")
    if np.linalg.eigvalsh(sigma).min() < -1e-9 * scale * k:
        raise KokeiluError("The covariance has a negative eigenvalue.")
    if not (np.isfinite(m) and m >= 0):
        raise KokeiluError(f"Bound m is {m}; expected 0 or more.")
    l_vec = np.eye(n_post)[0] if weights is None else np.asarray(weights, dtype=float)
    if l_vec.shape != (n_post,) or not np.isfinite(l_vec).all() or not l_vec.any():
        raise KokeiluError(f"Weights of the target must be {n_post} numbers, not all 0.")
    return beta, (sigma + sigma.T) / 2, l_vec


def _steps(n_pre, n_post):
    """Matrix of first differences through the base, shape (n_pre + n_post, n_pre + n_post)."""
    levels = np.insert(np.eye(n_pre + n_post), n_pre, 0.0, axis=0)
    return np.diff(levels, axis=0)


def _tail_sums(l_vec):
    """Weights c of the post-period steps: theta = sum c_t psi_t."""
    return np.cumsum(l_vec[::-1])[::-1]


def _bend_weights(l_vec):
    """|Weights| of the target on the bend at the base and after it: sum over s of (s - j) l_s."""
    periods = np.arange(1, len(l_vec) + 1)
    return np.abs([np.clip(periods - j, 0, None) @ l_vec for j in range(len(l_vec))])


# Relative magnitudes.


def _relative(beta, sigma, n_pre, l_vec, m, alpha):
    steps = _steps(n_pre, len(l_vec))
    c = _tail_sums(l_vec)
    target = np.concatenate([np.zeros(n_pre), l_vec])
    parts = [
        _Part(beta, sigma, target, sign * v, steps[n_pre:], c, m, alpha)
        for v in steps[:n_pre]
        for sign in (1.0, -1.0)
    ]
    centre = float(target @ beta)
    margin = np.sqrt(target @ sigma @ target) + m * np.abs(c).sum() * np.sqrt(
        max(np.einsum("ij,jk,ik->i", steps[:n_pre], sigma, steps[:n_pre]).max(), 0.0)
    )
    reach = m * np.abs(c).sum() * np.abs(steps[:n_pre] @ beta).max() + 4 * margin

    def accepted(theta):
        return np.any([part.accepts(theta) for part in parts], axis=0)

    return tuple(_outer_edge(accepted, centre, sign * reach) for sign in (-1, 1))


def _outer_edge(accepted, centre, reach):
    """Return the last accepted value on one side of the centre, which is always accepted."""
    if reach == 0:
        return centre
    grid = centre + np.linspace(0, reach, 1001)
    while accepted(grid[-100:]).any():
        reach *= 2
        grid = centre + np.linspace(0, reach, 1001)
    at = np.flatnonzero(accepted(grid))[-1]
    inside, outside = grid[at], grid[at + 1]
    for _ in range(5):  # 65 ways at once: few rounds suffice
        finer = np.linspace(inside, outside, 66)
        at = np.flatnonzero(accepted(finer[:-1]))[-1]
        inside, outside = finer[at], finer[at + 1]
    return float(inside)


class _Part:
    """Test of theta within one part of the union: v'beta is the largest step before the start.

    The statistic is the largest of z_j(theta) = (row_j beta - shift_j theta) / n_j over the
    vertices j, n_j the standard deviations of the moments summed with the vertex's weights.
    """

    def __init__(self, beta, sigma, target, v, post, c, m, alpha):
        def deviation(row):
            return np.sqrt(max(row @ sigma @ row, 0.0))

        upper = np.array([deviation(d - m * v) for d in post])
        lower = np.array([deviation(-d - m * v) for d in post])
        weight = np.abs(c)
        rows = [target - m * weight.sum() * v, -target - m * weight.sum() * v]
        shift = [1.0, -1.0]
        n = [np.where(c > 0, upper, lower) @ weight, np.where(c > 0, lower, upper) @ weight]
        if m > 0:
            rows += [-2 * m * v] * 2
            n += [(upper + lower).min(), (upper + lower).max()]
        rows, n = np.array(rows), np.array(n)
        shift = np.append(shift, np.zeros(len(n) - 2))
        sure = n <= 1e-12 * np.sqrt(np.abs(sigma).max())
        # a moment without variance is a statement about theta that holds or does not
        self.sure_fixed, self.sure_shift = rows[sure] @ beta, shift[sure]
        loads = rows[~sure] / n[~sure, None]
        self.fixed, self.shift = loads @ beta, shift[~sure] / n[~sure]
        self.covariance = loads @ sigma @ loads.T
        self.scale = np.abs(beta).max()
        # the authors' programme conditions on having passed the first stage only when there are
        # effects of later periods to profile out; without them it is a little cautious
        self.capped = len(post) > 1
        first = alpha / 10
        self.first = _least_favourable(self.covariance, first)
        self.second_size = (alpha - first) / (1 - first)

    def accepts(self, theta):
        """Whether each value of theta is not rejected, shape of `theta`."""
        from scipy.special import log_ndtr

        theta = np.asarray(theta, dtype=float)[:, None]
        excess = self.sure_fixed - theta * self.sure_shift
        possible = (excess <= 1e-9 * self.scale).all(axis=1)
        if len(self.fixed) == 0:
            return possible
        z = self.fixed - theta * self.shift
        top = z.argmax(axis=1)
        largest = z[np.arange(len(z)), top]
        variance = self.covariance[top, top]
        rho = self.covariance[top] / variance[:, None]
        # a value above the cap overflows here and is rejected below whatever its tail is
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            cut = (z - rho * largest[:, None]) / (1 - rho)
            low = np.where(rho < 1 - 1e-9, cut, -np.inf).max(axis=1)
            high = np.where(rho > 1 + 1e-9, cut, np.inf).min(axis=1)
            if self.capped:
                high = np.minimum(high, self.first)
            sd = np.sqrt(variance)
            at, below, above = (log_ndtr(-edge / sd) for edge in (largest, low, high))
            tail = np.exp(at - below) * np.expm1(above - at) / np.expm1(above - below)
        rejected = (largest > self.first) | ((largest > 0) & (tail < self.second_size))
        return possible & ~rejected


def _least_favourable(covariance, size):
    """Critical value c of max_j z_j, z ~ N(0, covariance): exceeded with probability `size`.

    The statistics are combinations of two normals. In polar coordinates of the plane in which
    these are independent the largest is r m(phi), so the probability is the mean over angles of
    exp(-c^2 / (2 m(phi)^2)) where m is positive.
    """
    if not len(covariance):
        return 0.0  # nothing is uncertain
    values, vectors = np.linalg.eigh(covariance)
    plane = vectors[:, -2:] * np.sqrt(np.clip(values[-2:], 0, None))
    angle = 2 * np.pi * (np.arange(ANGLES) + 0.5) / ANGLES
    around = np.array([np.cos(angle), np.sin(angle)])[-plane.shape[1] :]
    m = (plane @ around).max(axis=0)
    m = m[m > 1e-9]
    low, high = 0.0, 10 * m.max(initial=0.0)
    for _ in range(40):
        middle = (low + high) / 2
        exceeded = np.exp(-(middle**2) / (2 * m**2)).sum() / ANGLES
        low, high = (middle, high) if exceeded > size else (low, middle)
    return high


# Bounded second differences.


def _fixed_length(beta, sigma, n_pre, l_vec, m, alpha):
    """Return centre and half length of the shortest fixed-length interval.

    Weights w_k on the coefficient k periods before the base are second differences of kappa,
    w_k = kappa_(k-1) - 2 kappa_k + kappa_(k+1), with kappa_0 = sum s l_s fixed by invariance to
    linear trends; the largest bias is m (sum |kappa_k| + bends after the base).
    """
    from scipy.optimize import minimize

    kappa_0 = float(np.arange(1, len(l_vec) + 1) @ l_vec)
    fixed = _bend_weights(l_vec).sum()  # |kappa_0| and the bends after the base
    second = np.diff(np.eye(n_pre + 2), 2, axis=0)  # rows k = 1 … n_pre; columns kappa_0 …
    to_weights = second[::-1, : n_pre + 1][:, 1:n_pre]  # in order of time; the last kappas are 0
    start = np.concatenate([second[::-1, 0] * kappa_0, l_vec])
    free = np.vstack([to_weights, np.zeros((len(l_vec), n_pre - 1))])
    unit = np.sqrt(max(start @ sigma @ start, np.finfo(float).tiny))
    scaled = sigma / unit**2
    h, g, constant = free.T @ scaled @ free, free.T @ scaled @ start, start @ scaled @ start
    bound, k = m / unit, n_pre - 1

    def length(parts):
        kappa = parts[:k] - parts[k:]
        sd = np.sqrt(max(kappa @ h @ kappa + 2 * g @ kappa + constant, 1e-300))
        ratio = bound * (fixed + parts.sum()) / sd
        c, slope = _folded_quantile(ratio, alpha)
        by_sd = (c - ratio * slope) * (h @ kappa + g) / sd
        return c * sd, np.concatenate([by_sd, -by_sd]) + slope * bound

    kappa = np.zeros(k)
    if k:
        begin = -np.linalg.lstsq(h, g, rcond=None)[0]  # the least variance
        begin = np.concatenate([np.clip(begin, 0, None), np.clip(-begin, 0, None)])
        best = minimize(
            length, begin, jac=True, method="SLSQP", bounds=[(0, None)] * (2 * k),
            options={"maxiter": 1000, "ftol": 1e-14},
        )  # fmt: skip
        candidates = [best.x, begin, np.zeros(2 * k)]
        chosen = min(candidates, key=lambda parts: length(parts)[0])
        kappa = chosen[:k] - chosen[k:]
    chosen = np.concatenate([np.clip(kappa, 0, None), np.clip(-kappa, 0, None)])
    q = start + free @ kappa
    return float(q @ beta), float(length(chosen)[0] * unit)


def _folded_quantile(t, alpha):
    """Return c with P(|N(t, 1)| <= c) = 1 - alpha, and its derivative in t."""
    from scipy.special import ndtr, ndtri

    low, high = t, t + float(ndtri(1 - alpha / 2))
    for _ in range(60):
        c = (low + high) / 2
        low, high = (c, high) if ndtr(c - t) - ndtr(-c - t) < 1 - alpha else (low, c)
    near, far = np.exp(-((c - t) ** 2) / 2), np.exp(-((c + t) ** 2) / 2)
    return c, (near - far) / (near + far)
