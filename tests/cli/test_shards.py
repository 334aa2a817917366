"""``run --shard`` and ``merge`` as a user types them: folders, output, exit codes."""

from __future__ import annotations

import json

import pytest

from headgate.cli.main import run_command

NAMES = ("HEADGATE_SHARD", "CI_NODE_INDEX", "CI_NODE_TOTAL", "JOB_COMPLETION_INDEX", "HEADGATE_SHARDS")
SUITE = {
    "name": "sums",
    "items": {"rows": [{"question": f"{n} + 1", "target": n + 1} for n in range(7)]},
    "prompts": {"bot": "{{ question }}"},
    "models": [{"id": "small", "provider": "simulated", "simulate": {"latency_s": 0}}],
    "scorers": [{"name": "correct", "type": "numeric"}],
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "suite.json").write_text(json.dumps(SUITE))
    return tmp_path


def call(capsys, *words):
    code = run_command(list(words))
    said = capsys.readouterr()
    return code, said.out, said.err.removeprefix("headgate: ")


def test_shards_have_folders_of_their_own_and_merge(folder, capsys, monkeypatch):
    assert call(capsys, "run", "suite.json", "--shard", "1/2", "--quiet") == (0, "", "")
    monkeypatch.setenv("CI_NODE_INDEX", "2")
    monkeypatch.setenv("CI_NODE_TOTAL", "2")
    code, said, _ = call(capsys, "run", "suite.json", "--shard", "auto")
    assert (code, said) == (
        0,
        "3 jobs: 3 ok, 0 refused, 0 errors, 0 not run\nresults in runs/sums-2-of-2\n",
    )
    assert "shard 2/2\n3 jobs: 3 ok" in call(capsys, "show", "runs/sums-2-of-2")[1]
    assert call(capsys, "verify", "runs/sums-1-of-2") == (0, "runs/sums-1-of-2: every file is as it was written\n", "")
    code, said, _ = call(capsys, "merge", "runs/sums-1-of-2", "runs/sums-2-of-2", "--out", "runs/sums")
    assert (code, said) == (0, "7 jobs: 7 ok, 0 refused, 0 errors, 0 not run\nresults in runs/sums\n")
    assert call(capsys, "merge", "runs/sums-1-of-2", "runs/sums-2-of-2", "--out", "again", "-q") == (0, "", "")


def test_without_a_shard_the_environment_is_not_asked(folder, capsys, monkeypatch):
    monkeypatch.setenv("HEADGATE_SHARD", "1/2")
    assert call(capsys, "run", "suite.json")[:2] == (
        0,
        "7 jobs: 7 ok, 0 refused, 0 errors, 0 not run\nresults in runs/sums\n",
    )


@pytest.mark.parametrize("shard", ["3/2", "x", "auto"])
def test_no_shard_is_exit_2_and_nothing_is_written(folder, capsys, shard):
    code, said, error = call(capsys, "run", "suite.json", "--shard", shard)
    assert (code, said) == (2, "")
    assert error.startswith(f"--shard: '{shard}' ")
    assert not (folder / "runs").exists()


def test_half_of_auto_is_exit_2(capsys, monkeypatch):
    monkeypatch.setenv("CI_NODE_TOTAL", "4")
    code, _, error = call(capsys, "run", "suite.json", "--shard", "auto")
    assert code == 2
    assert "CI_NODE_INDEX is not set" in error


@pytest.mark.parametrize(
    ("first", "then", "problem", "mend"),
    [
        ("1/2", "2/2", "holds shard 1/2 of the plan, not shard 2/2 of the plan", "give --shard 1/2 to resume it"),
        ("1/2", None, "holds shard 1/2 of the plan, not the whole plan", "give --shard 1/2 to resume it"),
        (None, "1/2", "holds the whole plan, not shard 1/2 of the plan", "leave --shard out to resume it"),
    ],
)
def test_a_folder_of_another_shard_is_refused(capsys, first, then, problem, mend):
    options = [["--out", "run"] + ([] if shard is None else ["--shard", shard]) for shard in (first, then)]
    assert run_command(["run", "suite.json", *options[0], "--quiet"]) == 0
    assert call(capsys, "run", "suite.json", *options[1]) == (
        2,
        "",
        f"run: {problem}: shard differs; choose another --out, or {mend}\n",
    )
    assert run_command(["run", "suite.json", *options[0], "--quiet"]) == 0  # the lock was given back


def test_a_limit_takes_items_of_the_plan(capsys):
    code, said, _ = call(capsys, "run", "suite.json", "--shard", "2/2", "--limit", "3", "--json")
    assert (code, json.loads(said)["counts"]["ok"], json.loads(said)["planned"]) == (0, 1, 3)
    code, _, error = call(capsys, "merge", "runs/sums-2-of-2", "--out", "runs/sums")
    assert code == 3
    again = "headgate run SUITE --shard 2/2 --out runs/sums-2-of-2"
    assert error.splitlines() == [
        "the shards are not complete:",
        "  shard 1/2 is missing",
        f"  shard 2/2 (runs/sums-2-of-2) lacks 2 of 3 jobs; resume it: {again}",
    ]


def test_more_shards_than_items(capsys):
    for index in range(1, 10):
        assert run_command(["run", "suite.json", "--shard", f"{index}/9", "--quiet"]) == 0
    runs = [f"runs/sums-{index}-of-9" for index in range(1, 10)]
    code, said, _ = call(capsys, "merge", *runs, "--out", "runs/sums", "--json")
    assert (code, json.loads(said)["counts"]["ok"]) == (0, 7)
    assert call(capsys, "verify", "runs/sums")[0] == 0
    assert call(capsys, "verify", runs[8])[0] == 0


def test_usage_is_exit_2(folder, capsys):
    assert call(capsys, "run", "suite.json", "--quiet")[0] == 0
    assert call(capsys, "merge", "runs/sums", "--out", "whole")[::2] == (
        2,
        "runs/sums: is no shard of a run; merge what was run with --shard i/n\n",
    )
    assert call(capsys, "merge", "runs/sums", "--out", "runs/sums")[0] == 2
    assert call(capsys, "merge", "runs/none", "--out", "whole")[0] == 2
    assert call(capsys, "merge", "--out", "whole")[0] == 2
    assert call(capsys, "merge", "runs/sums")[0] == 2
    assert not (folder / "whole").exists()
