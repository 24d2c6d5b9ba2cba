"""Confidence intervals for a parameter known only up to bounds that are themselves estimated."""

import numpy as np

from kokeilu_analysis.errors import KokeiluError


def imbens_manski(low, high, se_low, se_high, n, level=0.95):
    """Interval that covers the parameter, wherever between the bounds it lies.

    [low - c se_low, high + c se_high] with Phi(c + (high - low) / max(se)) - Phi(-c) = level:
    1.96 when the bounds meet, 1.645 when they are far apart.

    Parameters
    ----------
    low, high : float
        Estimated bounds.
    se_low, se_high : float
        Their standard errors.
    n : int
        Units behind the bounds; the interval is large-sample, so it is checked, not used.
    level : float

    Returns
    -------
    (float, float)

    Raises
    ------
    KokeiluError
        The bounds cross (see `stoye`), an error is negative or missing, or n is below 2.

    References
    ----------
    Imbens & Manski 2004, Econometrica 72(6).

    Examples
    --------
    >>> low, high = imbens_manski(0.0, 1.0, 1.0, 1.0, 25)
    >>> round(low, 5), round(high, 5)
    (-1.68148, 2.68148)
    """
    _check(low, high, se_low, se_high, n, level)
    if high < low:
        raise KokeiluError(f"The bounds cross: low {low}, high {high}; stoye() allows for that.")
    c = critical_value(high - low, max(se_low, se_high), level)
    return float(low - c * se_low), float(high + c * se_high)


def stoye(low, high, se_low, se_high, n, level=0.95, correlation=None):
    """Interval for the parameter that stays valid when the bounds nearly meet.

    A width below max(se) sqrt(log n) is taken as zero before the critical values are found. With
    the correlation of the two estimated bounds these minimise c_l se_low + c_u se_high subject to
    coverage at either end; without it they are those of `imbens_manski`.

    Parameters
    ----------
    low, high, se_low, se_high, level
        As in `imbens_manski`; the bounds may cross.
    n : int
        Units behind the bounds.
    correlation : float, optional
        Of the estimation errors of the two bounds, within [-1, 1].

    Returns
    -------
    (float, float)

    Raises
    ------
    KokeiluError
        As in `imbens_manski`, but for crossing bounds; also when the correlation is no
        correlation.

    References
    ----------
    Stoye 2009, Econometrica 77(4).

    Examples
    --------
    >>> low, high = stoye(0.0, 1.0, 1.0, 1.0, 25)    # 1 is below sqrt(log 25)
    >>> round(low, 5), round(high, 5)
    (-1.95996, 2.95996)
    """
    _check(low, high, se_low, se_high, n, level)
    largest = max(se_low, se_high)
    width = high - low
    if width <= largest * np.sqrt(np.log(n)):
        width = 0.0
    if correlation is None or min(se_low, se_high) == 0:
        c_low = c_high = critical_value(width, largest, level)
    else:
        if not -1 <= correlation <= 1:
            raise KokeiluError(f"Correlation is {correlation}; expected a number from -1 to 1.")
        c_low, c_high = _shortest(width, se_low, se_high, correlation, level)
    return float(low - c_low * se_low), float(high + c_high * se_high)


def _check(low, high, se_low, se_high, n, level):
    given = {"low": low, "high": high, "se_low": se_low, "se_high": se_high}
    for name, value in given.items():
        if not np.isfinite(value) or (name.startswith("se") and value < 0):
            kind = "0 or more" if name.startswith("se") else "a number"
            raise KokeiluError(f"{name} is {value}; expected {kind}.")
    if n < 2:
        raise KokeiluError(f"n is {n}; expected at least 2 units.")
    if not 0.5 < level < 1:
        raise KokeiluError(f"Level is {level}; expected a share between 0.5 and 1.")


def critical_value(width, se, level=0.95):
    """Return c with Phi(c + width / se) - Phi(-c) = level; 0 where nothing is uncertain.

    Examples
    --------
    >>> [round(critical_value(x, 1.0), 5) for x in (0, 0.5, 5)]
    [1.95996, 1.76971, 1.64485]
    """
    from scipy.special import ndtr

    return _root(lambda c: ndtr(c + width / se) - ndtr(-c) - level) if se > 0 else 0.0


def _root(rising):
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) >= 0 else (middle, high)
    return high


def _shortest(width, se_low, se_high, correlation, level):
    """Return the critical values of least total length with coverage at both ends."""
    from scipy.special import ndtr

    nodes, node_weights = np.polynomial.legendre.leggauss(200)
    r = np.clip(correlation, -1 + 1e-9, 1 - 1e-9)

    def coverage(near, far):
        """P(z1 >= -near, z2 <= far) for a correlation r of z1 and z2."""
        z = -near + (nodes + 1) / 2 * (near + 9)
        density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        inner = ndtr((far - r * z) / np.sqrt(1 - r**2))
        return (near + 9) / 2 * (node_weights * density * inner).sum()

    def needed(c_low):
        """Smallest c_high that covers at both ends, given c_low."""
        at_low = _root(lambda c: coverage(c_low, c + width / se_high) - level)
        at_high = _root(lambda c: coverage(c, c_low + width / se_low) - level)
        return max(at_low, at_high)

    # c_low below the one-sided value can never cover; above twice that nothing is gained
    low, high = _root(lambda c: ndtr(c) - level) + 1e-9, 5.0
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(30):
        left, right = high - golden * (high - low), low + golden * (high - low)
        lengths = [se_low * c + se_high * needed(c) for c in (left, right)]
        low, high = (low, right) if lengths[0] <= lengths[1] else (left, high)
    c_low = (low + high) / 2
    return c_low, needed(c_low)
