import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.errors import StoreError
from headgate.store import checksums
from headgate.store.layout import RunFolder
from headgate.store.part import footer, open_part
from headgate.store.schema import SCORES
from headgate.store.scores import write_scores

COLUMNS = {
    "explanation": ["because", None],
    "job_id": ["0" * 32, "1" * 32],
    "item_id": ["a", "b"],
    "cluster": [None, "g"],
    "prompt": ["p", "p"],
    "model": ["m", "m"],
    "seed": [1, 2],
    "value": [1.0, None],
    "label": ["good", None],
}


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path)


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table])
def test_any_arrow_table_is_written(run, make):
    path = write_scores(run, make(COLUMNS), scorer="correct", version="ab12", plan="p")
    assert path == run.scores / "correct@ab12.parquet"
    file = open_part(path)
    assert file.schema_arrow.equals(SCORES)
    assert footer(file) == {"headgate.schema": "4", "headgate.plan": "p"}
    expected = COLUMNS | {"scorer": ["correct"] * 2, "scorer_version": ["ab12"] * 2}
    assert file.read().to_pydict() == {name: expected.get(name, [None] * 2) for name in SCORES.names}
    assert checksums.read_sums(run) == {"scores/correct@ab12.parquet": checksums.sha256(path)}


def test_earlier_scores_of_a_scorer_are_replaced(run):
    for scorer, version, seed in (("s", "1", 1), ("s-2", "1", 2), ("s", "1", 3), ("s", "2", 4)):
        write_scores(run, pl.DataFrame(COLUMNS | {"seed": [seed, seed]}), scorer=scorer, version=version, plan="p")
    assert [path.name for path in run.score_files()] == ["s-2@1.parquet", "s@2.parquet"]
    assert [pq.read_table(path)["seed"][0].as_py() for path in run.score_files()] == [2, 4]
    assert checksums.read_sums(run) == {f"scores/{path.name}": checksums.sha256(path) for path in run.score_files()}


def test_numbers_of_any_width_fit(run):
    frame = pl.DataFrame(COLUMNS).with_columns(pl.col("seed").cast(pl.Int8), pl.lit(None).alias("label"))
    assert pq.read_table(write_scores(run, frame, scorer="s", version="1", plan="p")).schema.equals(SCORES)


def test_no_rows(run):
    frame = pl.DataFrame(COLUMNS).clear()
    assert pq.read_metadata(write_scores(run, frame, scorer="s", version="1", plan="p")).num_rows == 0


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame(COLUMNS).drop("value"), "column 'value' is missing"),
        (pl.DataFrame(COLUMNS).with_columns(value=pl.lit("x")), "column 'value' does not fit double"),
        (pl.DataFrame(COLUMNS).with_columns(item_id=pl.lit(None, pl.String)), "column 'item_id' has nulls"),
    ],
)
def test_what_does_not_fit_is_named(run, frame, message):
    with pytest.raises(StoreError, match=rf"s@1\.parquet: {message}"):
        write_scores(run, frame, scorer="s", version="1", plan="p")
    assert not list(run.path.rglob("*.parquet*"))


@pytest.mark.parametrize(("scorer", "version"), [("a/b", "1"), ("..", "1"), ("a", "1/2"), ("", "1"), ("a b", "1")])
def test_names_stay_inside_the_folder(run, scorer, version):
    with pytest.raises(StoreError, match="cannot name a file"):
        write_scores(run, pl.DataFrame(COLUMNS), scorer=scorer, version=version, plan="p")
