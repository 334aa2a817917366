"""A run that version 1 wrote, readable for ever; by everything that reads Parquet."""

import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from headgate.shard import Shard
from headgate.store.dataset import scan, scan_scores
from headgate.store.manifest import read_manifest
from headgate.store.run import RunStore
from headgate.store.schema import RESULTS, SCORES
from headgate.store.verify import verify

RUN = Path(__file__).parents[1] / "golden" / "run-v1"
PARTS = str(RUN / "results" / "*.parquet")
STATUSES = {"ok": 18, "error": 1, "refused": 1}
GREETING = "Grüße, 你好, مرحبا, 🚰"


def test_it_is_whole():
    assert verify(RUN) == []


def test_its_manifest_reads():
    manifest = read_manifest(RUN / "manifest.json")
    assert (manifest.schema, manifest.run_id, manifest.name) == (1, "20260101T000000-00000000", "sums")
    assert (manifest.plan.n_jobs, manifest.plan.seeds, manifest.plan.axis) == (20, 2, "prompt")
    assert manifest.plan.prompts["candidate"].messages == [("user", "Shortly: {{ q }}")]
    assert manifest.git is not None
    assert manifest.git.branch == "main"


def test_headgate_reads_it():
    frame = scan(RUN).collect()
    assert frame.columns == [*RESULTS.names, "run"]
    assert dict(frame.group_by("status").len().iter_rows()) == STATUSES
    assert frame["job_id"].n_unique() == 20
    [greeting] = frame.filter(pl.col("reasoning").is_not_null()).to_dicts()
    assert greeting["output"] == GREETING
    assert greeting["started_at"] == datetime(2026, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)
    [repeated] = frame.filter(generation=2).to_dicts()
    assert (repeated["status"], repeated["output"], repeated["error_message"]) == ("ok", "late", None)
    scores = scan_scores(RUN).collect()
    assert scores.columns == [*SCORES.names, "run"]
    assert (scores.height, scores["value"].null_count()) == (20, 2)


def test_polars_reads_it():
    frame = pl.scan_parquet(PARTS)
    assert dict(frame.group_by("status").len().collect().iter_rows()) == STATUSES
    assert frame.filter(pl.col("reasoning").is_not_null()).collect()["output"].to_list() == [GREETING]
    assert pl.read_parquet_metadata(next(RUN.glob("results/*.parquet")))["headgate.schema"] == "1"


def test_pandas_reads_it():
    frame = pd.read_parquet(RUN / "results")
    assert frame["status"].value_counts().to_dict() == STATUSES
    assert frame.loc[frame["reasoning"].notna(), "output"].tolist() == [GREETING]
    assert str(frame["started_at"].dtype) == "datetime64[us, UTC]"


def test_duckdb_reads_it():
    assert dict(duckdb.sql(f"select status, count(*) from '{PARTS}' group by status").fetchall()) == STATUSES
    assert duckdb.sql(f"select output from '{PARTS}' where reasoning is not null").fetchall() == [(GREETING,)]
    keys = duckdb.sql(
        f"select distinct decode(value) from parquet_kv_metadata('{PARTS}') where decode(key) = 'headgate.schema'"
    )
    assert keys.fetchall() == [("1",)]
    assert duckdb.sql(f"select min(epoch_us(started_at)) from '{PARTS}'").fetchall() == [(1_767_225_600_000_000,)]


def test_pyarrow_reads_it():
    table = ds.dataset(RUN / "results", schema=RESULTS).to_table()
    assert table.schema.equals(RESULTS)
    assert Counter(table["status"].to_pylist()) == STATUSES
    assert pq.read_table(RUN / "scores" / "correct@1.parquet").schema.names == SCORES.names[:-1]


def test_it_resumes(tmp_path):
    shutil.copytree(RUN, tmp_path / "run")
    with RunStore.open(tmp_path / "run") as store:
        assert store.generation == 3
        assert len(store.done_job_ids()) == 20
        assert len(store.done_job_ids(retry_errors=True)) == 19
        assert store.counts() == STATUSES
    assert verify(tmp_path / "run") == []


def test_it_is_a_whole_run():
    """Its manifest is older than shards."""
    manifest = read_manifest(RUN / "manifest.json")
    assert "shard" not in (RUN / "manifest.json").read_text()
    assert (manifest.shard, manifest.merged) == (None, [])
    assert manifest.n_jobs == manifest.plan.n_jobs == 20


def test_a_shard_stands_in_the_manifest(tmp_path):
    """So it is stored, and so it must be read."""
    path = tmp_path / "manifest.json"
    older = msgspec.json.decode((RUN / "manifest.json").read_bytes())
    path.write_bytes(msgspec.json.encode(older | {"shard": {"index": 2, "count": 4}, "merged": ["a"]}))
    manifest = read_manifest(path)
    assert (manifest.shard, manifest.merged, manifest.n_jobs) == (Shard(2, 4), ["a"], 4)
    assert msgspec.to_builtins(manifest)["shard"] == {"index": 2, "count": 4}


DOCS = Path(__file__).parents[2] / "docs" / "results.md"


@pytest.mark.parametrize(("name", "schema"), [("results", RESULTS), ("scores", SCORES)])
def test_the_page_lists_the_columns(name, schema):
    text = DOCS.read_text().split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()[2:]]
    listed = [(column.strip("`"), kind, null == "yes") for column, kind, null, _ in rows]
    assert listed == [(field.name, str(field.type), field.nullable) for field in schema]
    assert all(meaning for *_, meaning in rows)


def test_the_code_of_the_page_runs(tmp_path, monkeypatch, capsys):
    shutil.copytree(RUN, tmp_path / "runs" / "pr-12")
    monkeypatch.chdir(tmp_path)
    blocks = [block.split("```")[0] for block in DOCS.read_text().split("```python\n")[1:]]
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, str(DOCS), "exec"), {})
    assert "refused" in capsys.readouterr().out
