"""How often each resample holds each unit: one matrix of weights, shared by everything that is estimated."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headgate.errors import StatisticsError
from headgate.stats.values import Floats, Ints

_BYTES: Final = 4 << 20  # of the weights of one block; making them takes three times as much again
_BLOCKS: Final = (8, 256)  # least and most resamples of one block
_WORD: Final = 1 << 64
_DRAWS: Final = 8  # 32-bit draws from one step of Philox's counter


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedWeights:
    """The weights of a multinomial bootstrap over units, made block by block.

    Resample ``b`` depends on the seed, the stage and ``b`` alone: not on the block that it is made in, on threads, or
    on how many others there are. Its stream is Philox with the seed and the stage as key, and with a stretch of the
    counter to itself; the unit of each draw is computed from raw words, which no version of numpy may change.

    Attributes
    ----------
    n_units : int
        Units, and draws in each resample; fewer than 2^31.
    seed, stage : int
        From 0 to 2^64 - 1. Resamples of one seed at two stages are independent.
    block : int or None
        Resamples made at a time. Default: as many as take 4 MB, a power of two from 8 to 256.
    threads : int
        Blocks made at the same time.

    Examples
    --------
    >>> weights = SharedWeights(n_units=5, seed=1)
    >>> weights.rows(0, 3)
    array([[0., 1., 2., 1., 1.],
           [1., 1., 0., 1., 2.],
           [1., 0., 3., 0., 1.]])
    >>> weights.rows(2, 3)
    array([[1., 0., 3., 0., 1.]])
    """

    n_units: int
    seed: int = 0
    stage: int = 0
    block: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("n_units", self.n_units, 1, (1 << 31) - 1),
            ("seed", self.seed, 0, _WORD - 1),
            ("stage", self.stage, 0, _WORD - 1),
            ("block", 1 if self.block is None else self.block, 1, 1 << 20),
            ("threads", self.threads, 1, 1024),
        ):
            if not least <= value <= most:
                raise StatisticsError(f"{name} {value} is not from {least} to {most}")

    def rows(self, start: int, stop: int) -> Floats:
        """Return the weights of resamples ``start`` to ``stop - 1``, shape (stop - start, n_units)."""
        drawn = self._draws(start, stop)
        drawn += np.arange(0, drawn.size, self.n_units)[:, np.newaxis]  # each resample counts in its own row
        return np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)

    def apply(self, function: Callable[[Floats], Floats], *, start: int, stop: int) -> Floats:
        """Return ``function`` of the weights of resamples ``start`` to ``stop - 1``, stacked.

        Parameters
        ----------
        function : callable
            Weights of some resamples, shape (n, n_units), to an array of length n.
        """
        size = self.block or fitting_block(self.n_units)

        def one(first: int) -> Floats:
            return function(self.rows(first, min(first + size, stop)))

        firsts = range(start, stop, size)
        if self.threads == 1:
            return np.concatenate([one(first) for first in firsts])
        with ThreadPoolExecutor(self.threads) as pool:
            return np.concatenate(list(pool.map(one, firsts)))

    def _draws(self, start: int, stop: int) -> Ints:
        """Return the unit of each draw: the high word of 32 random bits times the number of units."""
        steps = -(-self.n_units // _DRAWS)
        key = np.array([self.seed, self.stage], dtype=np.uint64)  # a list would go through float64
        bits = np.random.Philox(key=key, counter=start * steps)
        words = np.asarray(bits.random_raw((stop - start) * steps * _DRAWS // 2), dtype="<u8")
        draws = words.view("<u4").reshape(stop - start, -1)[:, : self.n_units].astype(np.uint64)
        draws *= np.uint64(self.n_units)
        draws >>= np.uint64(32)
        return draws.view(np.int64)


def fitting_block(width: int) -> int:
    """Return how many rows of so many float64 take 4 MB at most: a power of two from 8 to 256.

    Examples
    --------
    >>> fitting_block(100), fitting_block(10_000), fitting_block(10_000_000)
    (256, 32, 8)
    """
    least, most = _BLOCKS
    return min(max(1 << (_BYTES // (8 * width)).bit_length() - 1, least), most) if 8 * width <= _BYTES else least


def content_order(columns: Floats, unit: Ints | None) -> Ints:
    """Return units in an order that follows from their rows alone, whatever the order and the names of either.

    Draws fall on positions. Where these follow the contents, the same data give the same resamples, however they are
    sorted. The order is that of a hash of the rows of a unit; units of equal hash are equal, and may change places.

    Parameters
    ----------
    columns : ndarray, shape (n_rows, n_columns)
    unit : ndarray, shape (n_rows,), or None
        The unit of each row, from 0; None: each row is one.

    Examples
    --------
    >>> rows = np.array([[3.0], [1.0], [2.0]])
    >>> rows[content_order(rows, None)].tolist() == rows[::-1][content_order(rows[::-1], None)].tolist()
    True
    """
    marks = np.zeros(len(columns), dtype=np.uint64)
    for column in columns.T:
        marks = _mixed(marks ^ (column + 0.0).view(np.uint64))  # + 0.0 turns -0.0 into 0.0, which equals it
    if unit is not None:
        rows, marks = marks, np.zeros(int(unit.max()) + 1, dtype=np.uint64)
        np.add.at(marks, unit, rows)
    return np.argsort(marks, kind="stable")


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a permutation of 64-bit words that scatters them: the finaliser of splitmix64 (Steele et al. 2014)."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
