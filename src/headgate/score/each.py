"""Row by row, where no expression over columns will do: what a grader says becomes a score, or null with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from headgate.score.callables import Score, as_score, failed_score

if TYPE_CHECKING:
    import polars as pl

Grade: TypeAlias = Score | float | bool | None


def grade_each(
    grade: Callable[..., Grade], *columns: pl.Series, bounds: tuple[float, float] | None = (0.0, 1.0)
) -> pl.DataFrame:
    """Grade every row of some columns.

    Returns
    -------
    DataFrame
        ``value``, ``label``, ``explanation``. A row whose grader raises, or returns what is no score, is null and
        says why; the others go on.

    Examples
    --------
    >>> import polars as pl
    >>> grade_each(lambda text: 1 / int(text), pl.Series(["2", "0"]))["explanation"].to_list()
    [None, 'ZeroDivisionError: division by zero']
    """
    return score_frame(
        _guarded(grade, row, bounds) for row in zip(*(column.to_list() for column in columns), strict=True)
    )


def _guarded(grade: Callable[..., Grade], row: tuple[Any, ...], bounds: tuple[float, float] | None) -> Score:
    try:
        found = grade(*row)
        if found is True:
            return _RIGHT
        return _WRONG if found is False else as_score(found, bounds=bounds)
    except Exception as error:  # noqa: BLE001 - output is anything at all, and one row must not end the others
        return failed_score(error)


_RIGHT, _WRONG = Score(1.0), Score(0.0)


def score_frame(scores: Iterable[Score]) -> pl.DataFrame:
    """Return scores as columns ``value``, ``label``, ``explanation``."""
    import polars as pl

    columns: tuple[list[Any], ...] = ([], [], [])
    for score in scores:
        columns[0].append(score.value)
        columns[1].append(score.label)
        columns[2].append(score.explanation)
    kinds = {"value": pl.Float64, "label": pl.String, "explanation": pl.String}
    return pl.DataFrame(dict(zip(kinds, columns, strict=True)), schema=kinds)
