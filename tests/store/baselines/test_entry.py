"""What a baseline answers for: its key changes with what must be the same, and with nothing else."""

from __future__ import annotations

import msgspec
import pytest

from headgate.errors import StoreError
from headgate.identity import digest
from headgate.store.baselines.entry import Baseline, baseline_parts, decode_baseline, is_run_file, read_stored
from headgate.suite.gate import Arm
from store_rows import make_plan, make_suite
from stored_baselines import described, finished_run

OLD = Arm(prompt="baseline")


def key(folder, *, arm=OLD, scorers=None, **changes):
    plan = make_plan(folder, make_suite(**changes))
    return digest(baseline_parts(plan.parts, arm=arm, scorers=scorers or {"correct": "1"}))


def items(**changes):
    return {"items": [{"id": f"i{n}", "q": f"{n}+1", "target": str(n + 1)} | changes for n in range(5)]}


MODEL = {"id": "small", "provider": "simulated", "params": {"temperature": 0}}
PROMPTS = {"baseline": "{{ q }}", "candidate": "Shortly: {{ q }}"}


@pytest.mark.parametrize(
    "changes",
    [
        {"prompts": PROMPTS | {"candidate": "In short: {{ q }}"}},
        {"prompts": PROMPTS | {"third": "Say {{ q }}"}},
        {"prompts": dict(reversed(PROMPTS.items()))},
        {"first_seed": 7},
        {"name": "other"},
        {"models": [MODEL | {"max_attempts": 2}]},
        {"gates": [{"metric": "correct", "margin": 0.1}]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_the_arm_does_not_hang_on_leaves_the_key(tmp_path, changes):
    assert key(tmp_path, **changes) == key(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"prompts": PROMPTS | {"baseline": "{{ q }}?"}},
        {"prompts": {"before": "{{ q }}"}, "arm": Arm(prompt="before")},
        {"models": [MODEL | {"params": {"temperature": 1}}]},
        {"models": [MODEL | {"id": "renamed"}]},
        {"models": [MODEL, MODEL | {"id": "second", "model": "other"}]},
        {"seeds": 3},
        {"scorers": {"correct": "2"}},
        {"scorers": {"correct": "1", "polite": "1"}},
        items(target="0"),
        items(topic="new"),
        {"items": items()["items"][:4]},
        {"items": items()["items"][::-1]},
        {"arm": None},
        {"arm": Arm(prompt="candidate")},
    ],
    ids=repr,
)
def test_what_it_hangs_on_changes_the_key(tmp_path, changes):
    assert key(tmp_path, **changes) != key(tmp_path)


def test_an_arm_of_models_is_one_model_with_all_prompts(tmp_path):
    suite = make_suite(models=[MODEL, MODEL | {"id": "big", "model": "other"}])
    parts = baseline_parts(make_plan(tmp_path, suite).parts, arm=Arm(model="big"), scorers={})
    assert (sorted(parts["prompts"]), list(parts["models"])) == (["baseline", "candidate"], ["big"])


@pytest.fixture
def baseline(tmp_path) -> Baseline:
    return described(finished_run(tmp_path / "run"))[1]


def test_facts_come_back_and_later_fields_are_left_alone(baseline):
    later = msgspec.json.decode(baseline.to_json()) | {"later": 1}
    assert decode_baseline(msgspec.json.encode(later), where="here") == baseline


@pytest.mark.parametrize(
    "change",
    [
        {"parts": {"items": "other"}},
        {"key": "0" * 32},
        {"created": "yesterday"},
        {"created": "2026-01-01T00:00:00"},
        {"id": "../../etc"},
        {"git": {"commit": 1}},
        {"schema": "headgate.baseline/v2"},
        {"n_items": "many"},
    ],
    ids=repr,
)
def test_facts_that_are_not_whole_are_refused(baseline, change):
    data = msgspec.json.encode(msgspec.json.decode(baseline.to_json()) | change)
    with pytest.raises(StoreError, match=r"^here: .*; restore it from a copy"):
        decode_baseline(data, where="here")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe"])
def test_what_is_no_json_of_a_baseline_is_refused(data):
    with pytest.raises(StoreError, match="here: cannot be read"):
        decode_baseline(data, where="here")


def test_a_run_directory_is_no_stored_baseline(tmp_path, baseline):
    assert read_stored(tmp_path / "run") is None
    (tmp_path / "run" / "entry.json").write_bytes(baseline.to_json())
    assert read_stored(tmp_path / "run") == baseline


@pytest.mark.parametrize(
    "name",
    [
        "../manifest.json",
        "/etc/passwd",
        "results/../../a.parquet",
        "results/a/b.parquet",
        "results/.a.parquet",
        "results/a.parquet\n",
        "entry.json",
        "verdict.json",
        "journal/lock",
        "scores/a.txt",
        "",
    ],
)
def test_names_that_no_run_has_are_not_followed(name):
    assert not is_run_file(name)
