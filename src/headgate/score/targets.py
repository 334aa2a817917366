"""The targets of a row: one text, or a list of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def target_columns(rows: pl.DataFrame) -> list[pl.Expr]:
    """Return one expression for each place of the column ``target``; null where a row has fewer."""
    import polars as pl

    if rows.schema["target"] == pl.String:
        return [pl.col("target")]
    most = rows["target"].list.len().max()
    return [pl.col("target").list.get(place, null_on_oob=True) for place in range(max(int(str(most or 1)), 1))]


def any_target(checks: Sequence[pl.Expr]) -> pl.Expr:
    """Return whether a check holds; null where all are null."""
    import polars as pl

    if len(checks) == 1:
        return checks[0]
    none = pl.all_horizontal(check.is_null() for check in checks)
    return pl.when(~none).then(pl.any_horizontal(check.fill_null(value=False) for check in checks))


def all_targets(checks: Sequence[pl.Expr]) -> pl.Expr:
    """Return whether all checks hold, those that are null aside; null where all are null."""
    import polars as pl

    if len(checks) == 1:
        return checks[0]
    none = pl.all_horizontal(check.is_null() for check in checks)
    return pl.when(~none).then(pl.all_horizontal(check.fill_null(value=True) for check in checks))


def target_lists(rows: pl.DataFrame) -> pl.Series:
    """Return the targets of each row as a list without nulls; null where there is none."""
    import polars as pl

    column = rows["target"]
    if column.dtype == pl.String:
        column = rows.select(pl.concat_list("target")).to_series()
    kept = column.list.drop_nulls()
    return kept.to_frame("t").select(pl.when(pl.col("t").list.len() > 0).then(pl.col("t"))).to_series()
