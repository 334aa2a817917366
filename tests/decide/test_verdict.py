"""verdict.json: its fields, its schema, its way there and back, and its table."""

from __future__ import annotations

import json
import math
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest

from headgate.decide.judge import decide
from headgate.decide.verdict import Verdict, verdict_schema
from headgate.errors import ConfigError
from headgate.store.provenance import Git
from headgate.suite.gate import Arm, Compare, Policy
from made_runs import SCORERS, arms, broken, gate

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "verdict-v1.json"
PROMPTS = Compare(baseline=Arm(prompt="old"), candidate=Arm(prompt="new"))


def verdict(n=60, *, worse=0, errored=0, **options) -> Verdict:
    run = broken(
        arms((np.arange(n) >= worse).astype(float), np.ones(n), **options),
        [f"new/m/i{i:05d}/1" for i in range(errored)],
    )
    gates = [gate(margin=0.05), gate("cost_usd", max=1.0, tier="monitor"), gate(zero_tolerance=True, tier="warning")]
    return decide(run, None, gates=gates, scorers=SCORERS, compare=PROMPTS, policy=Policy())


REAL = {
    "pass": verdict(),
    "fail": verdict(worse=20),
    "inconclusive": verdict(20),
    "invalid": verdict(errored=10),
    "one item": verdict(1),
    "git": verdict(git=Git(commit="abc", branch=None, dirty=True)),
}


def test_the_published_schema_is_current():
    assert json.loads(SCHEMA.read_text()) == verdict_schema()


@pytest.mark.parametrize("name", REAL)
def test_real_verdicts_keep_the_schema_and_come_back(name):
    data = REAL[name].to_json()
    jsonschema.Draft202012Validator(verdict_schema()).validate(json.loads(data))
    assert Verdict.from_json(data) == REAL[name]
    assert b"NaN" not in data
    assert b"Infinity" not in data


def test_the_document_has_these_fields():
    document = json.loads(REAL["pass"].to_json())
    assert document["schema"] == "headgate.verdict/v1"
    assert set(document) == {
        "schema",
        "verdict",
        "reason",
        "exit_code",
        "created",
        "alpha",
        "metrics",
        "errors",
        "candidate",
        "baseline",
        "anchor",
        "items",
        "looks",
        "look_plan",
        "drift",
        "serving",
        "traffic",
        "judges",
    }
    assert set(document["metrics"][0]) == {
        "name",
        "tier",
        "rule",
        "against",
        "seed_share",
        "judge_share",
        "endpoint_share",
        "n_labels",
        "estimate",
        "low",
        "high",
        "confidence",
        "cell",
        "margin",
        "baseline_mean",
        "candidate_mean",
        "n_items",
        "n_clusters",
        "n_jobs",
        "method",
        "p_value",
        "verdict",
        "needed_items",
        "needed_seeds",
        "mde",
        "flags",
        "reason",
    }
    assert set(document["errors"]["candidate"]) == {
        "planned",
        "ok",
        "refused",
        "errored",
        "not_run",
        "unscored",
        "kinds",
    }
    assert set(document["candidate"]) == {
        "run",
        "suite_digest",
        "plan_digest",
        "prompt_digests",
        "served_models",
        "git",
        "cached",
        "fallback",
    }


def test_what_is_not_finite_stands_as_null():
    row = msgspec.structs.replace(REAL["pass"].metrics[0], low=-math.inf, mde=math.nan)
    assert (row.low, row.mde) == (None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"verdict": "maybe"},
        {"schema": "headgate.verdict/v2"},
        {"exit_code": "0"},
        {"metrics": [{}]},
        {"errors": None},
    ],
)
def test_what_is_no_verdict_is_refused(change):
    document = json.loads(REAL["pass"].to_json()) | change
    with pytest.raises(ConfigError):
        Verdict.from_json(json.dumps(document))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(verdict_schema()).validate(document)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", b"\xff"])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ConfigError):
        Verdict.from_json(text)


def test_the_table_is_aligned_and_says_everything():
    lines = str(REAL["fail"]).splitlines()
    head, first = lines[2], lines[3]
    assert lines[0].startswith("FAIL: correct on m: the candidate is worse")
    assert head.index("metric") == first.index("correct")
    assert head.index("interval") == first.index(" to ") - len(first[head.index("interval") :].split(" to ")[0])
    assert "candidate: 60 jobs, 60 ok, 0 refused, 0 errored, 0 not run, 0 unscored" in lines


def test_untrusted_text_stays_on_its_line():
    ugly = "a\x1b[2J\r\n::error::\u202e" + "x" * 500
    row = msgspec.structs.replace(REAL["pass"].metrics[0], name=ugly, reason=ugly, cell={"model": ugly}, verdict="fail")
    table = str(msgspec.structs.replace(REAL["pass"], metrics=[row], reason=ugly))
    assert len(table.splitlines()) == 8
    assert all(character.isprintable() or character == "\n" for character in table)
    assert "\n::" not in table
