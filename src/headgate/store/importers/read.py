"""A file of another tool's results, read into a table of scores."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

from headgate.errors import ConfigError
from headgate.store.importers.detect import find_format
from headgate.store.importers.row import Columns, Format, Row
from headgate.store.importers.table import Reading, ScoreTable

_DEFAULT_ITEMS: Final = ("item_id", "id")
_DEFAULT_SCORE: Final = "score"


def read_scores(
    path: Path,
    columns: Columns,
    *,
    format_name: str | None = None,
    bounds: tuple[float, float] | None,
) -> ScoreTable:
    r"""Read a file of scores; of each row only ids and the score are held.

    Parameters
    ----------
    format_name : str, optional
        One of :data:`~headgate.store.importers.detect.FORMATS`; default: what the file looks like.
    bounds : tuple of float or None
        Smallest and largest possible score.

    Raises
    ------
    ConfigError
        If the file is missing, empty, broken or of an unknown format; if a column is missing, an id empty, a score no
        finite number or outside the bounds, an item and seed there twice, or an item in two clusters.
    StoreError
        If it is the log of an evaluation that did not end.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "scores.csv")
    ...     _ = file.write_text("item_id,score\na,1\nb,0\nc,\n")
    ...     table = read_scores(file, Columns(), bounds=(0, 1))
    >>> table.items, table.value
    (['a', 'b', 'c'], array([ 1.,  0., nan]))
    """
    found = find_format(path, format_name)
    rows = found.read(path, columns.names | {*_DEFAULT_ITEMS, _DEFAULT_SCORE})
    first = next(rows, None)
    if first is None:
        raise ConfigError("holds no rows", file=path)
    reading = Reading(path, found, _resolved(columns, first, found, path), bounds)
    for row in chain([first], rows):
        reading.add(row)
    return reading.table()


def _resolved(columns: Columns, first: Row, found: Format, path: Path) -> Columns:
    """Return the columns with the defaults that the first row allows."""
    item = columns.item or next((name for name in _DEFAULT_ITEMS if name in first.columns), None)
    score = columns.score or _only_score(first, path)
    return replace(columns, item=item, score=score, seed=columns.seed or found.seed)


def _only_score(first: Row, path: Path) -> str:
    if _DEFAULT_SCORE in first.columns:
        return _DEFAULT_SCORE
    if len(first.metrics) == 1:
        return first.metrics[0]
    names = ", ".join(first.metrics or first.columns)
    raise ConfigError("does not say which column is the score", file=path, mend=f"choose one with --score: {names}")
