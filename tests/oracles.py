"""Slow, obvious twins of the fast kernels: written from the formula, one row at a time."""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction
from itertools import product
from math import comb
from statistics import NormalDist

import numpy as np
from scipy import optimize
from scipy import stats as reference
from scipy.optimize import minimize_scalar


def item_means(values, items):
    """Item to mean and count."""
    rows = defaultdict(list)
    for value, item in zip(values, items, strict=True):
        rows[item].append(value)
    return {item: (sum(map(Fraction, found)) / len(found), len(found)) for item, found in rows.items()}


def wilson(successes, n, confidence):
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def jackknife_se(values, cluster):
    """Delete one cluster at a time, literally."""
    labels = sorted(set(cluster))
    means = []
    for label in labels:
        kept = [value for value, own in zip(values, cluster, strict=True) if own != label]
        means.append(sum(kept) / len(kept))
    centre = sum(means) / len(means)
    return math.sqrt((len(means) - 1) / len(means) * sum((mean - centre) ** 2 for mean in means))


def wilson_n_eff(values, alpha, n_rows=None):
    """Section 2.1 for independent items, in its own steps: n_eff, adjusted for df, in Wilson."""
    n, p = len(values), sum(values) / len(values)
    variance = sum((value - p) ** 2 for value in values) / (n - 1) / n
    n_eff = n if variance < 1e-20 else p * (1 - p) / variance
    n_eff = n_eff if n_rows is None else min(n_eff, n_rows)
    z, t = NormalDist().inv_cdf(1 - alpha), reference.t.ppf(1 - alpha, n - 1)
    n_eff *= (z / t) ** 2
    low, high = wilson(p * n_eff, n_eff, 1 - 2 * alpha)
    return p, max(low, 0.0), min(high, 1.0)


def paired_envelope(candidate, baseline, alpha, n_rows=None):
    """Section 2.3: paired t, and MOVER over Wilson(n_eff)."""
    n = len(candidate)
    deltas = [c - b for c, b in zip(candidate, baseline, strict=True)]
    d = sum(deltas) / n
    se = math.sqrt(sum((delta - d) ** 2 for delta in deltas) / (n - 1) / n)
    t = reference.t.ppf(1 - alpha, n - 1)
    (pc, lc, uc), (pb, lb, ub) = wilson_n_eff(candidate, alpha, n_rows), wilson_n_eff(baseline, alpha, n_rows)
    flat = len(set(candidate)) == 1 or len(set(baseline)) == 1
    rho = 0.0 if flat else reference.pearsonr(candidate, baseline).statistic
    low = d - math.sqrt((pc - lc) ** 2 + (ub - pb) ** 2 - 2 * rho * (pc - lc) * (ub - pb))
    high = d + math.sqrt((uc - pc) ** 2 + (pb - lb) ** 2 - 2 * rho * (uc - pc) * (pb - lb))
    return min(low, d - t * se), max(high, d + t * se)


def mid_p(worse, better):
    n = worse + better
    above = sum(comb(n, k) for k in range(worse + 1, n + 1))
    return float(Fraction(2 * above + comb(n, worse), 2 ** (n + 1)))


