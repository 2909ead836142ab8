"""Statistics that the judges share: exact tails, intervals, ranks, corrections for many tests.

Pure functions over numbers, standard library only. Nothing here knows of logs, metrics or verdicts. Every
formula names its source; the tests hold each against an independent implementation.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-300  # stands for zero in Lentz' method, Numerical Recipes (3rd ed.) section 5.2
_EPSILON = 1e-15  # relative change at which a continued fraction has converged in double precision
_ITERATIONS = 10_000  # the fraction needs about sqrt(max(a, b)) steps: enough for counts up to 10^7
_LEAST_QUANTILE = 1e-300  # a quantile below this is zero to every use


def normal_cdf(z: float) -> float:
    """Return P(Z <= z) of the standard normal distribution."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def normal_quantile(p: float) -> float:
    """Return z with P(Z <= z) = p, for 0 < p < 1."""
    return _NORMAL.inv_cdf(p)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b) for a, b > 0 and 0 <= x <= 1.

    Continued fraction DLMF 8.17.22 by the modified Lentz method; symmetry 8.17.4 where it converges faster.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    c, d = 1.0, _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    d = 1.0 / d
    fraction = d
    m, step = 0, math.inf
    while abs(step - 1.0) > _EPSILON and m < _ITERATIONS:
        m += 1
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            step = c * d
            fraction *= step
    return min(1.0, math.exp(front) * fraction / a)


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def beta_quantile(a: float, b: float, p: float) -> float:
    """Return x with I_x(a, b) = p, by bisection."""
    low, high = 0.0, 1.0
    while high - low > _EPSILON * high and high > _LEAST_QUANTILE:
        middle = (low + high) / 2
        if incomplete_beta(a, b, middle) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def binomial_upper(k: int, n: int, p: float) -> float:
    """Return P(X >= k) for X ~ Binomial(n, p), exactly: I_p(k, n - k + 1), DLMF 8.17.5."""
    if k <= 0:
        return 1.0
    return incomplete_beta(k, n - k + 1, p) if k <= n else 0.0


def binomial_lower(k: int, n: int, p: float) -> float:
    """Return P(X <= k) for X ~ Binomial(n, p), exactly: I_(1-p)(n - k, k + 1), DLMF 8.17.5."""
    if k >= n:
        return 1.0
    return incomplete_beta(n - k, k + 1, 1.0 - p) if k >= 0 else 0.0


def binomial_two_sided(k: int, n: int, p: float) -> float:
    """Return twice the smaller tail, at most 1: the test that belongs to the Clopper-Pearson interval."""
    return min(1.0, 2.0 * min(binomial_upper(k, n, p), binomial_lower(k, n, p)))


def clopper_pearson(k: float, n: float, level: float) -> tuple[float, float]:
    """Return the exact interval of a proportion of k in n (Clopper & Pearson 1934).

    ``k`` and ``n`` may be fractional, as deflated counts are: the beta form needs no integers.
    ``n`` = 0 tells nothing: (0, 1).
    """
    tail = (1.0 - level) / 2
    low = beta_quantile(k, n - k + 1, tail) if k > 0 else 0.0
    high = beta_quantile(k + 1, n - k, 1.0 - tail) if k < n else 1.0
    return low, high


def wilson(k: float, n: float, level: float) -> tuple[float, float]:
    """Return the score interval of a proportion of k in n (Wilson 1927); (0, 1) for n = 0."""
    if n <= 0:
        return 0.0, 1.0
    z = normal_quantile(0.5 + level / 2)
    centre = k + z * z / 2  # all terms times n: nothing is divided by its square, which is 0 for a tiny n
    half = z * math.sqrt(max(0.0, k * (1.0 - k / n)) + z * z / 4)
    scale = n + z * z
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def newcombe(k1: float, n1: float, k2: float, n2: float, level: float) -> tuple[float, float]:
    """Return the interval of k1/n1 - k2/n2 (Newcombe 1998, method 10); (-1, 1) when an n is 0."""
    if n1 <= 0 or n2 <= 0:
        return -1.0, 1.0
    p1, p2 = k1 / n1, k2 / n2
    low1, high1 = wilson(k1, n1, level)
    low2, high2 = wilson(k2, n2, level)
    down = math.hypot(p1 - low1, high2 - p2)
    up = math.hypot(high1 - p1, p2 - low2)
    return max(-1.0, p1 - p2 - down), min(1.0, p1 - p2 + up)  # rounding leads a hair beyond


def fisher_upper(k1: int, n1: int, k2: int, n2: int) -> float:
    """Return Fisher's one-sided p: the chance of k1 or more of the k1 + k2 successes among n1 trials."""
    successes, total = k1 + k2, n1 + n2
    log_all = _log_choose(total, n1)
    tail = sum(
        math.exp(_log_choose(successes, k) + _log_choose(total - successes, n1 - k) - log_all)
        for k in range(max(k1, n1 - (total - successes)), min(successes, n1) + 1)
    )
    return min(1.0, tail)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def student_cdf(t: float, df: float) -> float:
    """Return P(T <= t) of Student's distribution.

    The tail is I_x(df/2, 1/2) / 2 at x = df / (df + t^2) (Abramowitz & Stegun 26.7.1).
    """
    tail = 0.5 * incomplete_beta(df / 2, 0.5, df / (df + t * t))
    return 1.0 - tail if t > 0 else tail


@lru_cache(maxsize=1024)
def student_quantile(p: float, df: float) -> float:
    """Return t with P(T <= t) = p, for 0 < p < 1."""
    if p == 0.5:
        return 0.0
    if p < 0.5:
        return -student_quantile(1.0 - p, df)
    x = beta_quantile(df / 2, 0.5, 2.0 * (1.0 - p))
    return math.sqrt(df * (1.0 - x) / x)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the adjusted p-values, in the order given (Benjamini & Hochberg 1995, step-up)."""
    adjusted = [0.0] * len(p_values)
    least = 1.0
    order = sorted(range(len(p_values)), key=lambda index: p_values[index], reverse=True)
    for position, index in enumerate(order):
        least = min(least, p_values[index] * len(p_values) / (len(p_values) - position))
        adjusted[index] = least
    return tuple(adjusted)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the adjusted p-values, in the order given, that bound the family-wise error (Holm 1979)."""
    adjusted = [0.0] * len(p_values)
    most = 0.0
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for position, index in enumerate(order):
        most = max(most, min(1.0, p_values[index] * (len(p_values) - position)))
        adjusted[index] = most
    return tuple(adjusted)


def median(values: Sequence[float]) -> float:
    """Return the middle value, or the mean of the two middle ones; ``values`` holds at least one."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float], q: float) -> float:
    """Return the q-quantile by linear interpolation (Hyndman & Fan 1996, type 7) of at least one value."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def rank_sum_deviation(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the standard deviation of U with the correction for ties (Lehmann 1975, section 1.4)."""
    both = sorted([*x, *y])
    n = len(both)
    if n < 2:
        return 0.0
    ties, start = 0, 0
    while start < n:
        end = bisect_right(both, both[start])
        ties += (end - start) ** 3 - (end - start)
        start = end
    return math.sqrt(max(0.0, len(x) * len(y) / 12 * (n + 1 - ties / (n * (n - 1)))))


def hodges_lehmann(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the shift of ``x`` over ``y``: the median pairwise difference (Hodges & Lehmann 1963)."""
    return median([a - b for a in x for b in y])
