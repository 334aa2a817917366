"""From rows to items: the seeds of an item are averaged before anything is estimated."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headgate.errors import StatisticsError
from headgate.stats.sums import group_sums
from headgate.stats.values import Floats, Ints, Numbers, as_labels, as_rows


def item_means(values: ArrayLike, items: ArrayLike) -> tuple[NDArray[np.generic], Floats, Ints]:
    """Average the rows of each item.

    Parameters
    ----------
    values : array_like, shape (n_rows,)
        One value per row.
    items : array_like, shape (n_rows,)
        The item of each row.

    Returns
    -------
    ids : ndarray, shape (n_items,)
        The items, sorted.
    means : ndarray of float64, shape (n_items,)
        Mean of each item's rows.
    counts : ndarray of int64, shape (n_items,)
        Rows of each item.

    Raises
    ------
    StatisticsError
        If a value is not finite or the lengths differ.

    Examples
    --------
    >>> item_means([1, 0, 1, 1], ["b", "a", "a", "b"])
    (array(['a', 'b'], dtype='<U1'), array([0.5, 1. ]), array([2, 2]))
    """
    rows = as_rows(values)
    ids, codes = as_labels(items, length=rows.size, name="items")
    counts = np.bincount(codes)
    means, counts = mean_of(rows, codes, counts), counts.astype(np.int64, copy=False)
    return ids, means, counts


def mean_of(rows: Numbers, codes: Ints, counts: NDArray[np.intp]) -> Floats:
    """Average rows by code, whatever their order; a large common offset costs no digits."""
    least = float(rows.min())
    return least + group_sums(rows, codes, counts, offset=least) / counts


def cluster_of_items(cluster: ArrayLike, codes: Ints, *, n_items: int) -> Ints:
    """Return the cluster of every item.

    Raises
    ------
    StatisticsError
        If the rows of one item lie in two clusters.
    """
    _, labels = as_labels(cluster, length=codes.size, name="cluster")
    found = np.empty(n_items, dtype=np.int64)
    found[codes] = labels
    astray = found[codes] != labels
    if astray.any():
        raise StatisticsError(f"cluster[{int(np.argmax(astray))}]: an item lies in one cluster, and this one in two")
    return found


def as_items(
    columns: tuple[Numbers, ...], *, items: ArrayLike | None, cluster: ArrayLike | None
) -> tuple[tuple[Floats, ...], Ints | None]:
    """Return item means of every column, and the cluster of every item."""
    length = columns[0].size
    if items is None:
        whole = tuple(column.astype(np.float64, copy=False) for column in columns)
        return whole, None if cluster is None else as_labels(cluster, length=length, name="cluster")[1]
    ids, codes = as_labels(items, length=length, name="items")
    counts = np.bincount(codes)
    means = tuple(mean_of(column, codes, counts) for column in columns)
    return means, None if cluster is None else cluster_of_items(cluster, codes, n_items=ids.size)
