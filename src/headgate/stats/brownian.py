"""A Brownian motion with drift, looked at now and then: what the looks of a sequential test see, by integration."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from headgate.errors import StatisticsError
from headgate.stats.values import Floats

CLOSEST: Final = 1e-6
"""Two looks must be further apart than this share of the later one."""
FARTHEST: Final = 38.0
"""Standard deviations beyond which a normal density is 0 in double precision."""
_WIDE: Final = 8.0  # standard deviations that hold all but 1e-15 of a normal distribution
_PANEL: Final = 4.0  # width of a quadrature panel, in standard deviations of the smaller step beside it
_NODES: Final = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The paths that no look has stopped yet: where they stand, by quadrature.

    Attributes
    ----------
    at : ndarray, shape (n_nodes,)
        Where they stand, in rising order.
    mass : ndarray, shape (n_nodes,)
        Probability that stands there.
    time : float
        The time of the last look.
    drift : float
        Mean of the motion at time 1.

    Notes
    -----
    Armitage, McPherson and Rowe (1969), Repeated significance tests on accumulating data: the density at a look is the
    density at the look before, cut at its limits and convolved with a normal one. Gauss-Legendre panels follow the
    smaller of the two steps beside a look, so that close looks cost time and not digits.

    Examples
    --------
    >>> paths = Paths.start().onward(0.5, until=1.0, above=1.0)
    >>> round(float(paths.mass.sum()), 6), round(paths.over(1.0, 1.5), 6)
    (0.92135, 0.03522)
    """

    at: Floats
    mass: Floats
    time: float
    drift: float

    @classmethod
    def start(cls, drift: float = 0.0) -> Paths:
        """Return the motion at time 0."""
        return cls(at=np.zeros(1), mass=np.ones(1), time=0.0, drift=drift)

    def over(self, time: float, limit: float) -> float:
        """Return the probability to come this far unstopped and then to stand above a limit."""
        return float(self.mass @ ndtr((self._moved(time) - limit) / math.sqrt(time - self.time)))

    def under(self, time: float, limit: float) -> float:
        """Return the probability to come this far unstopped and then to stand below a limit."""
        return float(self.mass @ ndtr((limit - self._moved(time)) / math.sqrt(time - self.time)))

    def onward(self, time: float, *, until: float, above: float = math.inf, below: float = -math.inf) -> Paths:
        """Move to a look and stop what stands above one limit or below the other; the look after is at ``until``."""
        step, centre, sd = math.sqrt(time - self.time), self.drift * time, math.sqrt(time)
        low, high = max(below, centre - _WIDE * sd), min(above, centre + FARTHEST * sd)
        if low >= high:
            return replace(self, at=np.empty(0), mass=np.empty(0), time=time)
        n_panels = math.ceil((high - low) / (_PANEL * min(step, math.sqrt(until - time))))
        edges = np.linspace(low, high, n_panels + 1)
        half = (high - low) / (2 * n_panels)
        at = (edges[:-1] + half)[:, None] + half * _NODES[0]
        moved = self._moved(time)
        first = np.searchsorted(moved, at[:, 0] - FARTHEST * step)
        last = np.searchsorted(moved, at[:, -1] + FARTHEST * step)
        mass = np.empty_like(at)
        for panel, (i, j) in enumerate(zip(first, last, strict=True)):
            gaps = (at[panel][:, None] - moved[i:j]) / step
            mass[panel] = np.exp(-0.5 * gaps**2) @ self.mass[i:j]
        mass *= half * _NODES[1] / (step * math.sqrt(2 * math.pi))
        return replace(self, at=at.ravel(), mass=mass.ravel(), time=time)

    def _moved(self, time: float) -> Floats:
        """Return where the paths would stand on average."""
        return self.at + self.drift * (time - self.time)


def as_fractions(fractions: ArrayLike) -> Floats:
    """Return information fractions as a float64 vector.

    Raises
    ------
    StatisticsError
        If there are none, one is not in (0, 1], or they do not rise by more than a millionth.

    Examples
    --------
    >>> as_fractions([0.5, 0.5])
    Traceback (most recent call last):
    headgate.errors.StatisticsError: fractions[1] is 0.5, not above fractions[0], which is 0.5
    """
    t = np.asarray(fractions, dtype=np.float64)
    if t.ndim != 1 or t.size == 0:
        raise StatisticsError(f"fractions must be a vector of at least one number, not of shape {t.shape}")
    outside = ~((t > 0) & (t <= 1))
    if outside.any():
        index = int(np.argmax(outside))
        raise StatisticsError(f"fractions[{index}] is {t[index]:g}, not in (0, 1]")
    close = np.diff(t) <= CLOSEST * t[1:]
    if close.any():
        index = int(np.argmax(close))
        raise StatisticsError(
            f"fractions[{index + 1}] is {t[index + 1]:g}, not above fractions[{index}], which is {t[index]:g}"
        )
    return t
