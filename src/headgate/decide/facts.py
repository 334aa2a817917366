"""What a verdict needs of a run: its digests and two tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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
    columns: pl.DataFrame | None = None

    def only(self, where: Mapping[str, str]) -> RunFacts:
        """Return the run as if it had only the items whose columns have these values."""
        if not where:
            return self
        import polars as pl

        assert self.columns is not None
        chosen = self.columns.filter(pl.all_horizontal(pl.col(name) == value for name, value in where.items()))
        ids = chosen["item_id"].implode()
        return replace(
            self,
            n_items=chosen.height,
            results=self.results.filter(pl.col("item_id").is_in(ids)),
            scores=self.scores.filter(pl.col("item_id").is_in(ids)),
        )
