"""A run as one file: every row and score is there, and a gate says of the file what it says of the run."""

from __future__ import annotations

import csv
import json
import zipfile

import polars as pl
import pytest

import headgate as hg
from foreign_results import written_rows
from headgate.errors import ConfigError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    suite = hg.Suite(
        name="sums",
        items=[{"id": f"=i{n}", "question": f"{n} + 1", "target": n + 1, "group": n // 4} for n in range(40)],
        prompts={"old": "{{ question }}", "new": "Sum: {{ question }}"},
        models=[{
            "id": "small", "provider": "simulated",
            "simulate": {"accuracy": {"old": 0.9, "new": 0.6}, "latency_s": 0, "faults": {"refusal": 0.05}},
        }],
        seeds=2,
        scorers=[{"name": "correct", "type": "numeric"}, {"name": "output", "type": "json_valid"}],
        compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        gates=[{"metric": "correct", "margin": 0.05}],
    )  # fmt: skip
    return hg.run(suite, out=tmp_path_factory.mktemp("runs") / "run").path


def read(file):
    return {
        ".parquet": pl.read_parquet,
        ".jsonl": lambda path: pl.read_ndjson(path, infer_schema_length=None),
        ".csv": lambda path: pl.read_csv(path, infer_schema_length=None),
    }[file.suffix](file)


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_a_table_holds_every_row_and_score(run, tmp_path, ending):
    file = tmp_path / f"run.{ending}"
    assert hg.export_run(run, file) == 160
    table = read(file).sort("job_id")
    results = hg.scan(run).collect().sort("job_id")
    scores = hg.scan_scores(run).collect()
    assert table.height == 160
    assert set(table.columns) == {*results.columns[:-1], "correct", "score.output"}
    for scorer, column in {"correct": "correct", "output": "score.output"}.items():
        expected = scores.filter(pl.col("scorer") == scorer).sort("job_id")["value"]
        assert table[column].cast(pl.Float64).to_list() == expected.to_list()
    outputs = results["output"].to_list()
    if ending == "csv":
        outputs = ["'" + text if text and text[0] in "=+-@\t\r" else text for text in outputs]
    assert table["output"].cast(pl.String).to_list() == outputs
    assert list(tmp_path.iterdir()) == [file]


def test_no_cell_of_csv_is_a_formula(run, tmp_path):
    hg.export_run(run, tmp_path / "run.csv")
    with (tmp_path / "run.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["item_id"][:2] for row in rows} == {"'="}
    texts = [cell for row in rows for name, cell in row.items() if name not in {"correct", "score.output"}]
    assert not [cell for cell in texts if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_a_gate_says_of_the_file_what_it_says_of_the_run(run, tmp_path, ending):
    file = tmp_path / f"run.{ending}"
    hg.export_run(run, file)
    ours = hg.gate(run)
    theirs = hg.gate_scores(
        file, score="correct", seed="seed", where={"prompt": "new"}, baseline_where={"prompt": "old"}, margin=0.05
    )
    assert theirs.verdict == ours.verdict == "fail"
    assert judged(theirs) == judged(ours)


def judged(verdict):
    (row,) = verdict.metrics
    return {name: getattr(row, name) for name in row.__struct_fields__ if name != "cell"}


def test_one_prompt_or_model_is_chosen(run, tmp_path):
    assert hg.export_run(run, tmp_path / "a.parquet", prompt="new") == 80
    assert set(pl.read_parquet(tmp_path / "a.parquet")["prompt"]) == {"new"}


def test_an_inspect_log_is_read_back_by_the_gate(run, tmp_path):
    for prompt in ("old", "new"):
        assert hg.export_run(run, tmp_path / f"{prompt}.eval", prompt=prompt) == 80
    theirs = hg.gate_scores(tmp_path / "new.eval", baseline=tmp_path / "old.eval", score="correct", margin=0.05)
    assert judged(theirs)["estimate"] == judged(hg.gate(run))["estimate"]
    with zipfile.ZipFile(tmp_path / "new.eval") as archive:
        header = json.loads(archive.read("header.json"))
        sample = json.loads(archive.read("samples/=i0_epoch_1.json"))
    assert (header["status"], header["results"]["total_samples"]) == ("success", 80)
    assert sample["messages"][0]["content"].startswith("Sum: ")
    assert json.loads(sample["input"]).keys() == {"question", "group"}


def test_openai_evals_lines_hold_a_sampling_and_metrics_for_each_answer(run, tmp_path):
    file = tmp_path / "log"
    assert hg.export_run(run, file, format="openai-evals", prompt="new") == 80
    spec, *events, report = map(json.loads, file.read_text().splitlines())
    assert spec["spec"]["run_id"] == events[0]["run_id"]
    assert [event["event_id"] for event in events] == list(range(160))
    metrics = [event["data"]["correct"] for event in events if event["type"] == "metrics"]
    assert report["final_report"]["correct"] == pytest.approx(sum(metrics) / len(metrics))
    assert [event["type"] for event in events[:2]] == ["sampling", "metrics"]


def test_what_errored_is_an_error_in_a_log(tmp_path):
    suite = hg.Suite(
        name="errors",
        items=[{"q": "1", "target": "1"}, {"q": "2", "target": "2"}],
        prompts={"p": "{{ q }}"},
        models=[{"id": "m", "provider": "python", "call": fails, "max_attempts": 1}],
        scorers=[{"name": "correct", "type": "exact_match"}],
    )
    run = hg.run(suite, out=tmp_path / "run").path
    hg.export_run(run, tmp_path / "log.eval")
    samples = written_rows(tmp_path / "log.eval")
    assert ["error" in sample for sample in samples] == [True, True]
    assert [sample["scores"] for sample in samples] == [{}, {}]
    hg.export_run(run, tmp_path / "log", format="openai-evals")
    kinds = [json.loads(line).get("type") for line in (tmp_path / "log").read_text().splitlines()]
    assert kinds == [None, "error", "error", None]


def fails(messages):
    raise ValueError("no")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.txt", {}, r"does not say its format; end it with \.parquet"),
        ("a.csv", {"format": "xml"}, "--format: 'xml' is no known format"),
        ("a.eval", {}, "--prompt: is to be chosen: this format holds one; use one of old, new"),
        ("a.csv", {"prompt": "x"}, "--prompt: 'x' is not in the run; it has old, new"),
        ("a.csv", {"model": "x"}, "--model: 'x' is not in the run; it has small"),
        ("there.csv", {}, "is there already; remove it, or name another"),
    ],
    ids=range(6),
)
def test_what_is_refused_writes_nothing(run, tmp_path, name, options, message):
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(ConfigError, match=message):
        hg.export_run(run, tmp_path / name, **options)
    assert [file.name for file in tmp_path.iterdir()] == ["there.csv"]
    assert (tmp_path / "there.csv").read_text() == "mine"
