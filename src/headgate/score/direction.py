"""Which end of a score is good, and where its ends are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """How scores of a scorer read: the smallest and largest value, and which end is good."""

    bounds: tuple[float, float] | None = (0.0, 1.0)
    higher_is_better: bool = True

    @property
    def worst(self) -> float | None:
        """The value of an answer that failed (refusal, empty answer); None when the scorer has no bound there."""
        return None if self.bounds is None else self.bounds[0 if self.higher_is_better else 1]


UNIT: Final = Direction()
"""From 0 to 1, higher being better."""
