import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from headgate.errors import ConfigError, StoreError
from headgate.store.dataset import find_runs, scan, scan_scores
from headgate.store.journal import JournalLimits
from headgate.store.run import RunStore
from headgate.store.schema import RESULTS, SCORES
from store_rows import START, make_error, make_result, make_run


def write_run(path, *generations, compact=True, limits=None):
    _, manifest = make_run(path)
    RunStore.create(path, manifest).close()
    for rows in generations:
        with RunStore.open(path) as store:
            writer = store.writer(limits=limits)
            for row in rows:
                writer.append(row)
            writer.close()
            if compact:
                store.compact()
    return path


def values(frame, *columns):
    return sorted(frame.select(columns).collect().iter_rows())


def test_types_and_columns(tmp_path):
    path = write_run(tmp_path / "run", [make_result(1)])
    frame = scan(path)
    assert frame.collect_schema().names() == [*RESULTS.names, "run"]
    row = frame.collect().row(0, named=True)
    assert row["run"] == str(path)
    assert row["started_at"].timestamp() == (START + 1000) / 1e6
    assert frame.collect_schema()["started_at"] == pl.Datetime("us", "UTC")
    assert frame.collect_schema()["input_tokens"] == pl.Int64
    assert row["output"] == make_result(1).output


def test_journal_and_parts_read_alike(tmp_path):
    rows = [make_result(number) for number in range(300)] + [make_error(number) for number in range(300, 320)]
    live = scan(write_run(tmp_path / "live", rows, compact=False)).drop("run")
    done = scan(write_run(tmp_path / "done", rows)).drop("run")
    assert (tmp_path / "live" / "journal").exists()
    assert not (tmp_path / "done" / "journal").exists()
    assert_frame_equal(live.sort("job_id"), done.sort("job_id"))


@pytest.mark.parametrize("compact", [True, False])
def test_queries_are_pushed_down_rightly(tmp_path, compact):
    path = write_run(tmp_path / "run", [make_result(number) for number in range(500)], compact=compact)
    frame = scan(path)
    assert frame.select(pl.len()).collect().item() == 500
    assert frame.filter(seed=2).select(pl.col("output_tokens").sum()).collect().item() == sum(
        make_result(number).output_tokens for number in range(500) if make_result(number).seed == 2
    )
    assert frame.head(7).collect().height == 7
    assert frame.filter(seed=2).head(3).collect()["seed"].to_list() == [2, 2, 2]
    assert frame.head(300).filter(seed=2).collect().height <= 300
    assert frame.select("run", "job_id").tail(2).collect().shape == (2, 2)
    assert frame.collect(engine="streaming").height == 500


def test_a_running_process_is_read_along(tmp_path):
    path = write_run(tmp_path / "run", [make_result(1)])
    with RunStore.open(path) as store:
        writer = store.writer(limits=JournalLimits(commit_rows=1))
        for number in (2, 3):
            writer.append(make_result(number))
            while writer.pending:
                pass
            assert scan(path).collect().height == number
        frame = scan(path)  # made while rows lie in the journal, collected after they became a part
        writer.close()
        store.compact()
        assert frame.collect().height == 3


def test_one_row_per_job_while_errors_are_run_again(tmp_path):
    first = [make_error(1), make_error(2), make_result(3), make_error(4)]
    second = [make_result(1, generation=2), make_error(2, generation=2, error_kind="http"), make_error(3, generation=2)]
    path = write_run(tmp_path / "run", first)
    with RunStore.open(path) as store:
        writer = store.writer()
        for row in second:
            writer.append(row)
    expected = sorted((row.job_id, row.status, row.generation) for row in (second[0], second[1], first[2], first[3]))
    assert values(scan(path), "job_id", "status", "generation") == expected
    RunStore.open(path).close()
    assert not (path / "journal").exists()
    assert values(scan(path), "job_id", "status", "generation") == expected


def test_several_runs_and_patterns(tmp_path):
    for name in ("b", "a", "c[1]"):
        write_run(tmp_path / "runs" / name, [make_result(1), make_result(2)])
    (tmp_path / "runs" / "notes").mkdir()
    pattern = str(tmp_path / "runs" / "*")
    names = [str(tmp_path / "runs" / name) for name in ("a", "b", "c[1]")]
    assert [str(path) for path in find_runs(pattern)] == names
    assert sorted(scan(pattern).collect()["run"].unique()) == names
    assert scan(pattern).collect().height == 6  # the same job in three runs is three rows
    assert [str(path) for path in find_runs([names[1], pattern])] == [names[1], names[0], names[2]]
    assert scan(names[2]).collect().height == 2  # a name that looks like a pattern and exists is a name


def test_relative_paths_stay_relative(tmp_path, monkeypatch):
    write_run(tmp_path / "runs" / "a", [make_result(1)])
    monkeypatch.chdir(tmp_path)
    assert scan("runs/*").collect()["run"].to_list() == ["runs/a"]


def test_a_run_without_rows(tmp_path):
    path = write_run(tmp_path / "run")
    assert scan(path).collect().shape == (0, len(RESULTS) + 1)
    assert scan_scores(path).collect().shape == (0, len(SCORES) + 1)


def test_older_parts_gain_null_columns(tmp_path):
    """What a later version's schema will see in a run of this one."""
    path = write_run(tmp_path / "run", [make_result(1)], [make_result(2)])
    [first, _] = sorted((path / "results").iterdir())
    pq.write_table(pq.read_table(first).drop_columns(["metadata_json", "cost_usd"]), first)
    frame = scan(path).sort("generation", "job_id").collect()
    assert frame.columns == [*RESULTS.names, "run"]
    assert sorted(frame["cost_usd"].to_list(), key=str) == [0.00025, None]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ("{}/gone", r"gone: is not a run directory: it has no manifest\.json"),
        ("{}", r"is not a run directory: it has no manifest\.json"),
        ("{}/gone*", r"gone\*' matches no run directory; of 0 matches none has a manifest\.json"),
        ("{}/*", r"\*' matches no run directory; of 1 matches none has a manifest\.json"),
        ([], "no run directory is given; name one, or a pattern such as 'runs/"),
    ],
)
@pytest.mark.parametrize("read", [scan, scan_scores])
def test_what_is_no_run_is_named(tmp_path, paths, message, read):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=message):
        read(paths.format(tmp_path) if paths else paths)


def test_later_runs_are_refused(tmp_path):
    (tmp_path / "manifest.json").write_text('{"schema": 5}')
    with pytest.raises(StoreError, match="update headgate"):
        scan(tmp_path)


def test_scores(tmp_path):
    path = write_run(tmp_path / "run", [make_result(1)])
    frame = scan(path).select(
        "job_id", "item_id", "cluster", "prompt", "model", "seed",
        value=pl.lit(0.5), label=pl.lit(None, pl.String), explanation=pl.lit("x"),
    ).collect()  # fmt: skip
    with RunStore.open(path) as store:
        store.write_scores(frame, scorer="a", version="1")
        store.write_scores(frame, scorer="b", version="2")
    found = scan_scores(path)
    assert found.collect_schema().names() == [*SCORES.names, "run"]
    assert values(found, "scorer", "scorer_version", "value") == [("a", "1", 0.5), ("b", "2", 0.5)]
