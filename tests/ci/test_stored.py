from __future__ import annotations

import pytest

import headgate as hg
from headgate.ci.stored import read_stored
from made_verdicts import make_row, make_verdict


@pytest.mark.parametrize("word", ["pass", "fail", "inconclusive", "invalid"])
def test_a_verdict_is_read_as_it_was_written(tmp_path, word):
    verdict = make_verdict(make_row(word))
    (tmp_path / "verdict.json").write_bytes(verdict.to_json())
    stored = read_stored(tmp_path, left_with=verdict.exit_code)
    assert stored.verdict == verdict
    assert (stored.manifest, stored.name) == (None, "headgate")


def test_the_manifest_names_the_suite(tmp_path):
    suite = hg.Suite(
        name="sums", items=[{"q": "1 + 1"}], prompts={"old": "{{ q }}"},
        models=[{"id": "m", "provider": "simulated", "simulate": {"latency_s": 0}}],
        scorers=[{"name": "json", "type": "json_valid"}], gates=[{"metric": "json", "min": 0.5}],
    )  # fmt: skip
    run = hg.run(suite, out=tmp_path / "run")
    assert read_stored(run.path).name == "sums"


@pytest.mark.parametrize(
    ("left_with", "code", "said"),
    [
        (None, 3, "no verdict: verdict.json is not there; see the log of the job"),
        (0, 3, "no verdict: verdict.json is not there; see the log of the job"),
        (1, 3, "no verdict: verdict.json is not there; the command before left with 1; see the log of the job"),
        (20, 3, "no verdict: verdict.json is not there; the command before left with 20; see the log of the job"),
        (2, 2, "the command before left with 2 (usage or configuration error)"),
        (3, 3, "the command before left with 3 (no verdict was possible)"),
        (130, 130, "the command before left with 130 (interrupted)"),
        (137, 137, "the command before left with 137"),
    ],
)
def test_without_a_verdict_it_is_invalid_and_no_code_reads_as_one(tmp_path, left_with, code, said):
    verdict = read_stored(tmp_path / "nowhere", left_with=left_with).verdict
    assert (verdict.verdict, verdict.exit_code, verdict.metrics) == ("invalid", code, [])
    assert said in verdict.reason


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"schema": "headgate.verdict/v1"}'])
def test_a_damaged_verdict_is_none(tmp_path, data):
    (tmp_path / "verdict.json").write_bytes(data)
    (tmp_path / "manifest.json").write_bytes(data)
    verdict = read_stored(tmp_path).verdict
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)
    assert "verdict.json cannot be read" in verdict.reason


@pytest.mark.parametrize(("word", "code"), [("fail", 0), ("invalid", 0), ("pass", 1), ("inconclusive", 3)])
def test_a_verdict_whose_code_is_not_that_of_its_word_is_none(tmp_path, word, code):
    (tmp_path / "verdict.json").write_bytes(make_verdict(make_row(word), exit_code=code).to_json())
    verdict = read_stored(tmp_path).verdict
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)
    assert "contradicts itself" in verdict.reason


@pytest.mark.parametrize("code", [0, 1, 20])
def test_the_code_of_an_inconclusive_verdict_may_be_mapped(tmp_path, code):
    (tmp_path / "verdict.json").write_bytes(make_verdict(make_row("inconclusive"), exit_code=code).to_json())
    assert read_stored(tmp_path).verdict.exit_code == code
