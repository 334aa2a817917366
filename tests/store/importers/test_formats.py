"""Results of promptfoo, Inspect and lm-eval as score tables; the real ones too, where they are."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from foreign_results import SHARED, inspect_header, inspect_samples, lm_eval, needs_data, promptfoo, write_eval
from headgate.errors import ConfigError, StoreError
from headgate.store.importers.read import read_scores
from headgate.store.importers.row import Columns


def read(path, data=None, *, bounds=(0, 1), **columns):
    if data is not None:
        path.write_text(data if isinstance(data, str) else json.dumps(data, indent=1))
    return read_scores(path, Columns(**columns), bounds=bounds)


def test_promptfoo_is_known_by_its_results_and_its_tests_by_what_they_say(tmp_path):
    document = promptfoo([1, 0, None])
    table = read(tmp_path / "out", document)
    assert (table.format, table.cells) == ("promptfoo", [("p", "gpt")])
    np.testing.assert_array_equal(table.value, [1, 0, np.nan])
    assert table.failed == {2: "request_failed"}
    moved = promptfoo([1, 0, None])
    moved["results"]["results"].reverse()
    again = read(tmp_path / "out", moved)
    assert sorted(again.items) == sorted(table.items)
    assert all(item.startswith("q=question ") for item in table.items)


def test_what_promptfoo_repeats_is_a_seed_and_what_it_asks_otherwise_another_item(tmp_path):
    document = promptfoo([1, 0])
    rows = document["results"]["results"]
    document["results"]["results"] = rows + [row | {"testIdx": row["testIdx"] + 2, "score": 0.5} for row in rows]
    table = read(tmp_path / "out", document)
    assert (len(table.items), table.seeds, table.seed.tolist()) == (2, 2, [1, 1, 2, 2])
    rows[0]["testCase"] = {"assert": [{"type": "contains", "value": "x"}]}
    assert len(read(tmp_path / "out", document).items) == 3


@pytest.mark.parametrize(
    ("score", "values"), [("tone", [0.5, 0.5]), ("latency_s", [1.5, 1.5]), ("success", [1, 0])], ids=str
)
def test_promptfoo_has_other_scores(tmp_path, score, values):
    assert read(tmp_path / "out", promptfoo([1, 0]), score=score, bounds=None).value.tolist() == values


def test_a_score_that_some_tests_have_is_judged_on_these(tmp_path):
    document = promptfoo([1, 0, 1, None, None, None])
    rows = document["results"]["results"]
    rows[1]["namedScores"] = {}
    for row, asserts in zip(
        rows[3:], [[{"type": "equals", "metric": "tone"}], [{"type": "equals"}], [{"type": "python"}]], strict=True
    ):
        row |= {"namedScores": {}, "testCase": {"assert": [{"type": "assert-set", "assert": asserts}]}}
    table = read(tmp_path / "out", document, score="tone")
    assert [item.partition(" [")[0][-1] for item in table.items] == ["0", "2", "3", "5"]
    assert (table.value[:2].tolist(), table.failed) == (
        [0.5, 0.5],
        {2: "request_failed", 3: "request_failed"},
    )
    assert table.without == 2
    with pytest.raises(ConfigError, match="tune: no row has such a score; scores are score, tone"):
        read(tmp_path / "out", promptfoo([1, 0]), score="tune")


def test_promptfoo_writes_lines_too(tmp_path):
    lines = "".join(json.dumps(row) + "\n" for row in promptfoo([1, 0])["results"]["results"])
    table = read(tmp_path / "out", lines)
    assert (table.format, table.value.tolist()) == ("promptfoo-jsonl", [1, 0])


def test_inspect_scores_are_what_inspect_makes_of_them(tmp_path):
    samples = inspect_samples(["C", "I", "P", "N", 0.25, True, "yes", "0.75", math.nan])
    expected = [1, 0, 0.5, 0, 0.25, 1, 1, 0.75, np.nan]
    table = read(write_eval(tmp_path / "log", samples))
    assert (table.format, table.metric, table.cells) == ("inspect", "match", [("", "mockllm/model")])
    np.testing.assert_array_equal(table.value, expected)
    table = read(tmp_path / "log", inspect_header(samples=samples, results={"scores": []}))
    assert table.format == "inspect-json"
    np.testing.assert_array_equal(table.value, expected)


def test_inspect_epochs_are_seeds_and_messages_are_known_without_their_random_ids(tmp_path):
    table = read(write_eval(tmp_path / "log", inspect_samples(["C", "I"], epochs=3)))
    assert (len(table.items), table.seeds) == (2, 3)


def test_inspect_scores_of_several_names_are_chosen(tmp_path):
    samples = inspect_samples([{"a": 1, "b": "C"}, {"a": 0, "b": "I"}])
    log = write_eval(tmp_path / "log", samples)
    with pytest.raises(ConfigError, match=r"choose one with --score: match\.a, match\.b"):
        read(log)
    assert read(log, score="match.b").value.tolist() == [1, 0]


def test_inspect_errors_are_kept_and_an_unfinished_log_is_refused(tmp_path):
    samples = inspect_samples(["C", "I"])
    samples[1] |= {"error": {"message": "boom"}, "scores": None}
    header = {"results": {"scores": [{"name": "match"}]}}
    table = read(write_eval(tmp_path / "log", samples, **header))
    assert table.failed == {1: "sample_error"}
    with pytest.raises(StoreError, match="status is 'cancelled'"):
        read(write_eval(tmp_path / "log", samples, status="cancelled"))


@pytest.mark.parametrize("value", ["maybe", [1, 2], {"a": "maybe"}], ids=str)
def test_an_inspect_score_that_is_no_number_is_named(tmp_path, value):
    with pytest.raises(ConfigError, match=r"sample 0, match.*is no score that is a number"):
        read(write_eval(tmp_path / "log", inspect_samples([value])))


def test_a_zip_that_is_no_log_is_refused(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(ConfigError, match="is a zip archive and no log of Inspect"):
        read(tmp_path / "a")


def test_lm_eval_documents_are_items_and_one_filter_is_chosen(tmp_path):
    table = read(tmp_path / "samples", lm_eval([1, 0.0]))
    assert (table.format, table.metric, table.value.tolist()) == ("lm-eval", "acc", [1, 0])
    two = lm_eval([1, 0], filters=("strict-match", "flexible-extract"))
    with pytest.raises(ConfigError, match="--where COLUMN=VALUE"):
        read(tmp_path / "samples", two)
    assert read(tmp_path / "samples", two, where={"filter": "strict-match"}).value.tolist() == [1, 0]


REAL = {
    "promptfoo/simple-cli/output.json": ("promptfoo", 4, 2, 1.0),
    "promptfoo/simple-csv/output.json": ("promptfoo", 4, 2, 1.0),
    "promptfoo/simple-test/output.json": ("promptfoo", 2, 2, 1.0),
    "promptfoo/old_outputs_2023/simple-csv_output.json": ("promptfoo", 4, 2, 1.0),
    "promptfoo/statgate_baseline.json": ("promptfoo", 8, 1, 0.65),
    "promptfoo/statgate_candidate.json": ("promptfoo", 8, 1, 0.71875),
    "inspect/popularity_gpt-4o-mini_100.eval": ("inspect", 100, 1, 0.63),
    "inspect/popularity_scored_10.eval": ("inspect", 10, 1, 0.8),
    "inspect/mmlu-summary-choices.eval": ("inspect", 1, 1, 0.0),
    "inspect/log_formats.eval": ("inspect", 1, 1, 0.0),
    "inspect/log_formats.json": ("inspect-json", 1, 1, 0.0),
    "inspect/log_read_sample.json": ("inspect-json", 1, 1, None),
    "inspect/2025-05-12T20-28-26-04-00_security-guide.json": ("inspect-json", 3, 1, 1.0),
    "lmeval/negotiationtom/samples_negotiationtom_belief_2026-07-08T16-04-34.219874.jsonl": ("lm-eval", 20, 1, 0.45),
    "lmeval/negotiationtom/samples_negotiationtom_belief_2026-07-08T18-15-33.115417.jsonl": ("lm-eval", 20, 1, 0.45),
}


@needs_data
@pytest.mark.parametrize("name", REAL, ids=str)
def test_real_results_are_read_as_their_tools_summed_them_up(name):
    form, items, cells, mean = REAL[name]
    table = read(SHARED / name)
    assert (table.format, len(table.items), len(table.cells)) == (form, items, cells)
    if mean is not None:
        assert np.nanmean(table.value) == pytest.approx(mean)


@needs_data
def test_the_mean_of_an_inspect_log_is_the_one_that_inspect_wrote():
    logs = {path: json.loads(path.read_text()) for path in (SHARED / "inspect").glob("*.json")}
    finished = {path: log for path, log in logs.items() if log["status"] == "success"}
    assert len(finished) == 3
    for path, log in finished.items():
        results = log["results"]["scores"][0]
        table = read(path, score=results["name"])
        assert np.nanmean(table.value) == pytest.approx(results["metrics"]["accuracy"]["value"])


@needs_data
def test_a_real_log_that_was_cancelled_is_refused():
    with pytest.raises(StoreError, match="status is 'cancelled'"):
        read(SHARED / "inspect/2025-05-12T20-28-13-04-00_popularity.json")


@needs_data
def test_real_files_that_hold_no_scores_are_refused_by_name():
    refused = [
        *(SHARED / "lmeval").glob("*/results_*.json"),
        SHARED / "lmeval/truthfulqa_gen/truthfulqa_gen_neo125_2025-05-31T14-30-51.983293.json",
        SHARED / "promptfoo/simple-cli/output.yaml",
        SHARED / "promptfoo/simple-cli/output.csv",
        SHARED / "promptfoo/standalone-assertions/outputs.json",
    ]
    assert len(refused) == 7
    for path in refused:
        with pytest.raises(ConfigError, match=r"no scores by item|no format|which column|JSON object"):
            read(path)
