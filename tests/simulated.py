"""Made data of known truth for the error-rate tests: probit items with a random difficulty."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

SPREAD = 1.6  # of the difficulty: about half the variance of a 0/1 score lies between items


def item_scores(rng, *, n, p, seeds, difficulty):
    """Item means of 0/1 answers, whose mean probability over the population of items is p."""
    probability = ndtr(ndtri(p) * np.sqrt(1 + SPREAD**2) + SPREAD * difficulty)
    return rng.binomial(seeds, probability, n) / seeds


def pair(rng, *, n, p, seeds, drop=0.0):
    difficulty = rng.standard_normal(n)
    candidate = item_scores(rng, n=n, p=p - drop, seeds=seeds, difficulty=difficulty)
    return candidate, item_scores(rng, n=n, p=p, seeds=seeds, difficulty=difficulty)


def clustered(rng, *, clusters, skew, mean=5):
    """Sizes with this log-sd, and values in [0, 1] of mean 0.5 that share a strong cluster effect."""
    sizes = np.maximum(1, np.round(mean * rng.lognormal(0, skew, clusters))).astype(int)
    cluster = np.repeat(np.arange(clusters), sizes)
    values = rng.standard_normal(clusters)[cluster] + 0.5 * rng.standard_normal(cluster.size)
    return ndtr(values), cluster


def nested(rng, *, runs, n, seeds, between, within):
    """Rows of shape (runs, n, seeds): normal items, and normal seeds about them."""
    return between * rng.standard_normal((runs, n, 1)) + within * rng.standard_normal((runs, n, seeds))


def fixed_suite(rng, *, probability, seeds):
    """Item means of 0/1 answers of items whose probabilities stay as they are, and the sums of squares about them."""
    means = rng.binomial(seeds, probability) / seeds
    return means, seeds * means * (1 - means)


def seeded_scores(rng, *, n, p, seeds):
    """Answers of 0 and 1, shape (n, seeds)."""
    probability = ndtr(ndtri(p) * np.sqrt(1 + SPREAD**2) + SPREAD * rng.standard_normal((n, 1)))
    return (rng.random((n, seeds)) < probability).astype(float)


def seeded_pair(rng, *, n, p, seeds, drop=0.0, spread=SPREAD):
    """Answers of both arms, each of shape (n, seeds), to items of the same difficulty."""
    difficulty = spread * rng.standard_normal((n, 1))

    def arm(mean):
        return (rng.random((n, seeds)) < ndtr(ndtri(mean) * np.sqrt(1 + spread**2) + difficulty)).astype(float)

    return arm(p - drop), arm(p)


def seeded_variance(*, n, p, seeds):
    """Variance of the mean of such answers: that of items, and that of seeds, by numbers."""
    difficulty = ndtri((np.arange(100_000) + 0.5) / 100_000)
    probability = ndtr(ndtri(p) * np.sqrt(1 + SPREAD**2) + SPREAD * difficulty)
    return (probability.var() + (probability * (1 - probability)).mean() / seeds) / n


def metrics(rng, *, n, metrics, p):
    """Differences of two equal arms in many 0/1 metrics that move together, shape (n, metrics)."""
    difficulty = SPREAD * rng.standard_normal((n, metrics))

    def arm():
        noise = np.sqrt(0.5) * (rng.standard_normal((n, 1)) + rng.standard_normal((n, metrics)))
        return ndtri(p) * np.sqrt(1 + SPREAD**2) + difficulty + noise > 0

    return arm().astype(float) - arm()
