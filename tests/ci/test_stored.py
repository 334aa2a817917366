from __future__ import annotations

import pytest

import headgate as hg
from hand_made_verdicts import make_row, make_verdict
from headgate.ci.stored import read_stored


@pytest.mark.parametrize("word", ["pass", "fail", "inconclusive", "invalid"])
def test_a_verdict_is_read_as_it_was_written(tmp_path, word):
    verdict = make_verdict(make_row(word))
    (tmp_path / "verdict.json").write_bytes(verdict.to_json())
    stored = read_stored(tmp_path, ended=verdict.exit_code)
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
    ("ended", "code", "said"),
    [
        (
            None,
            3,
            "verdict.json is not there; the command that writes it was interrupted or failed; see the log",
        ),
        (0, 3, "verdict.json is not there; the command ended with exit code 0; see the log of the job"),
        (
            1,
            3,
            "verdict.json is not there; the command ended with exit code 1: a fault, or a Python error; see",
        ),
        (20, 3, "verdict.json is not there; the command ended with exit code 20; see the log of the job"),
        (2, 2, "the command ended with exit code 2: a usage or configuration error"),
        (3, 3, "the command ended with exit code 3: no verdict was possible"),
        (130, 130, "the command ended with exit code 130: interrupted, resumable"),
        (137, 137, "the command ended with exit code 137: it was ended from outside"),
    ],
)
def test_without_a_verdict_it_is_invalid_and_no_code_reads_as_one(tmp_path, ended, code, said):
    verdict = read_stored(tmp_path / "nowhere", ended=ended).verdict
    assert (verdict.verdict, verdict.exit_code, verdict.metrics) == ("invalid", code, [])
    assert verdict.reason.startswith("no verdict: ")
    assert said in verdict.reason


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"schema": "headgate.verdict/v1"}'])
def test_a_damaged_verdict_is_none(tmp_path, data):
    (tmp_path / "verdict.json").write_bytes(data)
    (tmp_path / "manifest.json").write_bytes(data)
    verdict = read_stored(tmp_path).verdict
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)
    assert verdict.reason.startswith(f"no verdict: {tmp_path}/verdict.json: ")


@pytest.mark.parametrize(("word", "code"), [("fail", 0), ("invalid", 0), ("pass", 1), ("inconclusive", 3)])
def test_a_verdict_whose_code_is_not_that_of_its_word_is_none(tmp_path, word, code):
    (tmp_path / "verdict.json").write_bytes(make_verdict(make_row(word), exit_code=code).to_json())
    verdict = read_stored(tmp_path).verdict
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)
    assert f"is not that of {word}" in verdict.reason


@pytest.mark.parametrize("code", [0, 1, 20])
def test_the_code_of_an_inconclusive_verdict_may_be_mapped(tmp_path, code):
    (tmp_path / "verdict.json").write_bytes(make_verdict(make_row("inconclusive"), exit_code=code).to_json())
    assert read_stored(tmp_path).verdict.exit_code == code


def test_a_verdict_of_an_earlier_run_is_none(tmp_path):
    (tmp_path / "verdict.json").write_bytes(make_verdict(make_row("pass")).to_json())
    verdict = read_stored(tmp_path, ended=3).verdict
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)
    assert "verdict.json is of an earlier run; the command ended with exit code 3" in verdict.reason


def test_a_pass_whose_rows_do_not_pass_is_none(tmp_path):
    for row in (make_row("fail"), make_row("inconclusive")):
        (tmp_path / "verdict.json").write_bytes(make_verdict(row, verdict="pass").to_json())
        assert "says pass, and a blocking row does not" in read_stored(tmp_path).verdict.reason
    (tmp_path / "verdict.json").write_bytes(make_verdict(make_row(), make_row("fail", tier="warning")).to_json())
    assert read_stored(tmp_path).verdict.verdict == "pass"
