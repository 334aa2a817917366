"""What is read of a run for a CI system, and what is refused."""

from __future__ import annotations

import json

import msgspec
import pytest

import headgate as hg
from headgate.ci.result import MOST_BYTES, Result, read_result, read_verdict
from headgate.errors import ConfigError
from made_verdicts import VERDICTS


def written(folder, name, **changes):
    path = folder / "verdict.json"
    document = json.loads(VERDICTS[name].to_json()) | changes
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("name", VERDICTS)
def test_a_verdict_is_read_from_a_folder_or_a_file(tmp_path, name):
    path = written(tmp_path, name)
    for place in (tmp_path, path):
        result = read_result(place, ended=VERDICTS[name].exit_code)
        assert (result.word, result.verdict, result.missing, result.manifest) == (name, VERDICTS[name], "", None)
    assert result.n_items == max(row.n_items for row in VERDICTS[name].metrics)


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        (None, "interrupted or failed"),
        (2, "exit code 2: a usage or configuration error"),
        (130, "exit code 130: interrupted, resumable"),
        (137, "exit code 137: it was ended from outside"),
        (77, "exit code 77"),
    ],
)
def test_no_verdict_is_said_to_be_none(tmp_path, ended, why):
    result = read_result(tmp_path / "run", ended=ended)
    assert (result.word, result.verdict, result.n_items, result.digests) == ("none", None, 0, ("", ""))
    assert result.missing.startswith(f"{tmp_path}/run/verdict.json is not there; the command")
    assert result.missing.endswith(why)


def test_a_verdict_of_an_earlier_run_is_none(tmp_path):
    written(tmp_path, "pass")
    result = read_result(tmp_path, ended=3)
    assert result.verdict is None
    assert (
        "verdict.json is of an earlier run; the command ended with exit code 3: no verdict was possible"
        in result.missing
    )


@pytest.mark.parametrize("mapped", [0, 1, 20])
def test_what_the_policy_makes_of_an_inconclusive_verdict_is_its_code(tmp_path, mapped):
    written(tmp_path, "inconclusive", exit_code=mapped)
    verdict = read_result(tmp_path, ended=mapped).verdict
    assert verdict is not None
    assert verdict.exit_code == mapped


@pytest.mark.parametrize(
    ("name", "changes", "problem"),
    [
        ("fail", {"exit_code": 0}, "exit_code: 0 is not that of fail"),
        ("invalid", {"exit_code": 20}, "exit_code: 20 is not that of invalid"),
        ("inconclusive", {"exit_code": 3}, "exit_code: 3 is not that of inconclusive"),
        ("fail", {"verdict": "pass", "exit_code": 0}, "says pass, and a blocking row does not"),
        ("pass", {"schema": "headgate.verdict/v9"}, "is not a headgate.verdict/v1 document"),
        ("pass", {"script": "x"}, "unknown field `script`"),
        ("pass", {"verdict": "<b>"}, "Invalid enum value"),
    ],
)
def test_what_is_not_true_in_itself_is_refused(tmp_path, name, changes, problem):
    path = written(tmp_path, name, **changes)
    with pytest.raises(ConfigError, match=problem) as caught:
        read_verdict(path)
    assert caught.value.file == path
    result = read_result(tmp_path, ended=0)
    assert result.verdict is None
    assert problem in result.missing
    assert result.missing.endswith("; the command ended with exit code 0")


def test_what_is_no_plain_small_file_is_refused(tmp_path):
    path = tmp_path / "verdict.json"
    (tmp_path / "secret").write_bytes(VERDICTS["pass"].to_json())
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(ConfigError, match="is not a plain file"):
        read_verdict(path)
    path.unlink()
    path.write_bytes(b" " * (MOST_BYTES + 1))
    with pytest.raises(ConfigError, match=r"has 8,388,609 bytes, and a verdict has at most 8,388,608"):
        read_verdict(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="a verdict cannot be read from it"):
        read_verdict(path)


def test_one_prompt_has_its_own_digest_and_several_one_of_all(tmp_path):
    arm = VERDICTS["pass"].candidate
    verdict = msgspec.structs.replace(VERDICTS["pass"], baseline=None)
    assert Result(verdict=verdict, missing="", verdict_file=tmp_path).digests == (arm.prompt_digests["new"], "")
    several = [
        msgspec.structs.replace(arm, prompt_digests=digests) for digests in ({"a": "1", "b": "2"}, {"c": "2", "d": "1"})
    ]
    both = msgspec.structs.replace(verdict, candidate=several[0], baseline=several[1])
    candidate, baseline = Result(verdict=both, missing="", verdict_file=tmp_path).digests
    assert candidate == baseline != ""


def test_what_a_run_has_cost_is_the_sum_of_its_jobs(tmp_path):
    import polars as pl
    import pyarrow.parquet as pq

    suite = hg.Suite(
        name="sums",
        items=[{"q": f"{n} + 1", "target": n + 1} for n in range(20)],
        prompts={"old": "{{ q }}", "new": "Sum: {{ q }}"},
        models=[{"id": "m", "provider": "simulated", "simulate": {"latency_s": 0}}],
        scorers=[{"name": "correct", "type": "numeric"}],
        compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        gates=[{"metric": "correct", "margin": 0.5}],
    )
    run = hg.run(suite, out=tmp_path / "run")
    (tmp_path / "run" / "verdict.json").write_bytes(hg.gate(run).to_json())
    result = read_result(tmp_path / "run")
    assert result.manifest is not None
    assert (result.manifest.name, result.cost_usd) == ("sums", None)
    (part,) = (tmp_path / "run" / "results").iterdir()
    schema = pq.read_schema(part)
    table = pl.read_parquet(part).with_columns(cost_usd=pl.when(pl.col("seed") == 1).then(0.25)).to_arrow()
    pq.write_table(table.cast(schema), part)
    assert read_result(tmp_path / "run").cost_usd == 40 * 0.25
    part.write_bytes(b"torn")
    damaged = read_result(tmp_path / "run")
    assert (damaged.word, damaged.manifest, damaged.cost_usd) == (result.word, None, None)
