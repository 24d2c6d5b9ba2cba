"""What is true in simulations of the starting lag, and the bias that theory gives each route."""

from dataclasses import dataclass, field

import numpy as np

UNADJUSTED, MIDDLE, RANDOM = "unadjusted average", "middles of the ranges", "random in the ranges"
MIDDLE_HC3, KNOWN_HC3 = "middles of the ranges, HC3", "true backlogs known, HC3"
MIDDLE_SPREAD = "middles of the ranges, spread of control areas"
KNOWN, KNOWN_SPREAD = "true backlogs known", "true backlogs known, spread of control areas"
REPORTED, CORRECTED = "reported backlogs", "reported backlogs, corrected by reliability"
FRONTIER, CAPACITY = "frontier at the true pair", "capacity, months known"
RANGED = "capacity, months from the ranges"
SET, WIDENED = "sharp set", "sharp set and sampling"
WIDENED_HC3 = "sharp set and sampling, HC3"
POINT_SET = "sharp set, every backlog known"
ORACLE = "oracle"
EVERY_MIDDLE = (MIDDLE, MIDDLE_HC3, MIDDLE_SPREAD)
EVERY_KNOWN = (KNOWN, KNOWN_HC3, KNOWN_SPREAD)
NOTES = {
    UNADJUSTED: "average as it was, read as the effect at no backlog; CR3, t(G-1)",
    MIDDLE: "HC3 and control mean, t(A-2)",
    KNOWN: "HC3 and control mean, t(A-2)",
    MIDDLE_HC3: "HC3, t(A-2); control mean taken as certain",
    KNOWN_HC3: "HC3, t(A-2); control mean taken as certain",
    MIDDLE_SPREAD: "spread of control areas and control mean, t(C-1)",
    KNOWN_SPREAD: "spread of control areas and control mean, t(C-1)",
    SET: "least and largest fitted line, no sampling allowance",
    WIDENED: "Imbens-Manski, spread of control areas and control mean, line of each end",
    WIDENED_HC3: "Imbens-Manski, HC3 and control mean, line of each end",
    FRONTIER: "line at rho x B_C",
    RANDOM: "theory for many areas",
    REPORTED: "theory for many areas",
    CORRECTED: "the error's sd is known; no interval counted",
}


@dataclass(frozen=True)
class Scenario:
    """What is true in it (options of `simulate.draw`), which methods meet it.

    `sets` is the divisor of the draws for which sets are solved, 0 for none; `slope` multiplies
    the planted lag effect.
    """

    name: str
    truth: dict = field(default_factory=dict)
    methods: tuple = (UNADJUSTED, MIDDLE, KNOWN)
    sets: int = 0
    slope: float = 1.0
    note: str = ""

    @property
    def reference(self):
        """The backlog at which the line stands for no backlog: rho times the controls'."""
        return self.truth.get("rho", 0.0) * self.truth.get("control_backlog", 0.0)


STATED_MEAN = (0.475, 0.525)  # "about 50 %", as the default evidence reads it
SCENARIOS = (
    Scenario(
        "evenly spread in the ranges",
        methods=(UNADJUSTED, *EVERY_MIDDLE, RANDOM, *EVERY_KNOWN, POINT_SET),
        sets=1,
    ),
    Scenario("evenly spread, stated mean holds", {"mean": STATED_MEAN}, sets=1),
    Scenario("at the lower ends", {"position": (0.0, 0.2)}, sets=10, note="middles assume wrongly"),
    Scenario("at the upper ends", {"position": (0.8, 1.0)}, note="middles assume wrongly"),
    Scenario(
        "reports with classical error",
        {"reporting": "classical", "error": 0.07},
        (REPORTED, CORRECTED, KNOWN),
    ),
    Scenario(
        "reports with Berkson error", {"reporting": "berkson", "error": 0.07}, (REPORTED, KNOWN)
    ),
    Scenario(
        "reports heaped at 10s", {"reporting": "heaped", "error": 0.1}, (REPORTED, KNOWN), sets=10
    ),
    Scenario(
        "half confounding",
        {"rho": 0.5, "control_backlog": 0.5},
        (UNADJUSTED, MIDDLE, KNOWN, FRONTIER),
        sets=10,
        note="set at rho x B_C",
    ),
    Scenario(
        "capacity goes to the backlog",
        {"capacity": (0.6, 12.0)},
        (UNADJUSTED, CAPACITY, RANGED),
        slope=0.0,
        note="all months from the start",
    ),
    Scenario(
        "backlogs follow shocks",
        {"with_shocks": True},
        sets=10,
        note="assumption broken: worse shock, larger backlog",
    ),
    Scenario(
        "evidence wrong",
        {"position": (1.0, 1.25)},
        (UNADJUSTED, MIDDLE, RANDOM, KNOWN),
        sets=10,
        note="assumption broken: true backlogs above their ranges",
    ),
)


def theory(scenario, low, high, w, effect, slope, months):
    """Return the bias that theory gives each method, as an effect at no backlog.

    Parameters
    ----------
    scenario : Scenario
    low, high : array of A
        Ranges of the backlogs.
    w : array of A
        Weights, sum to one.
    effect, slope : float
        Planted, in the unit of the outcome.
    months : int
        Of the second window.

    Returns
    -------
    dict
        By method; the others have no number.

    Examples
    --------
    >>> even = SCENARIOS[0]
    >>> low, high = np.array([0.2, 0.4]), np.array([0.4, 0.8])
    >>> round(float(theory(even, low, high, np.full(2, 0.5), -0.5, 1.0, 12)[UNADJUSTED]), 3)
    0.45
    """
    truth = scenario.truth
    first, last = truth.get("position", (0.0, 1.0))
    backlog, middle, width = low + (first + last) / 2 * (high - low), (low + high) / 2, high - low

    def spread(a, b):
        return w @ ((a - w @ a) * (b - w @ b))

    def scatter(variance):
        """Expected weighted variance of independent draws around their means."""
        return w @ ((1 - w) * variance)

    shift = -truth.get("rho", 0.0) * slope * truth.get("control_backlog", 0.0)
    phi, clearing = truth.get("capacity", (0.0, 0.0))
    attenuated = spread(middle, backlog) / (spread(middle, middle) + scatter(width**2 / 12))
    tilt = spread(middle, backlog) / spread(middle, middle)
    own = spread(backlog, backlog) + scatter(((last - first) * width) ** 2 / 12)
    found = {
        UNADJUSTED: slope * (w @ backlog)
        + shift
        - effect * phi * clearing * (w @ backlog) / months,
        MIDDLE: slope * (w @ backlog - tilt * (w @ middle)) + shift,
        RANDOM: slope * (w @ backlog - attenuated * (w @ middle)) + shift,
        FRONTIER: 0.0,
        CAPACITY: 0.0,
        CORRECTED: 0.0,
        REPORTED: 0.0,
    }
    if truth.get("reporting") == "classical":
        r = own / (own + scatter(np.full(len(w), truth["error"] ** 2)))
        found[REPORTED] = slope * (1 - r) * (w @ backlog)
    if not truth.get("with_shocks"):
        found |= dict.fromkeys(EVERY_KNOWN, shift)
    return found | dict.fromkeys(EVERY_MIDDLE, found[MIDDLE])
