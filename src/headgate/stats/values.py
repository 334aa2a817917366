"""Checked inputs: what is not a finite number inside its bounds is refused by index, never skipped."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headgate.errors import StatisticsError

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Numbers: TypeAlias = NDArray[np.floating]
Bounds: TypeAlias = tuple[float, float]

UNIT: Final[Bounds] = (0.0, 1.0)


def difference_bounds(bounds: Bounds) -> Bounds:
    """Return what the difference of two values within bounds lies within.

    Examples
    --------
    >>> difference_bounds((1.0, 5.0))
    (-4.0, 4.0)
    """
    return bounds[0] - bounds[1], bounds[1] - bounds[0]


def as_values(values: ArrayLike, *, bounds: Bounds | None = None, name: str = "values") -> Floats:
    """Return values as a float64 vector.

    Raises
    ------
    StatisticsError
        If there are none, or one is not finite or outside the bounds; the message names its index.

    Examples
    --------
    >>> as_values([True, False])
    array([1., 0.])
    >>> as_values([0.5, float("nan")])
    Traceback (most recent call last):
    headgate.errors.StatisticsError: values[1] is nan; a score is a finite number
    """
    return as_rows(values, bounds=bounds, name=name).astype(np.float64, copy=False)


def as_rows(values: ArrayLike, *, bounds: Bounds | None = None, name: str = "values") -> Numbers:
    """Return values as :func:`as_values` does, narrow floats as they are: rows may be many, and are averaged next."""
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    if array.ndim != 1 or array.size == 0:
        raise StatisticsError(f"{name} must be a vector of at least one number, not of shape {array.shape}")
    least, most = float(array.min()), float(array.max())  # nan if one is
    if not (math.isfinite(least) and math.isfinite(most)):
        _refuse(array, ~np.isfinite(array), f"{name}[{{}}] is {{}}; a score is a finite number")
    if bounds is not None:
        low, high = as_bounds(bounds)
        if least < low or most > high:
            wrong = (array < low) | (array > high)
            _refuse(array, wrong, f"{name}[{{}}] is {{}}, outside the bounds {low:g} to {high:g}")
    return array


def as_bounds(bounds: Bounds) -> Bounds:
    """Return the bounds if they are finite and in order, else raise StatisticsError."""
    low, high = float(bounds[0]), float(bounds[1])
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise StatisticsError(f"bounds ({low:g}, {high:g}) must be finite and in order")
    return low, high


def as_labels(labels: ArrayLike, *, length: int, name: str) -> tuple[NDArray[np.generic], Ints]:
    """Return the distinct labels, sorted, and the position of each row's label among them.

    Raises
    ------
    StatisticsError
        If there is not one label for every row.
    """
    array = np.asarray(labels)
    if array.shape != (length,):
        raise StatisticsError(f"{name} must give one label for each of {length} rows, not shape {array.shape}")
    if np.issubdtype(array.dtype, np.integer) and length and int(array.min()) >= 0 and int(array.max()) < length:
        return _as_codes(array)
    ids, codes = np.unique(array, return_inverse=True)
    return ids, codes.astype(np.int64, copy=False)


def _as_codes(array: NDArray[np.integer]) -> tuple[NDArray[np.generic], Ints]:
    """Return the distinct labels, which are small whole numbers, and their codes, without sorting."""
    codes = array.astype(np.int64, copy=False)
    present = np.bincount(codes) > 0
    ids = np.flatnonzero(present).astype(array.dtype)
    return ids, codes if present.all() else (np.cumsum(present) - 1)[codes]


def as_alpha(confidence: float) -> float:
    """Return the one-sided level of a two-sided confidence.

    Examples
    --------
    >>> round(as_alpha(0.9), 12)
    0.05
    """
    if not 0 < confidence < 1:
        raise StatisticsError(f"confidence {confidence} is not between 0 and 1")
    return (1 - confidence) / 2


def _refuse(array: Numbers, wrong: NDArray[np.bool_], message: str) -> None:
    index = int(np.argmax(wrong))
    raise StatisticsError(message.format(index, f"{array[index]:g}"))
