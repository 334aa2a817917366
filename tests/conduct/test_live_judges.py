"""Judges in a canary: a share of the rows by their ids, each graded once, and an alarm where nobody grades."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import polars as pl
import pytest

import headgate as hg
from headgate.errors import ConfigError
from headgate.traffic.units import is_sampled, key_of
from judged import JUDGE

GATES = [{"metric": "right", "margin": 0.1}]
SCORERS = [{"name": "right", "type": "judge", "kind": "closed_qa", "model": "judge-small"}]


def simulated(**judge):
    return {**JUDGE, "simulate": {"latency_s": 0.0, "judge": judge}}


def canary(folder, *, model=None, share=0.5, **changes):
    traffic = {"stable": str(folder / "stable.jsonl"), "canary": str(folder / "canary.jsonl")}
    judges = {"models": [model or simulated()], "share": share, **changes}
    declared = {"traffic": traffic, "lateness_s": 0, "scorers": SCORERS, "gates": GATES, "judges": judges}
    return hg.Canary.model_validate(declared)


def write(folder, n, *, drop=0.0):
    """Write rows of both arms; every one says which pod it came from, and what was right."""
    rng = np.random.default_rng(n)
    files = {arm: (folder / f"{arm}.jsonl").open("w") for arm in ("stable", "canary")}
    for number in range(n):
        for arm, file in files.items():
            right = rng.random() < 0.9 - (drop if arm == "canary" else 0.0)
            row = {"time": 1.7e9 + number, "id": f"{arm}-{number}", "input": f"{number}?", "target": str(number)}
            file.write(json.dumps({**row, "output": str(number) if right else "no", "pod": f"{arm}-pod"}) + "\n")
    for file in files.values():
        file.close()


def graded(state):
    return hg.scan(f"{state}/judges/*/*").collect()


@pytest.mark.parametrize(("drop", "word"), [(0.0, "pass"), (0.4, "fail")])
def test_a_share_of_the_rows_is_graded_and_decides(tmp_path, drop, word):
    write(tmp_path, 800, drop=drop)
    verdict = hg.canary(canary(tmp_path), state=tmp_path / "state")
    assert verdict.verdict == word
    assert verdict.traffic.alarms == []
    asked = [f"{arm}-{number}" for arm in ("stable", "canary") for number in range(800)]
    assert graded(tmp_path / "state").height == sum(is_sampled(key_of(name), 0.5) for name in asked)


def test_no_row_says_which_arm_it_is_of(tmp_path):
    write(tmp_path, 50)
    hg.canary(canary(tmp_path, share=1), state=tmp_path / "state")
    [items] = (tmp_path / "state").glob("judges/*/*/items.parquet")
    frame = pl.read_parquet(items)
    assert frame.height == 100
    for column in frame.get_columns():
        assert not column.cast(pl.String).str.contains("stable|canary|pod").any()


def test_what_is_graded_is_graded_once_however_it_is_cut_and_restarted(tmp_path):
    write(tmp_path, 300)
    biased = simulated(sensitivity=0.9, specificity=0.7)
    whole = hg.canary(canary(tmp_path, model=biased), state=tmp_path / "whole")
    rows = graded(tmp_path / "whole")
    (tmp_path / "whole" / "state.msgpack").unlink()  # as if it had been killed before it saved what it saw
    again = hg.canary(canary(tmp_path, model=biased), state=tmp_path / "whole")
    assert graded(tmp_path / "whole").equals(rows)
    without = hg.canary(canary(tmp_path, model=biased))
    facts = [msgspec.to_builtins(msgspec.structs.replace(verdict, created="")) for verdict in (whole, again, without)]
    assert facts[0] == facts[1] == facts[2]


def test_a_judge_that_is_down_raises_an_alarm_and_no_rollback(tmp_path):
    write(tmp_path, 300, drop=0.5)
    nobody = {**JUDGE, "provider": "openai-compatible", "base_url": "http://127.0.0.1:9/v1", "max_attempts": 2}
    verdict = hg.canary(canary(tmp_path, model=nobody), state=tmp_path / "state")
    assert verdict.verdict == "inconclusive"
    assert any("a judge cannot serve" in alarm for alarm in verdict.traffic.alarms)


def test_the_cap_of_the_judges_is_held_and_told(tmp_path):
    write(tmp_path, 300)
    price = {"input_usd_per_million": 1.0, "output_usd_per_million": 1.0}
    priced = {**simulated(), "price": price, "params": {"max_tokens": 50}}
    verdict = hg.canary(canary(tmp_path, model=priced, share=1, max_cost_usd=0.02), state=tmp_path / "state")
    assert any("the money for judges is used up" in alarm for alarm in verdict.traffic.alarms)
    rows = graded(tmp_path / "state")
    assert 10 < rows.height < 600
    assert rows["settled_usd"].sum() <= 0.02
    with pytest.raises(ConfigError, match="nothing limits"):
        hg.canary(canary(tmp_path, model={**priced, "params": {}}, max_cost_usd=0.02))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"judges": None}, r"scorers\.0\.model: 'judge-small' is no judge"),
        ({"scorers": [{**SCORERS[0], "kind": "pairwise"}]}, "compares two arms"),
        ({"scorers": [{**SCORERS[0], "calibrate": {"labels": "x.csv"}}]}, "cannot be asked of live traffic"),
        ({"judges": {"models": [{"id": "judge-small", "provider": "simulated"}]}}, "is no judge"),
    ],
    ids=["none", "pairs", "labels", "role"],
)
def test_what_cannot_be_asked_of_live_traffic_is_refused(tmp_path, changes, said):
    declared = canary(tmp_path).model_dump(exclude_none=True) | changes
    with pytest.raises(ConfigError, match=said):
        hg.Canary.model_validate({name: value for name, value in declared.items() if value is not None})
