"""Items: what is read is what stands there; one clear error for each thing that may be wrong."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import ConfigError, StoreError
from headgate.identity import digest
from headgate.suite.items import ItemFile, read_rows, write_items
from headgate.suite.prompts import Prompt
from headgate.suite.sources import Items

PROMPT = Prompt(name="p", messages=(("user", "{{ q }}"),))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(name, text=None, **options):
    if text is not None:
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_rows(Items(path=name, **options), base=Path(), file=Path("suite.yaml")))


def refusal(name, text=None, **options):
    with pytest.raises(ConfigError) as caught:
        read(name, text, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("none.csv", None, {}, "suite.yaml: items: 'none.csv' there is no such file"),
        (
            "a.xlsx",
            "",
            {},
            "suite.yaml: items: 'a.xlsx' is of no format that holds items; use .csv, .jsonl, .ndjson or .parquet",
        ),
        ("a.jsonl", "", {}, "a.jsonl: items: there is no item"),
        ("a.csv", "id,q\n", {}, "a.csv: items: there is no item"),
        ("a.csv", "", {}, "a.csv: items: there is no item"),
        (
            "a.jsonl",
            '{"q": 1}\n\n{"q": 1,}\n',
            {},
            "a.jsonl:3: '{\"q\": 1,}' is not JSON: Expecting property name enclosed in double quotes",
        ),
        ("a.jsonl", "[1]\n", {}, "a.jsonl:1: [1] is not a JSON object; write one {...} a line"),
        (
            "a.jsonl",
            '{"q": 1, "q": 2}\n',
            {},
            "a.jsonl:1: '{\"q\": 1, \"q\": 2}' is not JSON: the key 'q' stands there twice",
        ),
        ("a.jsonl", '{"q": 1e999}', {}, "a.jsonl:1: '{\"q\": 1e999}' is not JSON: the number 1e999 is out of range"),
        ("a.jsonl", '{"q": NaN}', {}, "a.jsonl:1: '{\"q\": NaN}' is not JSON: NaN is no number of JSON"),
        (
            "a.jsonl",
            '{"q": "\\uD800"}',
            {},
            'a.jsonl:1: \'{"q": "\\\\uD800"}\' is not JSON: a text holds half of a surrogate pair',
        ),
        ("a.jsonl", b'{"q": 1}\n{"q": "\xff"}\n', {}, "a.jsonl:2: is not UTF-8; save the file as UTF-8"),
        ("a.csv", b"q\nx\n\xff\n", {}, "a.csv:3: is not UTF-8; save the file as UTF-8"),
        ("a.csv", 'q,r\n"x\ny",1\nz\n', {}, "a.csv:4: has 1 cells, the header has 2"),
        ("a.csv", "q,r\n1,2,3\n", {}, "a.csv:2: has 3 cells, the header has 2"),
        ("a.csv", 'q\n"a" b\n', {}, "a.csv:2: is not CSV: ',' expected after '\"'"),
        ("a.csv", 'q\nx\n"a\nb\n', {}, "a.csv:3: is not CSV: unexpected end of data"),
        ("a.csv", "q,q\n1,2\n", {}, "a.csv:1: 'q' is the name of two columns"),
        ("a.csv", "q,\n1,2\n", {}, "a.csv:1: a column has no name"),
        (
            "a.jsonl",
            '{"id": 1}\n{"id": 2}\n\n{"id": "1"}\n',
            {},
            (
                "a.jsonl:4: id: '1' is the id of row 1 too; "
                "ids are unique; repeat an item with `seeds`, group items with `cluster`"
            ),
        ),
        ("a.jsonl", '{"id": null}', {}, "a.jsonl:1: id: None an id is empty"),
        ("a.csv", "id,q\n,x\n", {}, "a.csv:2: id: '' an id is empty"),
        ("a.csv", "q\nx\n", {"id": "key"}, "a.csv:2: items.key: there is no such column; columns are q"),
        ("a.csv", "q\nx\n", {"target": "gold"}, "a.csv:2: items.gold: there is no such column; columns are q"),
        ("a.csv", "q\nx\n", {"cluster": "doc"}, "a.csv:2: items.doc: there is no such column; columns are q"),
        ("a.csv", "q,doc\nx,\n", {"cluster": "doc"}, "a.csv:2: doc: a cluster is empty; name the group of every item"),
        (
            "a.csv",
            "q,split\nx,train\n",
            {"where": {"split": "test"}},
            (
                "a.csv: items.where: {'split': 'test'} no row has these values; "
                'the first row is {"q":"x","split":"train"}'
            ),
        ),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_is_wrong_is_named(name, text, options, message):
    assert refusal(name, text, **options) == message


@pytest.mark.usefixtures("here")
def test_a_file_that_is_no_parquet_is_named():
    assert refusal("a.parquet", "x").startswith("a.parquet: is not a Parquet file that can be read: ")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "suite.yaml: items: there is no item"),
        (
            [{"id": "a"}, {"id": "a"}],
            (
                "suite.yaml: items.1.id: 'a' is the id of row 1 too; ids are unique; "
                "repeat an item with `seeds`, group items with `cluster`"
            ),
        ),
        (
            [{"q": 1}, {"q": float("nan")}],
            "suite.yaml: items.1: is not JSON data: Out of range float values are not JSON compliant",
        ),
        ([{"q": {1, 2}}], "suite.yaml: items.0: is not JSON data: Object of type set is not JSON serializable"),
    ],
)
def test_inline_rows_that_are_wrong_are_named(rows, message):
    with pytest.raises(ConfigError) as caught:
        list(read_rows(Items(rows=rows), base=Path(), file=Path("suite.yaml")))
    assert str(caught.value) == message


@pytest.mark.usefixtures("here")
def test_lines_numbers_and_ids():
    rows = read("a.csv", '\ufeffq,r\r\n"a\nb",1\r\n\r\nc,2\r\n', where={"r": 2})
    assert [(row.line, row.number, row.item_id, dict(row.variables)) for row in rows] == [
        (5, 2, "2", {"q": "c", "r": "2"})
    ]


@pytest.mark.usefixtures("here")
def test_a_csv_cell_may_be_long():
    text = "x" * 1_000_000
    assert read("a.csv", f"q\n{text}\n")[0].variables == {"q": text}


@pytest.mark.usefixtures("here")
def test_where_compares_as_text_and_limit_counts_what_remains():
    text = "".join(json.dumps({"id": n, "even": n % 2 == 0, "group": n // 4}) + "\n" for n in range(1, 13))
    rows = read("a.jsonl", text, where={"even": True, "group": "1"}, limit=1)
    assert [row.item_id for row in rows] == ["4"]


@pytest.mark.usefixtures("here")
def test_whole_numbers_of_any_size_stay_exact():
    assert read("a.jsonl", '{"id": 123456789012345678901}')[0].item_id == "123456789012345678901"


@pytest.mark.usefixtures("here")
def test_parquet_cells_become_json_data():
    moment = dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    table = pa.table({"t": [moment], "n": [float("nan")], "s": [{"a": [1, None]}], "b": [True]})
    pq.write_table(table, "a.parquet")
    assert read("a.parquet")[0].variables == {
        "t": "2024-01-02 03:04:05+00:00",
        "n": None,
        "s": {"a": [1, None]},
        "b": True,
    }
    pq.write_table(pa.table({"x": [b"raw"]}), "b.parquet")
    assert refusal("b.parquet") == "b.parquet: row 1, x: b'raw' is not JSON data"
    pq.write_table(pa.table({"x": [1.0, float("inf")]}), "c.parquet")
    assert refusal("c.parquet") == "c.parquet: row 2, x: inf is not JSON data"


@pytest.mark.usefixtures("here")
def test_a_missing_variable_names_the_row_and_leaves_no_file():
    rows = read_rows(Items(rows=[{"q": 1}, {"r": 2}]), base=Path())
    with pytest.raises(ConfigError) as caught:
        write_items(rows, [PROMPT], Path("items.parquet"))
    assert str(caught.value) == (
        "prompts.p.messages.0: '{{ q }}' cannot be rendered for row 2: 'q' is undefined; the item's columns are: r"
    )
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("here")
def test_a_damaged_item_file_is_a_store_error():
    path = Path("items.parquet")
    with pytest.raises(StoreError, match="is not the items of a run"):
        ItemFile(path)
    write_items(read_rows(Items(rows=[{"q": "x" * 999}]), base=Path()), [PROMPT], path)
    whole = path.read_bytes()
    columns = pq.read_metadata(path).row_group(0)
    for number in range(columns.num_columns):  # in each of them, its last byte
        chunk = columns.column(number)
        data = bytearray(whole)
        data[chunk.data_page_offset + chunk.total_compressed_size - 1] ^= 1
        path.write_bytes(data)
        with pytest.raises(StoreError, match="is damaged"):
            _ = ItemFile(path)[0].variables, ItemFile(path).digests


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(st.fixed_dictionaries({"q": VALUE}, optional={"extra": VALUE, "target": VALUE}), min_size=1, max_size=8)


def written(rows, path, **options):
    source = Items(rows=rows, **options)
    write_items(read_rows(source, base=Path()), [PROMPT], path)
    return ItemFile(path)


@given(rows=ROWS)
@settings(max_examples=60, deadline=None)
def test_items_come_back_in_order(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("items") / "items.parquet"
    file = written(rows, path)
    assert [file[index].item_id for index in range(len(file))] == [str(n) for n in range(1, len(rows) + 1)]
    for index, row in enumerate(rows):
        item = file[index]
        assert item.variables == row
        assert file.digests[16 * index :][:16].hex() == digest({"id": str(index + 1), "item": row})
        assert json.loads(item.messages["p"]) == json.loads(PROMPT.render(item.variables))
    assert len(file.digests) == 16 * len(file) == 16 * len(rows)


@given(rows=ROWS, place=st.integers(0, 7), value=VALUE)
@settings(max_examples=60, deadline=None)
def test_the_digest_changes_exactly_with_the_content(tmp_path_factory, rows, place, value):
    path = tmp_path_factory.mktemp("items") / "items.parquet"
    before = written(rows, path).digest
    changed = [dict(row) for row in rows]
    changed[place % len(rows)]["q"] = value
    same = digest(changed) == digest(rows)
    assert (written(changed, path).digest == before) is same


def test_items_with_one_digest_ask_the_same(tmp_path):
    files = [
        written([{"q": {"a": 1.0, "b": [2.0]}}], tmp_path / "one.parquet"),
        written([{"q": {"b": [2], "a": 1}}], tmp_path / "two.parquet"),
    ]
    assert files[0].digests == files[1].digests
    one, two = (file[0] for file in files)
    assert one.messages == two.messages
    assert one.messages["p"] == b'[{"content":"{\'a\': 1, \'b\': [2]}","role":"user"}]'


@given(cells=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_csv_cells_stay_text(tmp_path_factory, cells):
    folder = tmp_path_factory.mktemp("csv")
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([("q", "r"), *cells])
    (folder / "a.csv").write_bytes(text.getvalue().encode())
    rows = list(read_rows(Items(path="a.csv"), base=folder))
    assert [(row.variables["q"], row.variables["r"]) for row in rows] == cells


@pytest.mark.parametrize("cell", ["007", "1e5", "true", "null", "", " x ", "NaN", "2024-01-01"])
@pytest.mark.usefixtures("here")
def test_a_csv_cell_is_never_guessed_at(cell):
    assert read("a.csv", f"q,r\n{cell},1\n")[0].variables["q"] == cell


@pytest.mark.usefixtures("here")
def test_the_same_rows_have_one_digest_in_every_format():
    rows = [{"id": "a", "q": "x", "target": "1"}, {"id": "b", "q": "ü", "target": "2"}]
    Path("a.csv").write_text("id,q,target\na,x,1\nb,ü,2\n", encoding="utf-8")
    Path("a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), "a.parquet")
    sources = [Items(rows=rows), *(Items(path=f"a.{ending}") for ending in ("csv", "jsonl", "parquet"))]
    digests = {write_items(read_rows(source, base=Path()), [PROMPT], Path("i.parquet")).digest for source in sources}
    assert len(digests) == 1
    assert ItemFile(Path("i.parquet")).digest in digests


@pytest.mark.usefixtures("here")
def test_access_by_index_crosses_groups():
    file = written([{"id": n, "q": n} for n in range(2500)], Path("items.parquet"))
    assert [file[index].item_id for index in (0, 1023, 1024, 2048, 2499, 5)] == [
        "0",
        "1023",
        "1024",
        "2048",
        "2499",
        "5",
    ]
    assert len(file) == 2500
    assert file.prompts == ("p",)
    with pytest.raises(IndexError):
        file[2500]
    assert sum(batch.num_rows for batch in file.batches(["item_id"])) == 2500


@pytest.mark.usefixtures("here")
def test_reading_holds_no_rows():
    with Path("a.jsonl").open("w") as lines:
        lines.writelines(json.dumps({"id": f"item-{number}", "q": "x" * 500}) + "\n" for number in range(20_000))
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_rows(Items(path="a.jsonl"), base=Path()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 1_500_000, peak
