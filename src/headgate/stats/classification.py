"""Metrics of a classifier, as functions of the means of indicator columns, for resamples of items."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from headgate.stats.values import Floats


def class_columns(predicted: ArrayLike, target: ArrayLike, *, n_classes: int) -> Floats:
    """Return for each row and class whether it is a true positive, a false positive, a false negative.

    Parameters
    ----------
    predicted, target : array_like of int, shape (n_rows,)
        Number of the class from 0 on; of ``predicted``, -1: none of them.

    Returns
    -------
    ndarray, shape (n_rows, 3 * n_classes)
        All true positives first, then the false positives, then the false negatives.

    Examples
    --------
    >>> class_columns([0, 1], [0, 0], n_classes=2).tolist()
    [[1.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 1.0, 0.0]]
    """
    classes = np.arange(n_classes)
    ours, theirs = (np.asarray(labels)[:, None] == classes for labels in (predicted, target))
    return np.hstack([ours & theirs, ours & ~theirs, ~ours & theirs]).astype(np.float64)


def macro_f1(means: Floats) -> Floats:
    """Return the mean F1 of all classes from :func:`class_columns`; that of a class which is nowhere is 0.

    Examples
    --------
    >>> float(macro_f1(class_columns([0, 1, 1], [0, 0, 1], n_classes=2).mean(axis=0)))
    0.6666666666666666
    """
    right, false, missed = np.split(means, 3, axis=-1)
    whole = 2 * right + false + missed
    f1: Floats = np.divide(2 * right, whole, out=np.zeros_like(whole), where=whole > 0)
    return np.asarray(f1.mean(axis=-1))


def matthews_correlation(means: Floats) -> Floats:
    """Return Matthews' correlation coefficient from :func:`class_columns`; 0 where one side is of one class.

    An answer of no class counts as one of another.

    Source: Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient".

    Examples
    --------
    >>> float(matthews_correlation(class_columns([0, 1, 1, 0], [0, 1, 1, 0], n_classes=2).mean(axis=0)))
    1.0
    """
    right, false, missed = np.split(means, 3, axis=-1)
    given, true = right + false, right + missed
    none = 1 - given.sum(axis=-1)
    covariance = right.sum(axis=-1) - (given * true).sum(axis=-1)
    spread = (1 - (given**2).sum(axis=-1) - none**2) * (1 - (true**2).sum(axis=-1))
    root = np.sqrt(np.maximum(spread, 0.0))
    return np.asarray(np.divide(covariance, root, out=np.zeros_like(root), where=root > 1e-12))