def holm(p_values):
    """Reject step by step at every level that matters, and find the smallest at which each is rejected."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for step, index in enumerate(order):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - step)))
        adjusted[index] = highest
    return adjusted


def fisher(a, n, b, m):
    total = a + b
    tables = {k: Fraction(comb(n, k) * comb(m, total - k), comb(n + m, total)) for k in range(total + 1)}
    return float(sum(p for p in tables.values() if p <= tables[a]))


def occurrences(rows, *, best, wanted, of):
    """Rows of (item, seed, value or None): items that surely show it, and that may."""
    seen, possible = defaultdict(int), defaultdict(int)
    for item, seed, value in rows:
        if seed <= of:
            seen[item] += value is not None and value != best
            possible[item] += value is None or value != best
    return sum(k >= wanted for k in seen.values()), sum(k >= wanted for k in possible.values())


def newcombe_2006(theta, n, m, alpha):
    """Newcombe (2006), method 5: both probabilities at which the estimate lies z standard errors away."""
    z = NormalDist().inv_cdf(1 - alpha)

    def excess(p):
        more = 1 + ((n + m) / 2 - 1) * ((1 - p) / (2 - p) + p / (1 + p))
        return (theta - p) ** 2 - z * z * p * (1 - p) * more / (n * m)

    low = 0.0 if theta == 0 else optimize.brentq(excess, 1e-12, theta - 1e-12)
    high = 1.0 if theta == 1 else optimize.brentq(excess, theta + 1e-12, 1 - 1e-12)
    return low, high


def variance_components(values, items):
    """Item and seed variance from the sums of squares, one row at a time."""
    rows = defaultdict(list)
    for value, item in zip(values, items, strict=True):
        rows[item].append(value)
    total, n = len(values), len(rows)
    means = {item: sum(found) / len(found) for item, found in rows.items()}
    centre = sum(values) / total
    within = sum((value - means[item]) ** 2 for value, item in zip(values, items, strict=True)) / (total - n)
    between = sum(len(found) * (means[item] - centre) ** 2 for item, found in rows.items()) / (n - 1)
    per_item = (total - sum(len(found) ** 2 for found in rows.values()) / total) / (n - 1)
    return max(0.0, (between - within) / per_item), within


def tango(plus, minus, n, confidence):
    """Tango (1998) with the restricted likelihood maximised by search, and its roots by Brent's method."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)

    def excess(difference):
        def log_likelihood(q):
            cells = ((plus, q + difference), (minus, q), (n - plus - minus, 1 - 2 * q - difference))
            return sum(count * math.log(max(p, 1e-300)) for count, p in cells if count)

        low, high = max(0.0, -difference), (1 - difference) / 2
        for _ in range(80):  # the likelihood is concave
            a, b = low + (high - low) / 3, high - (high - low) / 3
            low, high = (a, high) if log_likelihood(a) < log_likelihood(b) else (low, b)
        variance = n * (low + high + difference * (1 - difference))
        return abs(plus - minus - n * difference) - z * math.sqrt(max(variance, 0.0))

    def edge(bound):
        observed = (plus - minus) / n
        if observed == bound:
            return bound
        return optimize.brentq(excess, observed + bound * 1e-6, bound * (1 - 1e-12), xtol=1e-10)

    return edge(-1), edge(1)


def exits(fractions, above, below, drift, nodes=801):
    """Probability to stop above and below at each look of a Brownian motion: Simpson's rule on a fixed wide grid."""
    rule = np.ones(nodes)
    rule[1:-1:2], rule[2:-1:2] = 4, 2
    over, under, at, mass, before = [], [], np.zeros(1), np.ones(1), 0.0
    for time, high, low in zip(fractions, above, below, strict=True):
        sd, mean = math.sqrt(time - before), at + drift * (time - before)
        top, bottom = high * math.sqrt(time), low * math.sqrt(time)
        over.append(float(mass @ reference.norm.sf((top - mean) / sd)))
        under.append(float(mass @ reference.norm.cdf((bottom - mean) / sd)))
        wide = 10 * math.sqrt(time)
        new = np.linspace(max(bottom, drift * time - wide), min(top, drift * time + wide), nodes)
        mass = (
            np.exp(-(((new[:, None] - mean) / sd) ** 2) / 2)
            @ mass
            / (sd * math.sqrt(2 * math.pi))
            * rule
            * (new[1] - new[0])
            / 3
        )
        at, before = new, time
    return over, under


