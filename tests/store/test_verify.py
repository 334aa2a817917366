import os

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.errors import ConfigError
from headgate.shard import Shard
from headgate.store import checksums
from headgate.store.dataset import scan
from headgate.store.layout import RunFolder
from headgate.store.run import RunStore
from headgate.store.verify import Problem, verify
from store_rows import make_run, make_shard, plan_results


@pytest.fixture
def path(tmp_path):
    """A finished run with scores."""
    path = tmp_path / "run"
    plan, manifest = make_run(path)
    with RunStore.create(path, manifest) as store:
        writer = store.writer()
        for row in plan_results(plan):
            writer.append(row)
        writer.close()
        store.compact()
        store.write_scores(scores_of(path), scorer="correct", version="1")
    return path


def scores_of(path):
    blank = {"value": pl.lit(1.0), "label": pl.lit(None, pl.String), "explanation": pl.lit(None, pl.String)}
    return scan(path).select("job_id", "item_id", "cluster", "prompt", "model", "seed", **blank).collect()


def part_of(path):
    [part] = RunFolder(path).parts()
    return part


def texts(path):
    return [f"{problem.file.relative_to(path).as_posix()}: {problem.problem}" for problem in verify(path)]


def rewrite(file, change, path):
    """Rewrite a Parquet file as somebody with other tools would, checksums included."""
    table = pq.read_table(file)
    metadata = pq.read_schema(file).metadata or {}
    kept = {key: value for key, value in pq.ParquetFile(file).metadata.metadata.items() if key.startswith(b"headgate")}
    table = change(table)
    pq.write_table(table.replace_schema_metadata({**metadata, **kept, **(table.schema.metadata or {})}), file)
    run = RunFolder(path)
    checksums.forget(run, [file])
    checksums.refresh(run)


def test_a_whole_run_has_no_problems(path):
    assert verify(path) == []


