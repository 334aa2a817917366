"""Scorers of structured output: whether it is one JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import polars as pl


def is_json(text: str) -> bool:
    """Return whether a text is exactly one JSON document.

    Examples
    --------
    >>> is_json(' {"a": [1]} '), is_json("{'a': 1}"), is_json("NaN")
    (True, False, False)
    """
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def json_valid(output: pl.Expr) -> pl.Expr:
    """Return a Boolean expression: the output is one JSON document."""
    import polars as pl

    return output.map_elements(is_json, return_dtype=pl.Boolean)