def rate_log_e(blocks, shift, prior):
    """Evidence that x > y + shift: bet on the rates so far, against the closest ones that a search finds."""
    hits, trials, log_e = [0, 0], [0, 0], [0.0]
    for x_hits, x_trials, y_hits, y_trials in blocks:
        bet = [(hit + prior) / (trial + 2 * prior) for hit, trial in zip(hits, trials, strict=True)]
        found = 0.0
        if bet[0] > bet[1] + shift:

            def distance(rate, bet=bet, x_trials=x_trials, y_trials=y_trials):
                return x_trials * entropy(bet[0], rate + shift) + y_trials * entropy(bet[1], rate)

            nearest = minimize_scalar(
                distance, bounds=(max(0, -shift), min(1, 1 - shift)), method="bounded", options={"xatol": 1e-12}
            ).x
            null = (nearest + shift, nearest)
            for outcome, n, b, r in zip((x_hits, y_hits), (x_trials, y_trials), bet, null, strict=True):
                found += reference.binom.logpmf(outcome, n, b) - reference.binom.logpmf(outcome, n, r)
        log_e.append(log_e[-1] + found)
        hits, trials = [hits[0] + x_hits, hits[1] + y_hits], [trials[0] + x_trials, trials[1] + y_trials]
    return log_e[1:]


def entropy(p, q):
    """Relative entropy of two coins."""
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def wealth(values, null, shares):
    """Average wealth after each value of bets that the mean of values in [0, 1] is higher."""
    stakes, purses, found = [share / null for share in shares], [1.0] * len(shares), []
    for value in values:
        purses = [purse * (1 + stake * (value - null)) for purse, stake in zip(purses, stakes, strict=True)]
        found.append(sum(purses) / len(purses))
    return found


def asymptotic_limits(values, alpha, horizon):
    """One-sided asymptotic confidence sequence after the last value, from the formula."""
    n = len(values)
    mean = sum(values) / n
    s = math.sqrt(sum((value - mean) ** 2 for value in values) / n)
    rho = math.sqrt((-2 * math.log(2 * alpha) + math.log(-2 * math.log(2 * alpha) + 1)) / horizon)
    grown = n * rho**2 + 1
    half = s * math.sqrt(2 * grown / (n**2 * rho**2) * math.log(1 + math.sqrt(grown) / (2 * alpha)))
    return mean - half, mean + half


def every_resample(values, statistic):
    """All n^n resamples of a few values, each as likely as the others: their statistics, sorted."""
    return sorted(statistic(drawn) for drawn in product(values, repeat=len(values)))


def quantile_of(ordered, p):
    """The smallest value with a share of at least p up to it."""
    return ordered[max(math.ceil(p * len(ordered) * (1 - 1e-12)), 1) - 1]


def gathered(rows, resamples, rng):
    """The plain bootstrap: indices, rows, their mean."""
    rows = np.asarray(rows, dtype=float)
    return np.array([rows[rng.integers(0, len(rows), len(rows))].mean(axis=0) for _ in range(resamples)])


def nested(rows, resamples, rng):
    """Items, and then seeds within every item that was drawn: what counts the noise of seeds twice."""
    n, seeds = rows.shape
    found = []
    for _ in range(resamples):
        drawn = rows[rng.integers(0, n, n)]
        found.append(np.take_along_axis(drawn, rng.integers(0, seeds, (n, seeds)), axis=1).mean())
    return np.array(found)


def order_statistics(n, q, alpha):
    """Ranks of the limits of a quantile by the binomial formula; 0 and n + 1 are infinite."""
    q = Fraction(q)
    at_most, total = [], Fraction(0)
    for k in range(n + 1):
        total += comb(n, k) * q**k * (1 - q) ** (n - k)
        at_most.append(total)
    low = max((k for k in range(1, n + 1) if at_most[k - 1] <= alpha), default=0)
    return low, min((k for k in range(1, n + 1) if 1 - at_most[k - 1] <= alpha), default=n + 1)


def step_down(statistic, replicates):
    """Romano and Wolf, one hypothesis after the other: each against the largest of those not yet tested."""
    left, adjusted, highest = set(range(len(statistic))), [0.0] * len(statistic), 0.0
    for index in sorted(left, key=lambda i: -statistic[i]):
        as_large = sum(max(row[i] for i in left) >= statistic[index] for row in replicates)
        highest = max(highest, (1 + as_large) / (1 + len(replicates)))
        adjusted[index] = highest
        left.discard(index)
    return adjusted