@pytest.mark.parametrize("name", ["manifest.json", "items.parquet", "results/*.parquet", "scores/*.parquet"])
def test_a_changed_byte_anywhere_is_found(path, name):
    [file] = path.glob(name)
    data = bytearray(file.read_bytes())
    for position in range(0, len(data), max(1, len(data) // 40)):
        damaged = bytearray(data)
        damaged[position] ^= 0x20
        file.write_bytes(damaged)
        shown = file.relative_to(path).as_posix()
        assert any(text.startswith(f"{shown}: ") for text in texts(path)), position
    file.write_bytes(data)
    assert verify(path) == []


def test_page_checksums_find_damage_that_sums_do_not(path):
    part = part_of(path)
    data = bytearray(part.read_bytes())
    data[100] ^= 1
    part.write_bytes(data)
    checksums.forget(RunFolder(path), [part])
    checksums.refresh(RunFolder(path))
    [problem] = verify(path)
    assert problem.file == part
    assert problem.problem.startswith("cannot be read: ")
    assert str(problem).endswith("restore it from a copy, or remove it and run again: its jobs are then sent again")


def test_missing_files(path):
    part = part_of(path)
    part.unlink()
    assert texts(path) == [
        f"results/{part.name}: is listed in SHA256SUMS and is not there",
        "results: has 0 of 20 jobs",
        "scores/correct@1.parquet: scores 20 jobs that have no result, such as "
        + min(pq.read_table(path / "scores" / "correct@1.parquet")["job_id"].to_pylist()),
    ]
    (path / "items.parquet").unlink()
    assert any(text.startswith("items.parquet: cannot be read") for text in texts(path))


def test_a_damaged_manifest_ends_it(path):
    (path / "manifest.json").write_text("{")
    [problem] = verify(path)
    assert problem.file == path / "manifest.json"
    assert "is damaged" in problem.problem


def test_no_run(tmp_path):
    with pytest.raises(ConfigError, match="is not a run directory"):
        verify(tmp_path)


def test_no_sums(path):
    (path / "SHA256SUMS").unlink()
    problems = verify(path)
    assert [problem.problem for problem in problems] == ["has no line in SHA256SUMS"] * 4
    assert all(problem.unfinished for problem in problems)
    (path / "SHA256SUMS").write_text("nonsense")
    assert [problem.unfinished for problem in verify(path)] == [False]


def test_columns_of_another_kind(path):
    rewrite(part_of(path), lambda table: table.drop_columns(["cost_usd", "seed"]), path)
    assert texts(path) == [f"results/{part_of(path).name}: column 'seed' is missing"]
    narrow = pa.array([1] * 20, pa.int32())
    rewrite(part_of(path), lambda table: table.append_column("seed", narrow), path)
    assert texts(path) == [f"results/{part_of(path).name}: column 'seed' is int32, not int64"]


def test_footers(path):
    rewrite(part_of(path), lambda table: table.replace_schema_metadata({"headgate.plan": "another"}), path)
    assert texts(path) == [f"results/{part_of(path).name}: belongs to another plan ('another')"]
    rewrite(part_of(path), lambda table: table.replace_schema_metadata({"headgate.schema": "9"}), path)
    assert f"results/{part_of(path).name}: its footer names schema '9'" in texts(path)


def test_doubles(path):
    part = part_of(path)
    (part.parent / "0001-0000-b-0001.parquet").write_bytes(part.read_bytes())
    checksums.refresh(RunFolder(path))
    first = min(pq.read_table(part)["job_id"].to_pylist())
    assert texts(path) == [f"results: 20 jobs have two rows, such as {first}"]
    rewrite(part, lambda table: table.slice(0, 3), path)
    assert texts(path)[0].startswith("results: 3 jobs have two rows, such as ")


def test_more_jobs_than_planned(path):
    ids = pa.array([f"{number:032x}" for number in range(20)])
    other = part_of(path).with_name("0001-0000-b-0001.parquet")
    other.write_bytes(part_of(path).read_bytes())
    rewrite(other, lambda table: table.set_column(0, table.schema.field("job_id"), ids), path)
    assert texts(path) == ["results: has 40 jobs, the plan 20"]


def test_items_that_do_not_fit_the_manifest(path):
    rewrite(path / "items.parquet", lambda table: table.slice(0, 4), path)
    assert texts(path) == ["items.parquet: has 4 items, the manifest says 5"]


def test_a_finished_shard_is_whole(tmp_path):
    shard = make_shard(tmp_path / "shard", Shard(2, 3))
    assert verify(shard) == []
    part_of(shard).unlink()
    assert "results: has 0 of 8 jobs" in texts(shard)


def test_more_jobs_than_the_shard_has(tmp_path):
    shard, other = (make_shard(tmp_path / str(index), Shard(index, 3)) for index in (1, 2))
    (part_of(shard).parent / part_of(other).name).write_bytes(part_of(other).read_bytes())
    checksums.refresh(RunFolder(shard))
    assert texts(shard) == ["results: has 16 jobs, shard 1/3 8"]


def test_strays(path):
    for name in ("results/a.txt", "results/b.parquet.tmp", "scores/c.csv"):
        (path / name).touch()
    assert texts(path) == [
        f"{name}: does not belong here" for name in ("results/a.txt", "results/b.parquet.tmp", "scores/c.csv")
    ]


def test_an_interrupted_run_is_unfinished_and_not_damaged(tmp_path):
    path = tmp_path / "run"
    plan, manifest = make_run(path)
    with RunStore.create(path, manifest) as store:
        writer = store.writer()
        for row in plan_results(plan)[:7]:
            writer.append(row)
    [segment] = RunFolder(path).segments()
    problems = verify(path)
    assert all(problem.unfinished for problem in problems)
    assert [problem.problem for problem in problems] == ["holds 7 rows that are not in a part yet", "has 7 of 20 jobs"]
    os.truncate(segment, segment.stat().st_size - 20)
    assert texts(path) == [f"journal/{segment.name}: is torn after 0 rows", "results: has 0 of 20 jobs"]


def test_later_versions(path):
    data = msgspec.json.decode((path / "manifest.json").read_bytes()) | {"schema": 5}
    (path / "manifest.json").write_bytes(msgspec.json.encode(data))
    [problem] = verify(path)
    assert "update headgate" in problem.problem


def test_a_problem_reads_as_one_line(tmp_path):
    problem = Problem(file=tmp_path / "a", problem="is torn", mend="mend it")
    assert str(problem) == f"{tmp_path}/a: is torn; mend it"
