import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokeilu_analysis.errors import KokeiluError
from kokeilu_analysis.methods import inference
from kokeilu_analysis.methods.intervals import critical_value, imbens_manski, stoye


@pytest.mark.parametrize(
    ("width", "critical"),
    [(0, 1.95996), (0.25, 1.85018), (0.5, 1.76971), (1, 1.68148), (2, 1.64615), (5, 1.64485)],
)
def test_critical_value_falls_from_two_sided_to_one_sided_as_the_bounds_part(width, critical):
    low, high = imbens_manski(10.0, 10.0 + width, 1.0, 1.0, 25)
    assert -(low - 10) == pytest.approx(critical, abs=1e-5)
    assert high - (10 + width) == pytest.approx(critical, abs=1e-5)


def test_each_end_is_moved_by_its_own_error():
    low, high = imbens_manski(0.0, 3.0, 0.5, 1.5, 40)
    assert (high - 3) / 1.5 == pytest.approx(-low / 0.5)


def test_bounds_known_exactly_are_their_own_interval():
    assert imbens_manski(0.2, 0.7, 0.0, 0.0, 25) == (0.2, 0.7)
    assert stoye(0.2, 0.7, 0.0, 0.0, 25) == (0.2, 0.7)
    assert stoye(0.2, 0.7, 0.0, 0.0, 25, correlation=0.5) == (0.2, 0.7)
    assert critical_value(0.5, 0.0) == 0.0


@given(st.floats(0, 5), st.floats(0.1, 3), st.floats(0.1, 3), st.floats(0.6, 0.98))
@settings(max_examples=50, deadline=None)
def test_interval_lies_between_the_one_sided_and_the_two_sided_one(width, se_low, se_high, level):
    from scipy.special import ndtri

    low, high = imbens_manski(0.0, width, se_low, se_high, 25, level)
    one, two = ndtri(level), ndtri(0.5 + level / 2)
    assert one - 1e-9 <= -low / se_low <= two + 1e-9
    assert one - 1e-9 <= (high - width) / se_high <= two + 1e-9


def test_parameter_at_an_end_of_the_set_is_covered_as_often_as_promised():
    rng = np.random.default_rng(1)
    for width in (0.0, 0.5, 3.0):
        # the lower end as the truth; both ends estimated with the same error, as they often are
        noise = rng.normal(size=4000)
        found = [imbens_manski(z, width + z, 1.0, 1.0, 25) for z in noise]
        covered = np.mean([low <= 0 <= high for low, high in found])
        assert covered == pytest.approx(0.95, abs=0.012)


def test_a_width_below_the_threshold_counts_as_zero():
    from scipy.special import ndtri

    threshold = np.sqrt(np.log(25))
    near, far = (stoye(0.0, threshold * f, 1.0, 1.0, 25)[0] for f in (0.999, 1.001))
    assert near == pytest.approx(-ndtri(0.975), abs=1e-6)
    assert far > near
    assert far == pytest.approx(imbens_manski(0.0, threshold * 1.001, 1.0, 1.0, 25)[0])


@pytest.mark.parametrize("level", [0.6, 0.9, 0.95, 0.999])
def test_the_interval_of_a_point_is_two_sided_and_of_a_wide_set_one_sided(level):
    from scipy.special import ndtri

    point = imbens_manski(2.0, 2.0, 0.3, 0.3, 2, level)
    assert point == pytest.approx(
        (2 - 0.3 * ndtri(0.5 + level / 2), 2 + 0.3 * ndtri(0.5 + level / 2))
    )
    wide = imbens_manski(0.0, 50.0, 0.3, 0.1, 2, level)
    assert wide == pytest.approx((-0.3 * ndtri(level), 50 + 0.1 * ndtri(level)))
    assert imbens_manski(0.0, 50.0, 1, 1, 25) == imbens_manski(0.0, 50.0, 1, 1, 25, 0.95)
    assert stoye(0.0, 0.1, 1, 1, 25) == stoye(0.0, 0.1, 1, 1, 25, 0.95, None)


