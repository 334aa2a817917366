"""What a suite says of its outputs holds for every file, and changes no verdict."""

from __future__ import annotations

import hashlib
import json

import polars as pl
import pytest

import headgate as hg
import stored_texts
from headgate.errors import ConfigError, StoreError
from headgate.store import seal

MAIL = "ada@lovelace.example"


def answer(messages):
    number = int(messages[-1]["content"].split()[-1])
    if number == 3:
        raise RuntimeError(f"no answer for {MAIL}")
    return {"output": f"{number + (number % 4 == 0)} is for {MAIL}", "reasoning": f"as {MAIL} says"}


def grade(output, item):
    return {"value": float(output.split()[0] == str(item["target"])), "explanation": f"it says {output}"}


def declare(*, errors=True, negate=False, **store):
    suite = {
        "name": "s",
        "items": [{"n": n, "target": n} for n in range(0 if errors else 4, 24)],
        "prompts": {"old": "add {{ n }}", "new": "sum {{ n }}"},
        "models": [{"id": "m", "provider": "python", "call": answer}],
        "seeds": 2,
        "scorers": [
            {"name": "mailed", "type": "contains", "target": MAIL, "negate": negate},
            {"name": "right", "type": "python", "call": grade},
        ],
        "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        "gates": [{"metric": "right", "margin": 0.4}],
        "policy": {"max_error_rate": 0.5},
    }
    return hg.Suite(**suite, **({"store": store} if store else {}))


def rows(run):
    return hg.scan(run).sort("job_id").select("job_id", "status", "output", "reasoning", "error_message").collect()


def scores(run):
    return hg.scan_scores(run).sort("scorer", "job_id").select("scorer", "job_id", "value", "explanation").collect()


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def kept(tmp_path):
    """The same suite, run with its outputs kept."""
    return hg.run(declare(), out=tmp_path / "kept")


def test_what_matches_a_pattern_is_nowhere_and_is_scored_as_it_is_stored(tmp_path, kept):
    assert stored_texts.find(tmp_path / "kept", [MAIL]), "the search finds nothing"
    log = tmp_path / "run.log"
    done = hg.run(declare(redact=[r"[\w.]+@[\w.]+"]), out=tmp_path / "run", log_file=log)
    # The scorer's target is the suite's own text, and stands in the manifest.
    found = stored_texts.find(tmp_path / "run", [MAIL])
    assert {name for name, _ in found} == {"manifest.json"}
    assert MAIL not in log.read_text()
    assert "[redacted]" in log.read_text()
    table = rows(done)
    assert set(table["reasoning"].drop_nulls()) == {"as [redacted] says"}
    assert set(table["error_message"].drop_nulls()) == {"RuntimeError: no answer for [redacted]"}
    mailed = scores(done).filter(pl.col("scorer") == "mailed")["value"]
    assert mailed.sum() == 0
    assert hg.verify(done.path) == []


@pytest.mark.parametrize("how", ["hash", "drop"])
def test_outputs_that_are_not_kept(tmp_path, kept, how):
    done = hg.run(declare(outputs=how), out=tmp_path / "run")
    before, after = rows(kept), rows(done)
    for column in ("output", "reasoning"):
        want = [None if how == "drop" or text is None else sha256(text) for text in before[column]]
        assert after[column].to_list() == want
    assert after.select("job_id", "status", "error_message").equals(before.select("job_id", "status", "error_message"))
    assert scores(done).drop("explanation").equals(scores(kept).drop("explanation"))
    assert scores(kept)["explanation"].null_count() < scores(kept).height
    assert scores(done)["explanation"].null_count() == scores(done).height
    assert not [name for name, _ in stored_texts.find(done.path, [f"is for {MAIL}"])]
    assert hg.verify(done.path) == []
    ours, theirs = (json.loads(hg.gate(run).to_json()) for run in (done, kept))
    assert ours["verdict"] == theirs["verdict"]
    for mine, his in zip(ours["metrics"], theirs["metrics"], strict=True):
        assert mine["estimate"] == his["estimate"]


def test_a_sealed_run_is_not_scored_again(tmp_path):
    declared = declare(outputs="hash")
    done = hg.run(declared, out=tmp_path / "run")
    before = {path.name: path.read_bytes() for path in done.path.rglob("*.parquet")}
    with pytest.raises(ConfigError, match=r"outputs were not kept \(store.outputs: hash\), and cannot be scored again"):
        hg.score_run(done, suite=declared)
    again = hg.run(declared, out=tmp_path / "run")
    assert again.counts == done.counts
    assert {path.name: path.read_bytes() for path in done.path.rglob("*.parquet")}.keys() == before.keys()
    assert hg.verify(done.path) == []


def test_another_scorer_is_refused_by_name(tmp_path):
    hg.run(declare(outputs="hash"), out=tmp_path / "run")
    with pytest.raises(ConfigError, match="not kept, and it has no scores of 'mailed' as declared now"):
        hg.run(declare(outputs="hash", negate=True), out=tmp_path / "run")


