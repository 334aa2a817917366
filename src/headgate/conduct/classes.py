"""The true labels of a run's items, for metrics that are made of the labels of all answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.conduct.targets import Targets, item_targets
from headgate.score.choice import given_label
from headgate.store.layout import RunFolder
from headgate.suite.items import ItemFile
from headgate.suite.scorers import Classification

if TYPE_CHECKING:
    import polars as pl


def true_labels(run: Path, classifications: Sequence[Classification]) -> pl.DataFrame:
    """Return item_id, and by the name of each classification the label that its target is; null where it is none.

    Raises
    ------
    ConfigError
        If an item lacks a column of a target.
    """
    import polars as pl

    items = ItemFile(RunFolder(run).items)
    found = pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in items.batches(["item_id"])])
    for spec in classifications:
        targets = Targets.of(spec.target, several=False, file=None, field="target")
        label = given_label(pl.col("target"), labels=spec.names).alias(spec.name)
        labels = item_targets(targets, items).select("item_id", label)
        found = found.join(labels, on="item_id", how="left", maintain_order="left")
    return found
