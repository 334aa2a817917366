"""What a writer gets: the cell that is written, and its rows with the items that they answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow.parquet as pq

from headgate.store.manifest import Manifest
from headgate.suite.items import Item, ItemFile

_BATCH_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One cell of a run: one prompt on one model.

    Attributes
    ----------
    scorers : sequence of (str, str)
        Name of each scorer, and of the column that holds its scores.
    complete : bool
        Whether every job of the cell has a row.
    """

    manifest: Manifest
    prompt: str
    model: str
    scorers: Sequence[tuple[str, str]]
    complete: bool

    @property
    def identity(self) -> Mapping[str, Any]:
        """Provider, name and parameters of the model."""
        return self.manifest.plan.models[self.model].identity

    @property
    def model_name(self) -> str:
        """The model as other tools write it: ``provider/name``."""
        return f"{self.identity['provider']}/{self.identity['model']}"


class Answer(NamedTuple):
    """A row of results with its scores, and what was asked."""

    row: Mapping[str, Any]
    item: Item
    messages: list[dict[str, str]]


def read_answers(rows: Path, items: Path, *, prompt: str) -> Iterator[Answer]:
    """Yield the rows of a Parquet file, each with its item, a batch at a time."""
    file = ItemFile(items)
    places: dict[str, int] = {}
    for batch in file.batches(["item_id"]):
        for item_id in batch.column(0).to_pylist():
            places[item_id] = len(places)
    with pq.ParquetFile(rows) as parquet:
        for batch in parquet.iter_batches(_BATCH_ROWS, use_threads=False):
            for row in batch.to_pylist():
                item = file[places[row["item_id"]]]
                yield Answer(row, item, msgspec.json.decode(item.messages[prompt]))