@pytest.mark.parametrize("options", [{"limit": 7}, {"shard": None}], ids=["part of the items", "errors again"])
def test_a_sealed_run_goes_on(tmp_path, kept, options):
    declared = declare(outputs="hash")
    hg.run(declared, out=tmp_path / "run", **options)
    done = hg.run(declared, out=tmp_path / "run", retry_errors=True)
    assert rows(done)["output"].to_list() == [None if t is None else sha256(t) for t in rows(kept)["output"]]
    assert scores(done).drop("explanation").equals(scores(kept).drop("explanation"))
    assert hg.verify(done.path) == []


class Killed(BaseException):
    pass


@pytest.mark.parametrize("sealed", [0, 1], ids=["before", "between two parts"])
def test_killed_while_it_is_sealed(tmp_path, kept, monkeypatch, sealed):
    declared = declare(outputs="hash")
    with monkeypatch.context() as patch:
        patch.setattr(seal, "write_part", refuse)
        with pytest.raises(Killed):
            hg.run(declared, out=tmp_path / "run", limit=10)
    calls = []

    def count(path, *args, **options):
        if len(calls) == sealed:
            raise Killed
        calls.append(path)
        return written(path, *args, **options)

    written = seal.write_part
    with monkeypatch.context() as patch:
        patch.setattr(seal, "write_part", count)
        with pytest.raises(Killed):
            hg.run(declared, out=tmp_path / "run")
    problems = hg.verify(tmp_path / "run")
    assert {problem.unfinished for problem in problems} == {True}
    assert [problem.file for problem in problems if "the suite says hash" in problem.problem]
    done = hg.run(declared, out=tmp_path / "run")
    assert rows(done)["output"].to_list() == [None if t is None else sha256(t) for t in rows(kept)["output"]]
    assert scores(done).drop("explanation").equals(scores(kept).drop("explanation"))
    assert hg.verify(done.path) == []


def refuse(*_, **__):
    raise Killed


@pytest.mark.parametrize(
    ("store", "field"), [({}, "outputs"), ({"outputs": "hash", "redact": ["x"]}, "redact")], ids=["outputs", "redact"]
)
def test_it_cannot_be_changed_under_way(tmp_path, store, field):
    hg.run(declare(outputs="hash"), out=tmp_path / "run", limit=2)
    with pytest.raises(ConfigError, match=f"store.{field}: is not what the run was started with"):
        hg.run(declare(**store), out=tmp_path / "run")


def test_shards_baselines_and_a_check(tmp_path):
    declared = declare(outputs="hash", errors=False)
    shards = [hg.run(declared, out=tmp_path / f"{part}", shard=f"{part}/2") for part in (1, 2)]
    whole = hg.merge(shards, out=tmp_path / "whole")
    assert hg.verify(whole.path) == []
    with pytest.raises(ConfigError, match="cannot be scored again"):
        hg.score_run(whole, suite=declared)
    assert hg.gate(whole).verdict in {"pass", "inconclusive"}
    base = hg.run(declared, out=tmp_path / "base", arm="baseline")
    hg.save_baseline(base, store=tmp_path / "baselines")
    checked = hg.check(declared, out=tmp_path / "check", baseline="auto", store=tmp_path / "baselines")
    assert checked.verdict.verdict == "pass"
    assert stored_texts.find(tmp_path, [f"is for {MAIL}"]) == []
    with pytest.raises(ConfigError, match="cannot be scored again"):
        hg.check(declared, out=tmp_path / "check", baseline="auto", store=tmp_path / "baselines")


def test_a_shard_that_is_not_sealed_is_not_merged(tmp_path, monkeypatch):
    declared = declare(outputs="drop", errors=False)
    first = hg.run(declared, out=tmp_path / "1", shard="1/2")
    monkeypatch.setattr(seal, "write_part", refuse)
    with pytest.raises(Killed):
        hg.run(declared, out=tmp_path / "2", shard="2/2")
    with pytest.raises(StoreError, match=r"holds outputs, and the suite says drop|has no line"):
        hg.merge([first, tmp_path / "2"], out=tmp_path / "whole")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("(", "'(' is no regular expression"), ("x*", "'x*' matches where nothing stands, and so everywhere")],
)
def test_patterns_that_cannot_be_meant(pattern, said):
    with pytest.raises(ConfigError) as caught:
        declare(redact=[pattern])
    assert said in str(caught.value)


@pytest.mark.parametrize("store", [{"outputs": "hash"}, {"redact": [MAIL]}], ids=["hash", "redact"])
def test_a_cache_that_would_keep_them_is_refused(tmp_path, store):
    with pytest.raises(ConfigError, match="store: says that outputs are not kept as they are; leave --cache out"):
        hg.run(declare(**store), out=tmp_path / "run", cache="write")
