"""Files of scores as arrays: what is read, and what is refused by its line."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.store.importers.read import read_scores
from headgate.store.importers.row import Columns


def read(tmp_path, text, *, name="scores.csv", bounds=(0, 1), **columns):
    file = tmp_path / name
    file.write_text(text) if isinstance(text, str) else file.write_bytes(text)
    return read_scores(file, Columns(**columns), bounds=bounds)


def test_ids_default_to_the_usual_columns_and_then_to_the_number_of_the_row(tmp_path):
    assert read(tmp_path, "id,item_id,score\na,x,1\nb,y,0\n").items == ["x", "y"]
    assert read(tmp_path, "id,score\na,1\n").items == ["a"]
    table = read(tmp_path, "score\n1\n0\n")
    assert (table.items, table.numbered) == (["1", "2"], True)


def test_a_row_has_an_item_a_seed_and_a_cluster(tmp_path):
    text = "task,trial,reward,user\nt1,0,1,u\nt1,1,0,u\nt2,0,1,u\nt2,1,,u\n"
    table = read(tmp_path, text, item="task", seed="trial", score="reward", cluster="user")
    assert table.item.tolist() == [0, 0, 1, 1]
    assert table.seed.tolist() == [1, 2, 1, 2]
    assert table.seeds == 2
    assert table.clusters == ["u", "u"]
    np.testing.assert_array_equal(table.value, [1, 0, 1, np.nan])


def test_a_field_of_a_column_is_named_with_a_dot(tmp_path):
    text = json.dumps({"id": 1, "m": {"ok": True}, "m.n": 0.5}) + "\n"
    assert read(tmp_path, text, name="a.jsonl", score="m.ok").value.tolist() == [1.0]
    assert read(tmp_path, text, name="a.jsonl", score="m.n").value.tolist() == [0.5]


def test_rows_are_chosen_by_their_columns(tmp_path):
    text = "id,model,score\n1,a,1\n1,b,0\n2,a,1\n"
    table = read(tmp_path, text, where={"model": "a"})
    assert table.value.tolist() == [1, 1]


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
def test_parquet_reads_what_is_asked_for(tmp_path, nested):
    frame = pl.DataFrame({"item": ["a", "b"], "right": [True, False], "text": ["x" * 100, "y"]})
    score = "right"
    if nested:
        frame, score = frame.select("item", pl.struct("right", "text").alias("m")), "m.right"
    frame.write_parquet(tmp_path / "scores")  # the name says nothing
    table = read_scores(tmp_path / "scores", Columns(item="item", score=score), bounds=(0, 1))
    assert table.format == "parquet"
    assert table.value.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty"),
        ("  \n", {}, "is empty"),
        ("id,score\n", {}, "holds no rows"),
        ("id,score\na,1\nb,x\n", {}, ":3: score: 'x' is no number"),
        ("id,score\na,1\nb,nan\n", {}, ":3: score: 'nan' is no score; leave it empty (null) where there is none"),
        ("id,score\na,inf\n", {"bounds": None}, ":2: score: 'inf' is no score"),
        ("id,score\na,1\nb,1.5\n", {}, ":3: score: '1.5' is outside 0 to 1; say what scores can be: --bounds"),
        ("id,score\na,-1\n", {}, ":2: score: '-1' is outside 0 to 1"),
        ("id,score\na,True\nb,0.5\n", {}, ":3: score: '0.5' is a number, and the rows before have true or false"),
        ("id,score\na,1\nb,true\n", {}, ":3: score: 'true' is true or false, and the rows before have a number"),
        ("id,score\na,1\nb,0\na,1\n", {}, ":4: id: 'a' stands in line 2 too; name the column that tells repeats apart"),
        ("id,score,s\na,1,1\na,0,1\n", {"seed": "s"}, ":3: id: 'a' stands in line 2 too, with the same s"),
        ("id,score\na,1\n,0\n", {}, ":3: id: is empty"),
        ("id,score\na,1\n", {"item": "x"}, ":2: x: there is no such column; columns are id, score"),
        ("id,score\na,1\n", {"score": "x"}, ":2: x: there is no such column; columns are id, score"),
        ("id,score\na,1\n", {"seed": "x"}, ":2: x: there is no such column"),
        ("id,score\na,1\n", {"where": {"x": "1"}}, ":2: x: there is no such column"),
        ("id,score\na,1\n", {"where": {"id": "b"}}, "--where: {'id': 'b'} no row has these values"),
        ("id,a,b\nx,1,1\n", {}, "does not say which column is the score; choose one with --score: id, a, b"),
        ("id,c,s,score\na,u,1,1\na,v,2,1\n", {"seed": "s", "cluster": "c"}, ":3: 'v' is another cluster; item 'a'"),
        ("id,score\na,1,2\n", {}, ":2: has 3 cells, the header has 2"),
        ('{"id": 1, "score": 1}\n{"id": 2, "score": }\n', {}, ':2: \'{"id": 2, "score": }\' is not JSON'),
        ('{"id": 1, "score": \n{"id": 2, "score": 1}\n', {}, ":1: "),
        ('{"id": 1, "score": 1}\n[1]\n', {}, ":2: [1] is not a JSON object"),
        ('{"id": 1, "score": 1}\n{"id": 2}\n', {}, ":2: score: there is no such column; columns are id"),
        ('{"id": 1, "score": "0.5"}\n', {}, ":1: score: '0.5' is no number"),
        ('{"id": 1, "score": [1]}\n', {}, ":1: score: [1] is no number"),
        ('{"id": 1, "score": NaN}\n', {}, ":1: score: nan is no score"),
        ('{"id": 1, "score": 1}\n{"id": 1.0, "score": 1}\n', {}, ":2: id: '1' stands in line 1 too"),
        ('{"id": 1, "score": 1}\n{"id": "1", "score": 1}\n', {}, ":2: id: '1' stands in line 1 too"),
        ('[{"id": 1, "score": 1}, 2]', {}, "row 2: 2 is not a JSON object"),
        ('[{"id": 1,\n "score": }]', {}, ":2: is not JSON"),
        ('{"results": {"mmlu": {"acc": 0.5}}, "configs": {}}', {}, "is JSON that holds no scores by item"),
        ('{\n"results": {"mmlu": {"acc": 0.5}},\n"configs": {}}', {}, "is JSON that holds no scores by item"),
        (b"id,score\n\xff,1\n", {}, ":2: is not UTF-8"),
        (b"%PDF-1.7\n", {}, "is of no format that holds scores; CSV, JSON lines, Parquet"),
        (b"a\0b", {}, "is of no format that holds scores"),
        (b"<?xml version='1.0'?>", {}, "is of no format that holds scores"),
        (b"PK\x03\x04broken", {}, "is damaged"),
        (b"PAR1broken", {}, "is not a Parquet file that can be read"),
    ],
    ids=range(40),
)
def test_what_is_wrong_is_named_by_file_and_line(tmp_path, text, options, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as raised:
        read(tmp_path, text, name="file", **options)
    assert str(raised.value).startswith(str(tmp_path / "file"))


def test_a_number_that_is_nan_in_another_column_is_no_matter(tmp_path):
    text = '{"id": 1, "score": 1, "perplexity": NaN}\n{"id": 2, "score": 0, "perplexity": Infinity}\n'
    assert read(tmp_path, text, name="a.jsonl").value.tolist() == [1, 0]


def test_a_nan_of_parquet_is_refused_by_its_row(tmp_path):
    pl.DataFrame({"id": [1, 2], "score": [0.5, math.nan]}).write_parquet(tmp_path / "a")
    with pytest.raises(ConfigError, match=":2: score: nan is no score"):
        read_scores(tmp_path / "a", Columns(), bounds=(0, 1))
    pl.DataFrame({"id": [1, 2], "score": [0.5, None]}).write_parquet(tmp_path / "a")
    assert np.isnan(read_scores(tmp_path / "a", Columns(), bounds=(0, 1)).value).tolist() == [False, True]


def test_a_format_can_be_forced(tmp_path):
    file = tmp_path / "scores"
    file.write_text("{id},score\n")
    with pytest.raises(ConfigError, match="is no known format; use csv, jsonl"):
        read_scores(file, Columns(), format_name="tsv", bounds=None)
    with pytest.raises(ConfigError, match="holds no rows"):
        read_scores(file, Columns(), format_name="csv", bounds=None)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 1))),
        min_size=1,
        unique_by=lambda row: row[:2],
    ),
    name=st.sampled_from(["csv", "jsonl", "json", "parquet"]),
)
def test_every_plain_format_says_the_same(tmp_path_factory, rows, name):
    frame = pl.DataFrame(rows, schema={"id": pl.Int64, "s": pl.Int64, "score": pl.Int64}, orient="row")
    file = tmp_path_factory.mktemp("tables") / "file"
    getattr(
        frame, {"csv": "write_csv", "jsonl": "write_ndjson", "json": "write_json", "parquet": "write_parquet"}[name]
    )(file)
    table = read_scores(file, Columns(seed="s"), bounds=(0, 1))
    assert table.format == name
    labels = list(dict.fromkeys(row[1] for row in rows))
    found = zip(table.item.tolist(), table.seed.tolist(), table.value.tolist(), strict=True)
    assert [
        (table.items[item], labels[seed - 1], None if math.isnan(value) else value) for item, seed, value in found
    ] == [(str(item), seed, value) for item, seed, value in rows]
