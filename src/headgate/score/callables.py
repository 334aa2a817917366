"""The python scorer: a user's function of one row, wrapped so that whatever it does becomes a score or a reason."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer says of one row.

    Attributes
    ----------
    value : float or None
        None: could not be scored; the explanation says why.
    label, explanation : str, optional
        Free text, stored with the value.
    """

    value: float | None
    label: str | None = None
    explanation: str | None = None


Grade = Callable[[Any, Any], Any]
"""A function of an output and its item; or of lists of them."""


def bind_item(call: Callable[..., Any]) -> Grade:
    """Return ``call`` as a function of (output, item), whichever of the two it takes.

    Examples
    --------
    >>> bind_item(len)("four", {})
    4
    """
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return lambda output, _: call(output)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_two = len(positional) >= 2 or any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return call if takes_two else lambda output, _: call(output)


def failed_score(error: Exception) -> Score:
    """Return the score of a row whose scorer raised."""
    return Score(None, explanation=f"{type(error).__name__}: {error}"[:2000])


def as_score(value: Any, *, bounds: tuple[float, float] | None) -> Score:
    """Read a number, Boolean, None, Score or mapping as a score; what is no score is null with the reason.

    Examples
    --------
    >>> as_score(True, bounds=(0, 1)).value
    1.0
    >>> as_score(float("nan"), bounds=None).explanation
    'the scorer returned nan'
    >>> as_score(3, bounds=(0, 1)).explanation
    'the scorer returned 3.0, outside its bounds [0, 1]'
    """
    if isinstance(value, Score):
        inner = as_score(value.value, bounds=bounds)
        return Score(inner.value, value.label, value.explanation or inner.explanation)
    if isinstance(value, Mapping):
        inner = as_score(value.get("value", value.get("score")), bounds=bounds)
        return Score(inner.value, _text(value.get("label")), _text(value.get("explanation")) or inner.explanation)
    if value is None:
        return Score(None, explanation="the scorer returned None")
    try:
        number = float(value)
    except (TypeError, ValueError):
        return Score(None, explanation=f"the scorer returned {type(value).__name__} {str(value)[:100]!r}, not a number")
    if not math.isfinite(number):
        return Score(None, explanation=f"the scorer returned {number}")
    if bounds is not None and not bounds[0] <= number <= bounds[1]:
        return Score(
            None, explanation=f"the scorer returned {number}, outside its bounds [{bounds[0]:g}, {bounds[1]:g}]"
        )
    return Score(number)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
