"""Where a backlog can be, as a polytope, and the two convex programmes solved over it.

Homogeneous coordinates p = (X, z) describe b by b - at = (Y p)/z with 0 <= X <= z, so that
stretching b - at is a step along z and every linear statement about b stays linear (Charnes and
Cooper 1962). Linear programmes go to HiGHS; the quadratic ones have a diagonal matrix with a thin
border, for which an interior point method (Mehrotra 1992) needs few lines and milliseconds.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from kokeilu_analysis.errors import KokeiluError

NEGLIGIBLE = 1e-12  # of a backlog or an effect of size one; what is smaller counts as zero


@dataclass(frozen=True)
class Region:
    """A box and linear statements (rows @ b <= limits, and equalities) about n columns.

    Columns are areas, and behind them perhaps auxiliary columns of weight zero. `whole` holds the
    numbers of the columns that must be 0 or 1.
    """

    lower: np.ndarray
    upper: np.ndarray
    rows: np.ndarray = None  # q by n
    limits: np.ndarray = None
    equal_rows: np.ndarray = None  # e by n
    equal_limits: np.ndarray = None
    whole: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    most_nodes: int = 4_000  # of a search over vertices; then the gap says what is left open

    def __post_init__(self):
        for rows, limits in (("rows", "limits"), ("equal_rows", "equal_limits")):
            if getattr(self, rows) is None:
                object.__setattr__(self, rows, np.zeros((0, len(self.lower))))
                object.__setattr__(self, limits, np.zeros(0))

    def is_box(self):
        """Tell whether nothing but the box restricts b."""
        return not len(self.limits) and not len(self.equal_limits)

    def with_rows(self, rows, limits):
        """Return the smaller region in which rows @ b <= limits as well."""
        return replace(
            self, rows=np.vstack([self.rows, rows]), limits=np.append(self.limits, limits)
        )

    def settled(self):
        """Return the region with 0/1 columns fixed where every row wants the same of them."""
        if not len(self.whole):
            return self
        most = np.maximum(self.rows * self.lower, self.rows * self.upper).sum(axis=1)
        rows = self.rows[most > self.limits]
        lower, upper = self.lower.copy(), self.upper.copy()
        plain = self.whole[~self.equal_rows[:, self.whole].any(axis=0)]
        zero = plain[(rows[:, plain] >= 0).all(axis=0)]
        one = plain[(rows[:, plain] <= 0).all(axis=0) & rows[:, plain].any(axis=0)]
        upper[zero], lower[one] = lower[zero], upper[one]
        return replace(
            self, lower=lower, upper=upper, rows=rows, limits=self.limits[most > self.limits]
        )

    def without_choices(self):
        """Return the larger region in which each open 0/1 column is as lenient as a row wants."""
        if not len(self.whole):
            return self
        open_ = self.whole[self.upper[self.whole] > self.lower[self.whole]]
        upper, rows = self.upper.copy(), self.rows.copy()
        upper[open_], rows[:, open_] = self.lower[open_], 0.0
        own = self.rows[:, open_]
        least = np.minimum(own * self.lower[open_], own * self.upper[open_]).sum(axis=1)
        limits = self.limits - least
        most = np.maximum(rows * self.lower, rows * upper).sum(axis=1)
        bites, whole = most > limits, np.empty(0, dtype=int)
        equal = ~self.equal_rows[:, open_].any(axis=1)
        return Region(
            self.lower,
            upper,
            rows[bites],
            limits[bites],
            self.equal_rows[equal],
            self.equal_limits[equal],
            whole,
            self.most_nodes,
        )

    def extreme(self, direction):
        """Return (largest direction @ b, an attaining b), or None when no b is feasible."""
        if (self.lower > self.upper).any():
            return None
        if self.is_box():
            point = np.where(direction > 0, self.upper, self.lower)
            return float(direction @ point), point
        bounds = np.column_stack([self.lower, self.upper])
        solved = linear(
            -direction, self.rows, self.limits, self.equal_rows, self.equal_limits, bounds
        )
        return None if solved is None else (float(direction @ solved[0]), solved[0])

    def common_values(self, together):
        """Return the interval of values that all columns of `together` can share, or None."""
        others = ~together

        def merged(rows):
            return np.column_stack([rows[:, together].sum(axis=1), rows[:, others]])

        region = Region(
            np.append(self.lower[together].max(), self.lower[others]),
            np.append(self.upper[together].min(), self.upper[others]),
            merged(self.rows),
            self.limits,
            merged(self.equal_rows),
            self.equal_limits,
        )
        first = np.eye(1, len(region.lower))[0]
        low, high = region.extreme(-first), region.extreme(first)
        return None if low is None or high is None else (-low[0], high[0])


@dataclass(frozen=True)
class Cone:
    """A region in homogeneous coordinates around the backlog `at`, with the moments of the fit.

    Of y = b - at stretched by z, `mean` @ p is the mean, `slope` @ p the covariance with the
    centred effects and p' `variance` p the variance, all with `weights`, which sum to one.
    """

    region: Region
    weights: np.ndarray
    centred: np.ndarray
    at: float
    free: np.ndarray = field(init=False)  # columns that are not single points
    frame: np.ndarray = field(init=False)  # Y, n by (free columns + 1)
    rows: np.ndarray = field(init=False)  # rows @ p <= 0; the first 2 * free + 1 are the box
    equal_rows: np.ndarray = field(init=False)  # equal_rows @ p == 0
    mean: np.ndarray = field(init=False)
    slope: np.ndarray = field(init=False)
    variance: np.ndarray = field(init=False)

    def __post_init__(self):
        region, span = self.region, self.region.upper - self.region.lower
        free = np.flatnonzero(span > 0)
        size = len(free)
        frame = np.zeros((len(span), size + 1))
        frame[free, np.arange(size)] = span[free]
        frame[:, -1] = region.lower
        last = np.eye(1, size + 1, size)
        box = np.vstack([-np.eye(size + 1), np.eye(size, size + 1)])
        box[size + 1 :, -1] = -1

        def homogeneous(rows, limits):
            made = rows @ frame - limits[:, None] * last
            return made[np.abs(made).max(axis=1, initial=0.0) > NEGLIGIBLE]

        stated = homogeneous(region.rows, region.limits)
        equal = homogeneous(region.equal_rows, region.equal_limits)
        frame[:, -1] -= self.at
        mean = self.weights @ frame
        spread = frame - mean
        values = {
            "free": free,
            "frame": frame,
            "rows": np.vstack([box, stated]),
            "equal_rows": equal,
            "mean": mean,
            "slope": (self.weights * self.centred) @ frame,
            "variance": spread.T @ (self.weights[:, None] * spread),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def equalities(self, norm):
        """Return independent rows and limits of the equalities, with norm @ p = 1 among them."""
        if not len(self.equal_rows):
            return norm[None], np.ones(1)
        rows = np.vstack([self.equal_rows, norm])
        left, sizes, right = np.linalg.svd(rows, full_matrices=False)
        kept = sizes > 1e-10 * sizes[0]
        return right[kept], left[-1, kept] / sizes[kept]

    def point(self, p):
        """Return the b of p, clipped to its box against rounding."""
        b = self.at + self.frame @ p / p[-1]
        return np.clip(b, self.region.lower, self.region.upper)

    def lift(self, b, scale):
        """Return p for the feasible point b, with z = 1/scale."""
        low, high = self.region.lower[self.free], self.region.upper[self.free]
        return np.append((b[self.free] - low) / (high - low), 1.0) / scale


def linear(cost, rows, limits, equal_rows, equal_limits, bounds):
    """Minimise cost @ x by HiGHS; return (x, lower bound proven by the duals) or None if empty."""
    from scipy.optimize import linprog

    solved = linprog(
        cost,
        A_ub=rows if len(limits) else None,
        b_ub=limits if len(limits) else None,
        A_eq=equal_rows if len(equal_limits) else None,
        b_eq=equal_limits if len(equal_limits) else None,
        bounds=bounds,
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if solved.status == 2:
        return None
    if solved.status != 0:
        raise KokeiluError(f"The linear programme for the bounds failed: {solved.message}")
    prices, equal_prices = np.minimum(solved.ineqlin.marginals, 0), solved.eqlin.marginals
    reduced = cost.copy()
    bound = 0.0
    if len(limits):
        reduced = reduced - rows.T @ prices
        bound += prices @ limits
    if len(equal_limits):
        reduced = reduced - equal_rows.T @ equal_prices
        bound += equal_prices @ equal_limits
    low, high = np.array(bounds, dtype=float).T
    with np.errstate(invalid="ignore"):
        corner = np.where(reduced > 0, reduced * low, reduced * high)
    return solved.x, float(bound + np.where(reduced == 0, 0.0, corner).sum())


def quadratic(curvature, vector, cone, norm):
    """Minimise curvature p'Vp/2 + vector @ p over the cone on norm @ p = 1 by interior point.

    Mehrotra's predictor-corrector. The matrix is diagonal in X but for a border of z, the mean and
    the stated rows, so a step costs one small solve. Returns p and the multipliers of
    (the rows, the equalities).
    """
    from scipy.linalg.lapack import dgetrf, dgetrs

    equal, limits = cone.equalities(norm)
    rows, size = cone.rows, len(vector) - 1
    own = rows[2 * size + 1 :]
    upper = slice(size + 1, 2 * size + 1)
    stated = slice(2 * size + 1, None)
    span, base = cone.frame[cone.free, np.arange(size)], cone.frame[:, -1]
    weights = cone.weights[cone.free]

    several = np.vstack([own, equal])
    border = np.column_stack([np.zeros(size), -cone.mean[:-1], several[:, :-1].T])
    corner = np.zeros((border.shape[1],) * 2)
    corner[0, 1:] = corner[1:, 0] = np.append(-cone.mean[-1], several[:, -1])
    corner[1, 1] = 1 / curvature
    marked, balanced = slice(2, 2 + len(own)), slice(2 + len(own), None)
    on_diagonal = np.arange(2, 2 + len(own))
    dp, second = np.zeros(size + 1), np.zeros(len(corner))

    p = np.linalg.lstsq(equal, limits, rcond=None)[0]
    slack, price = np.maximum(-rows @ p, 1.0), np.ones(len(rows))
    equal_price = np.zeros(len(limits))
    best, before = (np.inf, 0, p, price, equal_price), np.inf
    for number in range(100):
        dual = curvature * (cone.variance @ p) + vector + rows.T @ price + equal.T @ equal_price
        primal, balance = rows @ p + slack, equal @ p - limits
        middle = slack @ price / len(rows)
        primal[np.abs(primal) < 1e-14 * (1 + np.abs(p).max())] = 0.0  # rounding, not error
        error = max(middle, *(max(part.max(), -part.min()) for part in (dual, primal, balance)))
        if error < best[0]:
            best = error, number, p, price, equal_price
        if error < 1e-14 or number > best[1] + 8:  # rounding, not the method, sets the limit now
            break
        ratio = price / slack
        inner = curvature * weights * span**2 + ratio[:size]
        across = curvature * weights * span * base[cone.free]
        diagonal = inner + ratio[upper]
        border[:, 0] = across - ratio[upper]
        corner[0, 0] = curvature * (cone.weights @ base**2) + ratio[size]
        corner[on_diagonal, on_diagonal] = -1 / ratio[stated]
        small = corner - border.T @ (border / diagonal[:, None])
        # Written out, so that the large numbers of areas at their upper limit cancel exactly.
        shared = (ratio[upper] * (inner + 2 * across) - across**2) / diagonal
        small[0, 0] = corner[0, 0] + shared.sum()

        factor, pivots, singular = dgetrf(small)
        if singular:
            break
        target, ds, dprice = price * slack, 0.0, 0.0
        for corrected in (False, True):
            if corrected:
                reach = min(_longest(slack, ds), _longest(price, dprice))
                ahead = (slack + reach * ds) @ (price + reach * dprice) / len(rows)
                if middle > 0.9 * before:  # the corrector cycles: centre instead
                    target = target - 0.5 * middle
                else:
                    target = target + ds * dprice - (ahead / middle) ** 3 * middle
            push = (price * primal - target) / slack
            first = -dual - push[: 2 * size + 1] @ rows[: 2 * size + 1]
            second[0], second[marked], second[balanced] = (
                first[-1],
                -push[stated] / ratio[stated],
                -balance,
            )
            edge = dgetrs(factor, pivots, second - (first[:-1] / diagonal) @ border)[0]
            pull = first[:-1] - border[:, 1:] @ edge[1:]
            dp[:-1], dp[-1] = (pull - border[:, 0] * edge[0]) / diagonal, edge[0]
            ds = -rows @ dp
            ds[upper] = -(pull - (inner + across) * edge[0]) / diagonal
            ds -= primal
            dprice = -(target + price * ds) / slack
            dprice[stated] = edge[marked]
            ds[stated] = -(target + slack * dprice)[stated] / price[stated]
        if not np.isfinite(dp).all():
            break
        reach = 0.995 * min(_longest(slack, ds), _longest(price, dprice))
        p, equal_price = p + reach * dp, equal_price + reach * edge[balanced]
        slack, price, before = slack + reach * ds, price + reach * dprice, middle
    return best[2], best[3:]


def _longest(value, change):
    """Return the longest step in [0, 1] that keeps value + step * change at or above zero."""
    return 1.0 / max(1.0, (-change / value).max())


def excess(gradient, p, multipliers, cone, norm, largest_z):
    """Bound gradient @ (q - p) over the cone's points q with z <= largest_z (weak duality)."""
    price, equal_price = multipliers
    equal, limits = cone.equalities(norm)
    rest = gradient - cone.rows.T @ price - equal.T @ equal_price
    bound = -price @ (cone.rows @ p) + equal_price @ (limits - equal @ p)
    return float(bound + np.maximum(-rest * p, rest * (largest_z - p)).sum())


def least_variance(cone, norm):
    """Return a proven lower bound of p'Vp on norm @ p = 1."""
    p, multipliers = quadratic(2.0, np.zeros(len(norm)), cone, norm)
    over = excess(-2 * cone.variance @ p, p, multipliers, cone, norm, p[-1] + 1.0)
    return float(p @ cone.variance @ p - max(over, 0.0))
