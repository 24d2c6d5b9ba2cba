"""Wild cluster bootstrap of one regression coefficient, on cluster sums.

With x~ the regressor of interest after taking the others out, u the residuals under the null
coefficient b, X an orthonormal basis of all regressors, D = x~'x~, and signs v_g = +-1 a cluster,

    b* - b  = sum_g v_g a_g / D                      a_g = x~_g'u_g
    score_g = v_g a_g - L_g r                        L_g = x~_g'X_g,  r = sum_h v_h X_h'u_h
    t*^2    = (sum_g v_g a_g)^2 / sum_g score_g^2    (the small-sample factor cancels)

so a draw costs as many multiplications as there are clusters and regressors, whatever the rows
(Roodman, Nielsen, MacKinnon & Webb 2019, Stata Journal 19(1)). a, r and the scores are linear in
b: numerators and squared scores are kept as polynomials of b, and the interval of all b that the
test does not reject needs no further draws.
"""

import re

import numpy as np
import pandas as pd

from kokeilu_analysis.errors import KokeiluError

BLOCK = 2_000_000  # numbers held at a time


def wild_cluster(
    frame, formula, term, cluster, draws=9999, seed=0, weights=None, level=0.95, null=0.0
):
    """Restricted wild cluster bootstrap (WCR, Rademacher signs) of a least-squares coefficient.

    Parameters
    ----------
    frame : DataFrame
        One row an observation; on a balanced panel with one start date a row a unit (its change)
        gives the same coefficient with far fewer rows.
    formula : str
        ``"y ~ a + b"``, constant included unless ``0 +`` is written; fixed effects follow a bar,
        ``"y ~ a | unit + month"``. Names of numeric columns are read as they stand; anything
        else (interactions, ``C(…)``) is left to formulaic.
    term : str
        The coefficient tested, as named in the formula.
    cluster : str
        Column of cluster labels.
    draws : int
        Signs drawn. When all 2^G combinations are no more than that they are enumerated instead
        and p is exact.
    seed : int
    weights : str, optional
        Column of positive weights (weighted least squares).
    level : float
        Level of the interval: all null values with p above 1 - level, found by bisection from
        the estimate outwards; an end is infinite when the test never rejects on that side.
    null : float
        Null value that `t` and `p` are about.

    Returns
    -------
    dict
        ``estimate``; ``t`` with CR1 standard error ``se`` (factor G/(G-1) (N-1)/(N-K), fixed
        effects nested in clusters not counted in K); ``p`` symmetric; ``ci_low``, ``ci_high``;
        ``n_units`` (rows), ``n_clusters``, ``draws`` (used).

    Raises
    ------
    KokeiluError
        A column is absent or has missing values, the formula cannot be read, the term is a
        combination of the other regressors, or there are fewer than 2 clusters.

    References
    ----------
    Cameron, Gelbach & Miller 2008, REStat 90(3); MacKinnon & Webb 2018, Econometrics J. 21(2).

    Examples
    --------
    >>> f = pd.DataFrame({"y": [3.0, 4, 5, 0, 1, 1, 2], "d": [1, 1, 1, 0, 0, 0, 0],
    ...                   "g": list("abcdefg")})
    >>> r = wild_cluster(f, "y ~ d", "d", "g")
    >>> float(r["estimate"]), r["draws"], float(r["p"])    # 2 of the 128 sign vectors
    (3.0, 128, 0.015625)
    """
    if not 0 < level < 1:
        raise KokeiluError(f"Level is {level}; expected a share between 0 and 1.")
    if draws < 1:
        raise KokeiluError(f"{draws} draws; expected at least 1.")
    y, x, others, code, count = _regression(frame, formula, term, cluster, weights)
    parts = _Sums(y, x, others, code)
    forms = parts.draw(draws, seed)
    exact = len(forms[0]) < draws  # all signs but for v and -v
    distance, score = parts.estimate, (parts.a_y - parts.estimate * parts.a_x) ** 2
    spread, tie = np.sqrt(score.sum()) / parts.d, score.sum() * (1 + 1e-9)
    linear, quadratic = forms[:2], forms[2:]

    def p(b):
        numerator = np.array([1, -b]) @ linear
        square = np.maximum(np.array([1, -2 * b, b * b]) @ quadratic, 0)
        # products, so that no score is divided by; equal statistics must count as equal
        observed = (parts.d * (distance - b)) ** 2
        large = np.count_nonzero(numerator * numerator * tie >= observed * square)
        return large / len(square) if exact else (1 + large) / (len(square) + 1)

    ends = [_end(p, parts.estimate, sign * spread, 1 - level) for sign in (-1, 1)]
    n, k, g = count, parts.rank, parts.groups
    se = spread * np.sqrt(g / (g - 1) * (n - 1) / (n - k)) if n > k else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (parts.estimate - null) / se
    found = {"estimate": parts.estimate, "se": se, "t": t, "p": p(null)}
    found |= {"ci_low": ends[0], "ci_high": ends[1], "n_units": n, "n_clusters": g}
    return found | {"draws": 2**g if exact else draws}


