"""Results of another tool as arrays: which item, seed and cell each row is of, and its score."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headgate.errors import ConfigError
from headgate.store.importers.row import ABSENT, Columns, Format, Row, lookup
from headgate.suite.items import column_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """Scores by row, and what the rows are of.

    Attributes
    ----------
    metric, format : str
        Name of the score, and of the format that was read.
    numbered : bool
        Whether the number of a row is its item: the file names no items.
    items : list of str
        Ids of the items, by number.
    contents, clusters : list of str or None
        Of each item, where they are known.
    cells : list of (str, str)
        Prompt and model of each cell, by number.
    seeds : int
        Repeats of the item that has most.
    without : int
        Rows that were left out, as their items have no such score.
    item, seed, cell : ndarray of int64, shape (n_rows,)
        What a row is of; seeds count from 1 in the order of their labels' first rows.
    value : ndarray of float64, shape (n_rows,)
        Scores; nan where there is none.
    failed : dict of int to str
        Kind of the error of the rows that have no result.
    """

    metric: str
    format: str
    numbered: bool
    items: list[str]
    contents: list[str | None]
    clusters: list[str | None]
    cells: list[tuple[str, str]]
    seeds: int
    without: int
    item: NDArray[np.int64]
    seed: NDArray[np.int64]
    cell: NDArray[np.int64]
    value: NDArray[np.float64]
    failed: dict[int, str]


class Reading:
    """The arrays of a table as they grow, some 50 bytes a row, and a name for each item."""

    def __init__(self, path: Path, found: Format, columns: Columns, bounds: tuple[float, float] | None) -> None:
        self._path, self._format, self._columns, self._bounds = path, found, columns, bounds
        self._items: dict[str, int] = {}
        self._seeds: dict[str, int] = {}
        self._cells: dict[tuple[str, str], int] = {}
        self._contents: list[str | None] = []
        self._clusters: list[str | None] = []
        self._item, self._seed, self._cell, self._line = array("q"), array("q"), array("q"), array("q")
        self._value = array("d")
        self._failed: dict[int, str] = {}
        self._is_bool: bool | None = None
        self._read, self._without = 0, 0
        self._known: dict[str, None] = {}

    def add(self, row: Row) -> None:
        """Take a row, if it is wanted."""
        self._read += 1
        line = self._read if row.line is None else row.line
        if any(self._text(row, name, line) != value for name, value in self._columns.where.items()):
            return
        if self._format.partial and self._is_without(row):
            self._without += 1
            return
        value = None if row.failed is not None else self._score(row, line)
        if row.failed is not None:
            self._failed[len(self._value)] = row.failed
        self._item.append(self._number_item(row, line))
        self._seed.append(self._number_seed(row, line))
        self._cell.append(self._cells.setdefault((row.prompt, row.model), len(self._cells)))
        self._value.append(math.nan if value is None else value)
        self._line.append(line)

    def _is_without(self, row: Row) -> bool:
        """Tell whether the item of a row has no such score: it neither stands there nor was asked for."""
        name = self._columns.score
        assert name is not None
        self._known |= dict.fromkeys(row.metrics)
        return name not in row.metrics and lookup(row.columns, name) is ABSENT

    def _column(self, row: Row, name: str, line: int) -> Any:
        value = lookup(row.columns, name)
        if value is ABSENT:
            mend = f"columns are {', '.join(map(str, row.columns))}"
            raise ConfigError("there is no such column", file=self._path, line=line, field=name, mend=mend)
        return value

    def _text(self, row: Row, name: str, line: int) -> str | None:
        return column_text(self._column(row, name, line))

    def _named(self, row: Row, name: str, line: int) -> str:
        text = self._text(row, name, line)
        if not text:
            raise ConfigError("is empty", file=self._path, line=line, field=name)
        return text

    def _number_item(self, row: Row, line: int) -> int:
        name = self._columns.item
        item = str(self._read) if name is None else self._named(row, name, line)
        cluster = None if self._columns.cluster is None else self._named(row, self._columns.cluster, line)
        number = self._items.setdefault(item, len(self._items))
        if number == len(self._contents):
            self._contents.append(row.content)
            self._clusters.append(cluster)
        elif self._clusters[number] != cluster:
            other = f"item {item!r} was of cluster {self._clusters[number]!r} before"
            raise ConfigError("is another cluster", file=self._path, line=line, value=cluster, mend=other)
        elif self._contents[number] != row.content:
            mend = "ids are unique: are these two benchmarks in one file?"
            raise ConfigError("is the id of another item too", file=self._path, line=line, value=item, mend=mend)
        return number

    def _number_seed(self, row: Row, line: int) -> int:
        name = self._columns.seed
        label = "" if name is None else self._named(row, name, line)
        return self._seeds.setdefault(label, len(self._seeds) + 1)

    def _score(self, row: Row, line: int) -> float | None:
        assert self._columns.score is not None
        value = self._column(row, self._columns.score, line)
        if value is None or (self._format.texts and not value.strip()):
            return None
        number = _number(value, texts=self._format.texts)
        if number is None:
            raise self._refused("is no number", value, line)
        if not math.isfinite(number):
            raise self._refused("is no score", value, line, "leave it empty (null) where there is none")
        self._refuse_mixture(value, line)
        if self._bounds is not None and not self._bounds[0] <= number <= self._bounds[1]:
            low, high = self._bounds
            mend = "say what scores can be: --bounds LOW,HIGH or --bounds none"
            raise self._refused(f"is outside {low:g} to {high:g}", value, line, mend)
        return number

    def _refuse_mixture(self, value: Any, line: int) -> None:
        """Refuse true and false among numbers: one of the two is no score."""
        is_bool = isinstance(value, bool) or (self._format.texts and value.strip().lower() in _WORDS)
        if self._is_bool is None:
            self._is_bool = is_bool
        elif self._is_bool != is_bool:
            kinds = ("a number", "true or false")
            raise self._refused(f"is {kinds[is_bool]}, and the rows before have {kinds[not is_bool]}", value, line)

    def _refused(self, problem: str, value: Any, line: int, mend: str | None = None) -> ConfigError:
        return ConfigError(problem, file=self._path, line=line, field=self._columns.score, value=value, mend=mend)

    def table(self) -> ScoreTable:
        """Return what was read."""
        if not self._item and self._without:
            mend = f"scores are {', '.join(self._known)}"
            raise ConfigError("no row has such a score", file=self._path, field=self._columns.score, mend=mend)
        if not self._item:
            where = dict(self._columns.where)
            raise ConfigError("no row has these values", file=self._path, field="--where", value=where)
        item, seed, cell = (np.frombuffer(one, np.int64) for one in (self._item, self._seed, self._cell))
        self._refuse_twice((cell * len(self._items) + item) * (len(self._seeds) + 1) + seed)
        assert self._columns.score is not None
        return ScoreTable(
            metric=self._columns.score,
            format=self._format.name,
            numbered=self._columns.item is None,
            items=list(self._items),
            contents=self._contents,
            clusters=self._clusters,
            cells=list(self._cells),
            seeds=len(self._seeds),
            item=item,
            seed=seed,
            cell=cell,
            without=self._without,
            value=np.frombuffer(self._value, np.float64),
            failed=self._failed,
        )

    def _refuse_twice(self, keys: NDArray[np.int64]) -> None:
        order = np.argsort(keys, kind="stable")
        again = np.flatnonzero(np.diff(keys[order]) == 0)
        if not again.size:
            return
        first, second = min(zip(order[again].tolist(), order[again + 1].tolist(), strict=True), key=lambda two: two[1])
        seed = self._columns.seed
        raise ConfigError(
            f"stands in line {self._line[first]} too" + ("" if seed is None else f", with the same {seed}"),
            file=self._path,
            line=self._line[second],
            field=self._columns.item,
            value=list(self._items)[self._item[second]],
            mend="name the column that tells repeats apart with --seed, or choose rows with --where COLUMN=VALUE",
        )


_WORDS: Final = {"true": 1.0, "false": 0.0}


def _number(value: Any, *, texts: bool) -> float | None:
    """Return a score as a number; None if it is none. Text is one only where everything is text."""
    if isinstance(value, bool | int | float):
        return float(value)
    if not texts:
        return None
    text = value.strip().lower()
    try:
        return _WORDS[text] if text in _WORDS else float(text)
    except ValueError:
        return None
