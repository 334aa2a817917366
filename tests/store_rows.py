"""Rows and runs for the tests of the store."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import strategies as st
from msgspec.structs import replace

from headgate.plan import Plan, plan_suite
from headgate.result import COLUMNS, Result
from headgate.shard import Shard
from headgate.store.dataset import scan
from headgate.store.manifest import Manifest, make_manifest
from headgate.store.run import RunStore
from headgate.suite.items import ItemFile, read_rows, write_items
from headgate.suite.prompts import Prompt
from headgate.suite.suite import Suite

START = 1_767_225_600_000_000  # 2026-01-01 in microseconds


def make_result(number: int, **changes: Any) -> Result:
    """Return a plausible row of about 600 bytes; the same number gives the same job."""
    fields: dict[str, Any] = {
        "job_id": f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}",
        "item_id": f"item-{number % 97}",
        "cluster": f"group-{number % 7}",
        "prompt": "baseline" if number % 2 else "candidate",
        "prompt_digest": f"{number % 2:032x}",
        "model": "small",
        "provider": "openai",
        "endpoint": "https://api.example/v1",
        "seed": 1 + number % 3,
        "status": "ok",
        "http_status": 200,
        "output": f"Answer {number}: " + "the quick brown fox jumps over it. " * 6,
        "stop_reason": "stop",
        "input_tokens": 250,
        "output_tokens": 60 + number % 9,
        "cost_usd": 0.00025,
        "started_at": START + number * 1000,
        "finished_at": START + number * 1000 + 420_000,
        "latency_s": 0.42,
        "queued_s": 0.001,
        "served_model": "small-2026-01-01",
        "request_id": f"req-{number:024x}",
    }
    return Result(**(fields | changes))


def make_error(number: int, **changes: Any) -> Result:
    """Return the row of a job whose attempts were used up."""
    failed = {"status": "error", "error_kind": "timeout", "output": None, "http_status": None, "attempts": 6}
    return make_result(number, **(failed | changes))


_LONGS = st.integers(-(2**63), 2**63 - 1)
_TEXTS = st.text(st.characters(), max_size=20)  # surrogates and NUL included
_BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: _TEXTS,
    int: _LONGS,
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
}


def _values(hint: Any) -> st.SearchStrategy[Any]:
    options = [_BY_TYPE[kind] for kind in (hint, *typing.get_args(hint)) if kind in _BY_TYPE]
    return st.one_of(*options, *([st.none()] if type(None) in typing.get_args(hint) else []))


_HINTS = typing.get_type_hints(Result)
_CHOSEN = {
    "job_id": st.binary(min_size=16, max_size=16).map(bytes.hex),
    "status": st.sampled_from(["ok", "error", "refused"]),
}
any_result = st.fixed_dictionaries(
    {name: _CHOSEN[name] if name in _CHOSEN else _values(_HINTS[name]) for name in COLUMNS}
).map(lambda fields: Result(**fields))
"""Any row that the schema can hold, and lone surrogates."""


def as_stored(result: Result) -> Result:
    """Return the row as it comes back: lone surrogates are replaced."""
    fields = {name: getattr(result, name) for name in COLUMNS}
    return Result(**{name: _clean(value) if isinstance(value, str) else value for name, value in fields.items()})


def _clean(text: str) -> str:
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")  # pairs become one
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in joined)


def make_suite(**changes: Any) -> Suite:
    fields: dict[str, Any] = {
        "name": "sums",
        "items": [{"id": f"i{number}", "q": f"{number}+1", "target": str(number + 1)} for number in range(5)],
        "prompts": {"baseline": "{{ q }}", "candidate": "Shortly: {{ q }}"},
        "models": [{"id": "small", "provider": "simulated", "params": {"temperature": 0}}],
        "seeds": 2,
        "scorers": [{"name": "correct", "type": "exact_match"}],
    }
    return Suite(**(fields | changes))


def make_plan(folder: Path, suite: Suite) -> Plan:
    """Write the items of a suite into a run folder and plan it."""
    folder.mkdir(parents=True, exist_ok=True)
    prompts = [Prompt(name=name, messages=(("user", source.text or ""),)) for name, source in suite.prompts.items()]
    write_items(read_rows(suite.items, base=suite.base), prompts, folder / "items.parquet")
    return plan_suite(suite, items=ItemFile(folder / "items.parquet"), prompts=prompts)


def make_run(folder: Path, *, jobs: int | None = None, **changes: Any) -> tuple[Plan, Manifest]:
    """Write the items of a small suite into a run folder; return its plan and its manifest.

    ``jobs`` makes the manifest claim that many jobs, for rows of ``make_result``.
    """
    suite = make_suite(**changes)
    plan = make_plan(folder, suite)
    manifest = make_manifest(suite, plan, scorers={"correct": "1"}, argv=["headgate", "run", "suite.yaml"])
    if jobs is None:
        return plan, manifest
    return plan, replace(manifest, plan=replace(manifest.plan, n_jobs=jobs))


def plan_results(plan: Plan, **changes: Any) -> list[Result]:
    """Return one row for every job of a plan."""
    return [
        make_result(
            job.index,
            job_id=job.job_id,
            item_id=job.item.item_id,
            cluster=job.item.cluster,
            prompt=job.prompt.name,
            prompt_digest=job.prompt.digest,
            model=job.model.id,
            seed=job.seed,
            **changes,
        )
        for job in plan
    ]


def make_shard(folder: Path, shard: Shard, *, errors: int = 0, scorer: str = "correct", **changes: Any) -> Path:
    """Write a finished run of one shard, with scores; its first rows may be errors."""
    suite = make_suite(**changes)
    plan = make_plan(folder, suite)
    manifest = make_manifest(suite, plan, scorers={"correct": "1"}, argv=["headgate", "run"], shard=shard)
    marks = shard.mark_jobs(len(plan.items), cells=len(plan.cells))
    rows = [row for row, ours in zip(plan_results(plan), marks, strict=True) if ours]
    failed = {"status": "error", "error_kind": "timeout", "output": None}
    with RunStore.create(folder, manifest) as store:
        fill(store, [replace(row, **failed) for row in rows[:errors]] + rows[errors:])
        store.compact()
        store.write_scores(scores_of(folder), scorer=scorer, version="1")
    return folder


def fill(store: RunStore, rows: list[Result]) -> None:
    """Write rows to the journal of a run, and seal it."""
    writer = store.writer()
    for row in rows:
        writer.append(row)
    writer.close()


def scores_of(path: Path) -> pl.DataFrame:
    """Return a score for every answer of a run."""
    value = pl.col("input_tokens").cast(pl.Float64)
    blank = pl.lit(None, pl.String)
    frame = scan(path).filter(pl.col("status") != "error")
    keys = ("job_id", "item_id", "cluster", "prompt", "model", "seed")
    return frame.select(*keys, value=value, label=blank, explanation=blank).collect()