def test_crossing_bounds_have_an_interval_by_stoye_only():
    with pytest.raises(KokeiluError, match="cross"):
        imbens_manski(0.1, 0.0, 1.0, 1.0, 25)
    low, high = stoye(0.1, 0.0, 1.0, 1.0, 25)
    assert (low, high) == pytest.approx((0.1 - 1.95996, 1.95996), abs=1e-5)


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.6, 0.95])
def test_unequal_errors_are_covered_at_both_ends_by_the_shortest_interval(correlation):
    rng = np.random.default_rng(2)
    z = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], 200_000)
    low, high = stoye(0.0, 4.0, 1.0, 2.0, 3, correlation=correlation)  # wide: threshold 2.1
    errors = z * [1.0, 2.0]
    for truth in (0.0, 4.0):
        ends = np.array([low, high]) + errors
        assert ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean() >= 0.95 - 2e-3
    assert high - low <= np.subtract(*imbens_manski(0.0, 4.0, 1.0, 2.0, 3)[::-1]) + 1e-4


@pytest.mark.parametrize(
    ("correlation", "errors", "level"), [(0.6, (1.0, 2.0), 0.95), (-0.4, (1.5, 0.5), 0.9)]
)
def test_the_shortest_interval_covers_exactly_and_no_shorter_one_does(correlation, errors, level):
    from scipy.optimize import brentq
    from scipy.stats import multivariate_normal

    # z_low <= c_low and -z_high <= c_high + ...: the errors with one sign turned
    width, turned = 2.2, multivariate_normal(cov=[[1, -correlation], [-correlation, 1]])

    def covered(c_low, c_high):
        """The lesser coverage of the two ends."""
        at_low = turned.cdf([c_low, c_high + width / errors[1]])
        at_high = turned.cdf([c_low + width / errors[0], c_high])
        return min(at_low, at_high)

    low, high = stoye(0.0, width, *errors, 3, level, correlation)
    c_low, c_high = -low / errors[0], (high - width) / errors[1]
    assert covered(c_low, c_high) == pytest.approx(level, abs=2e-7)
    length = high - low
    for moved in (-0.02, 0.02):
        if covered(c_low + moved, 9) < level:
            continue  # one side alone misses more often than that
        needed = brentq(lambda c, m=moved: covered(c_low + m, c) - level, 0, 9, xtol=1e-9)
        assert errors[0] * (c_low + moved) + errors[1] * needed + width >= length - 1e-7


def test_perfect_correlation_and_equal_errors_need_no_more_than_imbens_and_manski():
    found = stoye(0.0, 3.0, 1.0, 1.0, 25, correlation=1.0)
    assert found == pytest.approx(imbens_manski(0.0, 3.0, 1.0, 1.0, 25), abs=1e-3)


def test_perfect_negative_correlation_needs_one_side_only():
    # both ends miss together, so each end's own 5 % are all there is
    found = stoye(0.0, 3.0, 1.0, 1.0, 25, correlation=-1.0)
    assert found == pytest.approx((-1.64485, 4.64485), abs=1e-4)


def test_with_one_end_known_exactly_the_correlation_does_not_matter():
    for errors in ((0.0, 1.0), (1.0, 0.0)):
        found = stoye(0.0, 4.0, *errors, 25, correlation=0.5)
        assert found == imbens_manski(0.0, 4.0, *errors, 25)


def test_both_are_offered_among_the_methods_of_inference():
    assert inference.imbens_manski is imbens_manski and inference.stoye is stoye


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((np.nan, 1, 1, 1, 25), "low is nan"),
        ((0, np.inf, 1, 1, 25), "high is inf"),
        ((0, 1, -1, 1, 25), "se_low is -1; expected 0 or more"),
        ((0, 1, 1, np.nan, 25), "se_high is nan"),
        ((0, 1, 1, 1, 1), "n is 1"),
        ((0, 1, 1, 1, 25, 95), "Level is 95"),
        ((0, 1, 1, 1, 25, 0.5), "Level is 0.5"),
        ((0, 1, 1, 1, 25, 1), "Level is 1"),
    ],
)
def test_input_that_is_no_estimate_is_refused(arguments, said):
    for interval in (imbens_manski, stoye):
        with pytest.raises(KokeiluError, match=said):
            interval(*arguments)
    with pytest.raises(KokeiluError, match="Correlation is 2"):
        stoye(0, 1, 1, 1, 25, correlation=2)
