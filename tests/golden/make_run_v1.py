"""Wrote ``run-v1``, which every later version must read. It is not run again: the files are the promise.

Usage: PYTHONPATH=src:tests python tests/golden/make_run_v1.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import polars as pl
from msgspec.structs import replace

from headgate.result import Result
from headgate.store.dataset import scan
from headgate.store.manifest import make_manifest
from headgate.store.provenance import Git
from headgate.store.run import RunStore
from store_rows import make_plan, make_suite, plan_results

VERSIONS = {"python": "3.11.7", "headgate": "0.1.0", "pyarrow": "26.0.1", "polars": "2.1.0", "numpy": "2.4.6"}
HEX = "0123456789abcdef"


def first_rows(plan) -> list[Result]:
    """Twenty jobs: answers in several scripts, a refusal, two errors of which one will be run again."""
    rows = plan_results(plan)
    errors = {"status": "error", "error_kind": "timeout", "output": None, "attempts": 6, "latency_s": None}
    changed = {
        1: {"output": "Grüße, 你好, مرحبا, 🚰", "reasoning": "Say hello.", "reasoning_tokens": 3},
        2: {"output": ""},
        3: {"status": "refused", "output": None, "stop_reason": "content_filter"},
        4: errors | {"error_message": "no answer in 120 s"},
        5: errors | {"http_status": 503, "error_kind": "overloaded"},
        6: {"cost_usd": None, "input_tokens": None, "output_tokens": None},
        7: {"cache_hit": True, "fallback": True, "seed_sent": True, "system_fingerprint": "fp_1", "ttfb_s": 0.1},
        8: {
            "tool_calls_json": '[{"name":"add","arguments":"{}"}]',
            "metadata_json": '{"team":"a"}',
            "cached_tokens": 9,
        },
    }
    return [replace(row, **changed.get(number, {})) for number, row in enumerate(rows)]


def main(path: Path) -> None:
    suite = make_suite()
    plan = make_plan(path, suite)
    manifest = replace(
        make_manifest(suite, plan, scorers={"correct": "1"}, argv=["headgate", "run", "suite.yaml"]),
        run_id="20260101T000000-00000000",
        created="2026-01-01T00:00:00+00:00",
        git=Git(commit="0" * 40, branch="main", dirty=False),
        ci_url="https://ci.example/jobs/1",
        versions=VERSIONS,
        platform="Linux",
    )
    rows = first_rows(plan)
    with mock.patch("secrets.token_hex", return_value="60d1a500"):
        with RunStore.create(path, manifest) as store:
            write(store, rows)
        with RunStore.open(path) as store:
            write(
                store, [replace(rows[4], status="ok", output="late", error_kind=None, error_message=None, generation=2)]
            )
            store.compact()
            blank = pl.lit(None, pl.String)
            scored = pl.when(pl.col("status") != "error").then(pl.col("output").str.len_bytes() % 2).cast(pl.Float64)
            frame = scan(path).select(
                "job_id",
                "item_id",
                "cluster",
                "prompt",
                "model",
                "seed",
                scored.alias("value"),
                label=blank,
                explanation=blank,
            )
            store.write_scores(frame.collect(), scorer="correct", version="1")


def write(store: RunStore, rows: list[Result]) -> None:
    writer = store.writer()
    for row in rows:
        writer.append(row)
    writer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
