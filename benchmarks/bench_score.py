"""Rows per second of the built-in scorers, beside a plain Python loop; a stored run of a million rows, and its memory.

``python benchmarks/bench_score.py [--rows N] [--loop N] [--stored N]``. One process; each scorer takes batches of
16,384 rows as a run does, the loop ``--loop`` rows, one after the other in one run. Scorers whose library is not
installed are left out. Then a run of ``--stored`` rows is written, and scored as ``headgate score`` does: read, scored,
written.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl
from support import peak_rss_mb, table

import headgate as hg
from headgate.conduct.prepare import prepare
from headgate.conduct.scoring import score_run
from headgate.result import COLUMNS
from headgate.score.kinds import KINDS
from headgate.score.scorer import score_columns
from headgate.store.part import write_part
from headgate.store.schema import RESULTS
from headgate.suite.suite import Suite

BATCH: Final = 16_384
SCHEMA: Final = {
    "type": "object",
    "required": ["name", "age"],
    "properties": {"name": {"type": "string", "minLength": 2}, "age": {"type": "integer", "minimum": 0}},
}
WORDS: Final = "the canal keeper writes down how high the water stood at the gate, and who came by, with what and when"
TEXTS: Final = {
    "short": [f"The answer is {n % 7}." for n in range(100)],
    "long": [f"{WORDS} {n}. The answer is {n % 7}." for n in range(100)],
    "json": [
        json.dumps({"name": "ab" * (n % 3), "age": n, "tags": [1, 2, 3], "address": {"city": "x"}}) for n in range(100)
    ],
    "sql": [f"SELECT a, b FROM t JOIN u ON t.id = u.id WHERE a > {n}" for n in range(100)],
}
DECLARED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "exact_match": ("short", {"type": "exact_match"}),
    "contains": ("long", {"type": "contains"}),
    "contains, ignore_case": ("long", {"type": "contains", "ignore_case": True}),
    "regex": ("long", {"type": "regex", "pattern": r"answer is \d+"}),
    "json_valid": ("json", {"type": "json_valid"}),
    "json_schema": ("json", {"type": "json_schema", "schema": SCHEMA}),
    "levenshtein": ("short", {"type": "string_similarity"}),
    "numeric": ("long", {"type": "numeric"}),
    "multiple_choice": ("long", {"type": "multiple_choice"}),
    "refusal": ("long", {"type": "refusal"}),
    "token_f1": ("long", {"type": "token_f1"}),
    "rougeL": ("long", {"type": "rouge"}),
    "bleu": ("long", {"type": "bleu"}),
    "language": ("long", {"type": "language"}),
    "sql_valid": ("sql", {"type": "sql_valid"}),
}
HEADLINE: Final = ("exact_match", "contains", "regex", "json_schema")
TARGET: Final = "The answer is 3."


def plain_loops() -> dict[str, Callable[[str], bool]]:
    """Return what a user would write in a loop; for JSON Schema, the validator that most have."""
    pattern = re.compile(r"answer is \d+")
    loops: dict[str, Callable[[str], bool]] = {
        "exact_match": lambda text: text.strip() == TARGET.strip(),
        "contains": lambda text: TARGET in text,
        "contains, ignore_case": lambda text: TARGET.lower() in text.lower(),
        "regex": lambda text: pattern.search(text) is not None,
        "json_valid": is_json,
        "levenshtein": lambda text: edit_distance(text, TARGET) == 0,
    }
    if importlib.util.find_spec("jsonschema"):
        from jsonschema import Draft202012Validator

        validator = Draft202012Validator(SCHEMA)
        loops["json_schema"] = lambda text: validator.is_valid(json.loads(text))
    return loops


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def edit_distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def results(texts: list[str], rows: int, start: int = 0) -> pl.DataFrame:
    """Return rows as a run has them: 100 seeds of each item."""
    number = pl.int_range(start, start + rows, eager=True)
    job = number.cast(pl.String).str.zfill(32)
    return pl.DataFrame(
        {
            "job_id": job,
            "item_id": (number // 100).cast(pl.String),
            "seed": number % 100 + 1,
            "output": pl.Series(texts).gather(number % 100),
        }
    ).with_columns(
        cluster=pl.lit(None, pl.String),
        prompt=pl.lit("p"),
        model=pl.lit("m"),
        status=pl.lit("ok"),
        target=pl.lit(TARGET),
    )


def spent(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def scorers_alone(rows: int, loop: int) -> None:
    """Print rows per second of each scorer, and of the loop."""
    loops, lines = plain_loops(), []
    for name, (kind, declared) in DECLARED.items():
        scorer = suite([{"name": "s", **declared}]).scorers[0]
        library = KINDS[type(scorer)].library
        if library is not None and importlib.util.find_spec(library) is None:
            continue
        few = rows if name in HEADLINE else max(rows // 20, BATCH)
        batches = [results(TEXTS[kind], min(BATCH, few - start)) for start in range(0, few, BATCH)]
        score_columns(scorer, batches[0][:100])  # imports, models and patterns are loaded once
        rate = few / spent(lambda: [score_columns(scorer, batch) for batch in batches])  # noqa: B023 - called at once
        line = [name, f"{rate:,.0f}", f"{1e6 / rate:.1f}", "", ""]
        if name in loops:
            texts = batches[0]["output"].to_list()[: max(loop // (50 if name == "levenshtein" else 1), 100)]
            grade = loops[name]
            plain = len(texts) / spent(lambda: [float(grade(text)) for text in texts])  # noqa: B023 - called at once
            line[3:] = [f"{plain:,.0f}", f"{rate / plain:.1f}"]
        lines.append(line)
    print(table(["scorer", "rows/s", "s per million", "plain loop, rows/s", "ratio"], lines))


def suite(scorers: list[dict[str, Any]], items: int = 1, seeds: int = 1) -> Suite:
    return hg.Suite(
        name="bench",
        items=[{"id": str(n), "target": TARGET} for n in range(items)],
        prompts={"p": "x"},
        models=[{"id": "m", "provider": "python", "call": print}],
        seeds=seeds,
        scorers=scorers,
    )


KNOWN: Final[dict[str, Any]] = {
    **dict.fromkeys(("prompt_digest", "provider", "endpoint"), "python"),
    **dict.fromkeys(("seed_sent", "fallback", "cache_hit"), False),
    "attempts": 1,
    "generation": 1,
    "queued_s": 0.0,
    "started_at": 0,
    "finished_at": 1,
}


def stored_batches(rows: int) -> Iterator[Any]:
    """Yield the rows of a run as Arrow batches with all columns of results."""
    texts = [long if n % 2 else shape for n, (long, shape) in enumerate(zip(TEXTS["long"], TEXTS["json"], strict=True))]
    kinds = pl.DataFrame(RESULTS.empty_table()).schema
    for start in range(0, rows, BATCH):
        frame = results(texts, min(BATCH, rows - start), start)
        columns = [
            (pl.col(name) if name in frame.columns else pl.lit(KNOWN.get(name))).cast(kinds[name]).alias(name)
            for name in COLUMNS
        ]
        yield from frame.select(columns).to_arrow().cast(RESULTS).to_batches()


def stored_run(rows: int) -> None:
    """Print seconds and memory of scoring a stored run with each of the four scorers."""
    chosen = [{"name": name, **DECLARED[name][1]} for name in HEADLINE]
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(suite(chosen, items=rows // 100, seeds=100), Path(folder) / "run")
        files = prepared.store.files
        write_part(
            files.path / "results" / "0001-0000-00000000-0001.parquet", stored_batches(rows), plan=prepared.plan.digest
        )
        before = peak_rss_mb()
        for scorer in prepared.scorers:
            seconds = spent(lambda: asyncio.run(score_run(prepared.store, [scorer])))  # noqa: B023 - called at once
            lines.append([scorer.name, f"{seconds:.2f}", f"{rows / seconds:,.0f}"])
        prepared.store.close()
    print(f"\na stored run of {rows:,} rows, read, scored and written:\n")
    print(table(["scorer", "seconds", "rows/s"], lines))
    print(f"\nmemory at most: {peak_rss_mb():.0f} MB, of which {before:.0f} MB before the first was scored")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--loop", type=int, default=100_000)
    parser.add_argument("--stored", type=int, default=1_000_000)
    given = parser.parse_args()
    stored_run(given.stored)
    print()
    scorers_alone(given.rows, given.loop)


if __name__ == "__main__":
    main()
