"""The numeric scorer: the last number of the output against the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

    from headgate.suite.model import Numeric

_NUMBER: Final = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|[-+]?\.\d+(?:[eE][-+]?\d+)?"


def last_number(text: pl.Expr) -> pl.Expr:
    """Return the last number in a text as float64, null where there is none; ``1,234.5`` is read with its commas.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"text": ["12 + 3 = 15.", "about 1,250", "none"]})
    >>> frame.select(last_number(pl.col("text"))).to_series().to_list()
    [15.0, 1250.0, None]
    """
    import polars as pl

    found = text.str.extract_all(_NUMBER).list.last()
    return found.str.replace_all(",", "", literal=True).cast(pl.Float64, strict=False)


def numeric(spec: Numeric, output: pl.Expr, target: pl.Expr) -> pl.Expr:
    """Return a Boolean expression: the output's last number is the target within the tolerance.

    An output without a number is wrong (False); a target without one cannot be scored (null).

    Examples
    --------
    >>> import polars as pl
    >>> from headgate.suite.model import Numeric
    >>> frame = pl.DataFrame({"output": ["= 4.01", "four"], "target": ["4", "4"]})
    >>> spec = Numeric(name="sum", type="numeric", tolerance=0.05)
    >>> frame.select(numeric(spec, pl.col("output"), pl.col("target"))).to_series().to_list()
    [True, False]
    """
    import polars as pl

    wanted, got = last_number(target), last_number(output)
    allowed = pl.max_horizontal(pl.lit(spec.tolerance), wanted.abs() * spec.relative_tolerance)
    close = (got - wanted).abs() <= allowed
    return pl.when(wanted.is_null()).then(None).otherwise(close.fill_null(value=False))
