"""What a verdict needs of a run: its digests and two tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