def _end(p, estimate, step, alpha):
    """Return the last null value on one side that is not rejected; infinite if none is."""
    if step == 0 or not np.isfinite(step):
        return estimate
    inside, outside, size = estimate, estimate + 2 * step, 2 * step
    while p(outside) > alpha:
        size *= 2
        inside, outside = outside, estimate + size
        if abs(size) > 1e4 * abs(step):
            return np.copysign(np.inf, step)
    for _ in range(60):
        if abs(outside - inside) <= 1e-9 * abs(step):
            break
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if p(middle) > alpha else (inside, middle)
    return inside


class _Sums:
    """The cluster sums of one regression that the bootstrap needs."""

    def __init__(self, y, x, others, code):
        self.groups = int(code.max()) + 1
        basis = _orthonormal(others)
        partial = x - basis @ (basis.T @ x)
        partial -= basis @ (basis.T @ partial)
        self.d = float(partial @ partial)
        if self.d <= 1e-16 * float(x @ x) * len(x) or self.d == 0:
            raise KokeiluError("The term is a combination of the other regressors; drop some.")
        residual = y - basis @ (basis.T @ y)
        self.estimate = float(partial @ residual) / self.d
        whole = np.column_stack([basis, partial / np.sqrt(self.d)])
        self.rank = whole.shape[1]
        self.a_y, self.a_x = self._sum(partial * residual, code), self._sum(partial**2, code)
        self.l = self._sum(partial[:, None] * whole, code)
        self.r_y = self._sum(residual[:, None] * whole, code)
        self.r_x = self.l

    def _sum(self, values, code):
        columns = values.reshape(len(values), -1).T
        sums = [np.bincount(code, column, self.groups) for column in columns]
        return np.array(sums).T if values.ndim > 1 else sums[0]

    def draw(self, draws, seed):
        """Return numerators (N_y, N_x) and squared scores (yy, yx, xx), each shape (draws,)."""
        k = self.rank
        loads = np.column_stack(
            [self.a_y, self.a_x, self.a_y[:, None] * self.l, self.a_x[:, None] * self.l,
             self.r_y, self.r_x]
        )  # fmt: skip
        h = self.l.T @ self.l
        constants = self.a_y @ self.a_y, self.a_y @ self.a_x, self.a_x @ self.a_x
        out = []
        for signs in _signs(self.groups, draws, seed, max(64, BLOCK // max(loads.shape))):
            n_y, n_x, rest = np.split(signs @ loads, [1, 2], axis=1)
            c_y, c_x, r_y, r_x = np.split(rest, [k, 2 * k, 3 * k], axis=1)
            hr_y, hr_x = r_y @ h, r_x @ h
            yy = constants[0] + ((hr_y - 2 * c_y) * r_y).sum(axis=1)
            yx = constants[1] + ((hr_y - c_y) * r_x - c_x * r_y).sum(axis=1)
            xx = constants[2] + ((hr_x - 2 * c_x) * r_x).sum(axis=1)
            out.append(np.array([n_y[:, 0], n_x[:, 0], yy, yx, xx]))
        return np.concatenate(out, axis=1)


def _signs(groups, draws, seed, rows):
    """Yield blocks of +-1, shape (rows, groups); every combination once when `draws` allow it."""
    if 2**groups <= draws:
        # v and -v give the same |t|: the last cluster keeps its sign
        total = 2 ** (groups - 1)
        for begin in range(0, total, rows):
            code = np.arange(begin, min(begin + rows, total))[:, None]
            yield 1.0 - 2 * ((code >> np.arange(groups)) & 1)
        return
    rng = np.random.default_rng(seed)
    words = -(-groups // 64)  # whole words a row: the draws do not depend on the block size
    for begin in range(0, draws, rows):
        size = min(rows, draws - begin)
        bits = rng.integers(0, 2**64, (size, words), dtype=np.uint64).astype("<u8").view(np.uint8)
        yield 1.0 - 2 * np.unpackbits(bits, axis=1, bitorder="little")[:, :groups]


def _orthonormal(columns):
    """Orthonormal basis of the columns, collinear ones left out."""
    size = np.sqrt((columns**2).sum(axis=0))
    columns = columns[:, size > 0] / size[size > 0]
    if columns.shape[1] <= 1:
        return columns
    u, s, _ = np.linalg.svd(columns, full_matrices=False)
    return u[:, s > 1e-10 * s[0]]


def _regression(frame, formula, term, cluster, weights):
    """Return y, x, the other regressors, cluster codes and the number of rows.

    Rows are multiplied by the root of their weight; the finest fixed effect nested in clusters is
    taken out by means (its part of the scores is zero), the others become columns.
    """
    outcome, terms, constant, effects = _read(formula)
    if term not in terms:
        raise KokeiluError(f"Term {term!r} is not in {formula!r}; it has {', '.join(terms)}.")
    absent = [c for c in (cluster, weights, *effects) if c and c not in frame.columns]
    if absent:
        raise KokeiluError(f"No column {absent[0]}; the frame has {list(frame.columns)}.")
    for column in (cluster, *effects):
        missing = frame[column].isna().to_numpy()
        if missing.any():
            raise KokeiluError(f"Row {frame.index[missing.argmax()]} has no value in {column}.")
    code, labels = pd.factorize(frame[cluster])
    if len(labels) < 2:
        raise KokeiluError(f"A cluster bootstrap needs at least 2 clusters; found {len(labels)}.")
    y = _numbers(frame, outcome)
    columns = {name: _numbers(frame, name) for name in terms}
    w = _numbers(frame, weights) if weights else np.ones(len(frame))
    if (w <= 0).any():
        at = frame.index[(w <= 0).argmax()]
        raise KokeiluError(f"Row {at}: weight {weights} must be positive.")
    x = columns.pop(term)
    others = [*columns.values()]
    if constant and not effects:
        others.append(np.ones(len(frame)))
    levels = {name: pd.factorize(frame[name])[0] for name in effects}
    nested = {
        name: at for name, at in levels.items()
        if len(np.unique(at * len(labels) + code)) == at.max() + 1
    }  # fmt: skip
    absorbed = max(nested, key=lambda name: nested[name].max()) if nested else None
    for name, at in levels.items():
        if name != absorbed:
            others.extend((at == level).astype(float) for level in range(at.max() + 1))
    others = np.column_stack(others) if others else np.zeros((len(frame), 0))
    design = np.column_stack([y, x, others])
    if absorbed:
        at = levels[absorbed]
        size, largest = np.bincount(at, w), np.abs(design).max(axis=0, initial=0.0)
        for j in range(design.shape[1]):
            design[:, j] -= (np.bincount(at, w * design[:, j]) / size)[at]
        left = np.abs(design).max(axis=0, initial=0.0)
        design[:, left < 1e-12 * largest] = 0.0  # constant within the effect: only rounding is left
        design[np.abs(design) < 1e-12 * left] = 0.0
    design *= np.sqrt(w)[:, None]
    return design[:, 0], design[:, 1], design[:, 2:], code, len(frame)


def _read(formula):
    """Split a formula into outcome, terms, whether there is a constant, and fixed effects."""
    left, bar, right = formula.partition("~")
    terms, _, effects = right.partition("|")
    terms = [t.strip() for t in re.split(r"\+(?![^(]*\))", terms)]
    effects = [e.strip() for e in effects.split("+") if e.strip()]
    constant = "0" not in terms
    terms = [t for t in terms if t not in ("0", "1", "")]
    if not bar or not left.strip() or not terms:
        raise KokeiluError(f"Cannot read {formula!r}; expected for instance 'y ~ treated + size'.")
    return left.strip(), terms, constant, effects


def _numbers(frame, name):
    """Return one column of the frame, or of an expression in its columns, as finite numbers."""
    if name in frame.columns:
        values = frame[name]
    else:
        from formulaic import model_matrix

        try:
            values = model_matrix(f"0 + {name}", frame, na_action="ignore")
        except Exception as error:  # formulaic raises many kinds; all mean the same here
            raise KokeiluError(f"Cannot read {name!r} from the frame: {error}.") from error
        if values.shape[1] != 1:
            raise KokeiluError(f"{name!r} gives {values.shape[1]} columns; write it as | {name}.")
        values = values.iloc[:, 0]
    try:
        values = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise KokeiluError(f"Column {name} is not of numbers: {error}.") from error
    wrong = ~np.isfinite(values)
    if wrong.any():
        at = frame.index[wrong.argmax()]
        raise KokeiluError(f"Row {at} has {values[wrong.argmax()]} in {name}; expected a number.")
    return values
