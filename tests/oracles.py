"""Slow, obvious twins of the fast kernels: written from the formula, one row at a time."""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction
from itertools import product
from math import comb
from statistics import NormalDist

import numpy as np
from scipy import stats as reference


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
