"""F1 and MCC against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef

from headgate.stats import class_columns, macro_f1, matthews_correlation, resample_means

LABELS = st.integers(2, 4).flatmap(
    lambda n: st.tuples(
        st.just(n), st.lists(st.tuples(st.integers(-1, n - 1), st.integers(0, n - 1)), min_size=1, max_size=30)
    )
)


@given(LABELS)
@settings(deadline=None)  # the first example imports
def test_both_are_those_of_scikit_learn(drawn):
    n, pairs = drawn
    predicted, target = np.array(pairs).T
    means = class_columns(predicted, target, n_classes=n).mean(axis=0)
    expected = f1_score(target, predicted, labels=list(range(n)), average="macro", zero_division=0)
    assert float(macro_f1(means)) == pytest.approx(expected, abs=1e-12)
    several = len(set(target)) > 1 or len(set(predicted)) > 1
    assert float(matthews_correlation(means)) == pytest.approx(
        matthews_corrcoef(target, predicted) if several else 0, abs=1e-9
    )


def test_resamples_have_them_too():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 300)
    predicted = np.where(rng.random(300) < 0.8, target, rng.integers(0, 3, 300))
    resampled = resample_means(class_columns(predicted, target, n_classes=3), resamples=2000)
    for statistic, reference in (
        (macro_f1, lambda t, p: f1_score(t, p, average="macro")),
        (matthews_correlation, matthews_corrcoef),
    ):
        estimate = resampled.interval(statistic)
        assert estimate.value == pytest.approx(reference(target, predicted))
        draws = [reference(target[i], predicted[i]) for i in (rng.integers(0, 300, 300) for _ in range(200))]
        assert estimate.se == pytest.approx(np.std(draws), rel=0.2)
