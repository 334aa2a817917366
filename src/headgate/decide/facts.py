"""What a verdict needs of a run: its digests and two tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from headgate.stats.values import Ints
from headgate.store.provenance import Git

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """One run, as the gate sees it.

    Attributes
    ----------
    run : str
        Its id or directory.
    suite_digest, plan_digest, items_digest : str
        Content ids.
    n_items, seeds : int
        Size of the plan: every prompt and model has ``n_items * seeds`` jobs.
    more_seeds : mapping of (str, str) to int
        Seeds of the cells, by prompt and model, that were given more of them.
    first_seed : int
        Number of the first seed; it tells independent draws apart, and weighs nothing.
    prompts : mapping of str to str
        Prompt name to digest.
    models : mapping of str to str
        Model id to digest.
    scorers : mapping of str to str
        Scorer name to version.
    git : Git, optional
        State of the working tree.
    results : DataFrame
        Columns job_id, item_id, cluster, prompt, model, seed, status, error_kind, stop_reason, latency_s, cost_usd,
        output_tokens, served_model; one row per job.
    scores : DataFrame
        Columns job_id, item_id, cluster, prompt, model, seed, scorer, value; a null value could not be scored.
    greedy : set of str
        Ids of the models that run at temperature 0.
    read_outputs : callable, optional
        Prompt and model to columns item_id, seed, output: texts are read only where they are looked at.
    serving : DataFrame, optional
        How many answers were served how, as :func:`headgate.decide.serving.count_serving` counts them.
    true_labels : DataFrame, optional
        Column item_id, and by the name of a classification the label that is the target of each item, null where it has
        none; only where a metric is made of labels. ``scores`` then have the column ``label``.
    columns : DataFrame, optional
        Column item_id and those by which gates choose items, as text; one row per item.
    """

    run: str
    suite_digest: str
    plan_digest: str
    items_digest: str
    n_items: int
    seeds: int
    prompts: Mapping[str, str]
    models: Mapping[str, str]
    scorers: Mapping[str, str]
    git: Git | None
    results: pl.DataFrame
    scores: pl.DataFrame
    greedy: frozenset[str] = frozenset()
    read_outputs: Callable[[str, str], pl.DataFrame] | None = None
    columns: pl.DataFrame | None = None
    true_labels: pl.DataFrame | None = None
    first_seed: int = 1
    more_seeds: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    serving: pl.DataFrame | None = None

    @property
    def most_seeds(self) -> int:
        """Seeds of the cell that has most."""
        return max((self.seeds, *self.more_seeds.values()))

    def planned(self, prompt: str, model: str) -> int:
        """Return the jobs of a cell."""
        return self.n_items * self.more_seeds.get((prompt, model), self.seeds)

    def only(self, where: Mapping[str, str]) -> RunFacts:
        """Return the run as if it had only the items whose columns have these values."""
        if not where:
            return self
        import polars as pl

        assert self.columns is not None
        chosen = self.columns.filter(pl.all_horizontal(pl.col(name) == value for name, value in where.items()))
        ids = chosen["item_id"].cast(pl.String).cast(self.results.schema["item_id"], strict=False).drop_nulls()
        return replace(
            self,
            n_items=chosen.height,
            results=self.results.filter(pl.col("item_id").is_in(ids.implode())),
            scores=self.scores.filter(pl.col("item_id").is_in(ids.implode())),
        )


def number_items(runs: Sequence[RunFacts]) -> list[RunFacts]:
    """Return runs whose items are numbered alike: ids are then a ``polars.Enum``, not texts.

    Only the first of neighbouring rows of one item is looked up: stored rows are sorted by item.
    """
    import polars as pl

    frames = [frame for run in runs for frame in (run.results, run.scores)]
    kinds = [frame.schema["item_id"] for frame in frames]
    if isinstance(kinds[0], pl.Enum) and all(kind == kinds[0] for kind in kinds):
        return list(runs)  # they were numbered when they were read
    heads = [_Heads.of(frame["item_id"].cast(pl.String)) for frame in frames]
    items = pl.Enum(pl.concat([head.names for head in heads]).unique().sort())
    coded = iter(
        frame.with_columns(item_id=names.gather(head.place))
        for frame, head, names in zip(frames, heads, _coded(heads, items), strict=True)
    )
    return [replace(run, results=next(coded), scores=next(coded)) for run in runs]


def _coded(heads: Sequence[_Heads], items: pl.Enum) -> Iterator[pl.Series]:
    """Look the names up; the results and the scores of a run have the same ones, as a rule."""
    last: tuple[pl.Series, pl.Series] | None = None
    for head in heads:
        if last is None or not last[0].equals(head.names):
            last = head.names, head.names.cast(items)
        yield last[1]


def item_numbers(rows: pl.DataFrame) -> Ints:
    """Return the number of each row's item."""
    return rows["item_id"].to_physical().to_numpy().astype(np.int64)


def item_names(rows: pl.DataFrame, numbers: Ints) -> list[str]:
    """Return the ids of numbered items."""
    import polars as pl

    kind = rows.schema["item_id"]
    assert isinstance(kind, pl.Enum)
    return kind.categories.gather(numbers).to_list()


@dataclass(frozen=True, slots=True)
class _Heads:
    """A column of names, as the first of each stretch of equal ones and the stretch of each row."""

    names: pl.Series
    place: pl.Series

    @classmethod
    def of(cls, column: pl.Series) -> _Heads:
        place = column.rle_id()
        starts = np.flatnonzero(np.diff(place.to_numpy().astype(np.int64), prepend=-1))
        return cls(column.gather(starts), place)
