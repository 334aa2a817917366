"""F1 and Matthews' correlation of a classification over items, from the labels that stand in a run's scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headgate.conduct.targets import Targets, item_targets
from headgate.errors import StatisticsError
from headgate.score.choice import given_label
from headgate.stats import Estimate, class_columns, macro_f1, matthews_correlation, resample_means
from headgate.store.dataset import scan_scores
from headgate.store.layout import RunFolder
from headgate.suite.items import ItemFile
from headgate.suite.scorers import Classification

if TYPE_CHECKING:
    import polars as pl

_STATISTICS: Final = {"f1": macro_f1, "mcc": matthews_correlation}


@dataclass(frozen=True, slots=True)
class Classes:
    """What a run's answers were taken for, and what they were.

    Attributes
    ----------
    rows : DataFrame
        prompt, model, item_id, cluster, and the numbers of the labels: ``given`` (-1: none) and ``true``.
    n_classes : int
        How many labels there are.
    """

    rows: pl.DataFrame
    n_classes: int

    @classmethod
    def of(cls, path: Path, spec: Classification) -> Classes:
        """Read the labels of a run; answers to items whose target is no label are left out."""
        import polars as pl

        names = [label.strip() for label in spec.labels]
        numbers = {name: number for number, name in enumerate(names)}
        targets = Targets.of(spec.target, several=False, file=None, field="target")
        true = item_targets(targets, ItemFile(RunFolder(path).items)).select(
            "item_id",
            true=given_label(pl.col("target"), labels=names).replace_strict(
                numbers, default=None, return_dtype=pl.Int64
            ),
        )
        given = pl.col("label").replace_strict(numbers, default=-1, return_dtype=pl.Int64)
        scores = scan_scores(path).filter(pl.col("scorer") == spec.name, pl.col("value").is_not_null())
        rows = scores.select("prompt", "model", "item_id", "cluster", given=given).collect()
        return cls(rows.join(true.drop_nulls("true"), on="item_id"), len(names))

    def estimates(self, prompt: str, model: str, *, confidence: float) -> dict[str, Estimate | None]:
        """Return macro F1 and MCC of a cell with bootstrap intervals over items; None where there is too little.

        The seeds of an item count together as one, whole clusters are drawn, and an answer without a label is of none
        of the classes.
        """
        import polars as pl

        cell = self.rows.filter(prompt=prompt, model=model)
        if cell.is_empty():
            return dict.fromkeys(_STATISTICS)
        columns = pl.DataFrame(class_columns(cell["given"], cell["true"], n_classes=self.n_classes))
        items = pl.concat([cell.select("item_id", "cluster"), columns], how="horizontal")
        means = items.group_by("item_id").agg(pl.col("cluster").first(), pl.col(columns.columns).mean()).sort("item_id")
        alone = pl.coalesce(pl.col("cluster"), "item:" + pl.col("item_id"))
        cluster = None if means["cluster"].null_count() == means.height else means.select(alone).to_series().to_numpy()
        try:
            resampled = resample_means(means.select(columns.columns).to_numpy(), cluster=cluster)
        except StatisticsError:
            return dict.fromkeys(_STATISTICS)
        found: dict[str, Estimate | None] = {}
        for name, statistic in _STATISTICS.items():
            try:
                found[name] = resampled.interval(statistic, confidence=confidence)
            except StatisticsError:
                found[name] = None
        return found
