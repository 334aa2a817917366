"""`headgate baseline` and the options that name a baseline, as a user runs them."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess

import msgspec
import pytest

import headgate as hg
from command_line import call, command, write_items
from headgate.cli.main import run_command
from headgate.decide.verdict import Verdict
from headgate.testing import SimulatedServer, Simulation
from stored_baselines import repository

N = 40


def write_suite(folder, **changes):
    write_items(folder, N)
    declared = {
        "name": "sums",
        "items": "items.jsonl",
        "prompts": {"old": {"text": "{{ question }}"}, "new": {"text": "Sum: {{ question }}"}},
        "models": [{"id": "m", "provider": "simulated", "simulate": {"accuracy": 0.9, "latency_s": 0}}],
        "seeds": 2,
        "scorers": [{"name": "correct", "type": "numeric"}],
        "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        "gates": [{"metric": "correct", "margin": 0.3}],
    }
    path = folder / "suite.json"
    path.write_text(json.dumps(declared | changes))
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a suite, and no store but the default one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADGATE_BASELINES", raising=False)
    write_suite(tmp_path)
    return tmp_path


def facts(capsys, *words, code=0):
    assert run_command([*map(str, words), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_one_command_draws_a_baseline_and_the_next_one_other_seeds(here, capsys):
    assert facts(capsys, "baseline", "find", "suite.json", code=3)["found"] is None
    first = facts(capsys, "baseline", "refresh", "suite.json", "--quiet")
    second = facts(capsys, "baseline", "refresh", "suite.json", "--quiet", "--name", "release-1.0")
    assert [first["first_seed"], second["first_seed"]] == [3, 5]
    assert first["key"] == second["key"]
    assert (here / "runs" / "sums-baseline-seed3").is_dir()
    found = facts(capsys, "baseline", "find", "suite.json")
    assert (found["found"]["id"], found["next_seed"]) == (second["id"], 7)
    assert found["path"] == f".headgate/baselines/entries/{second['key']}/{second['id']}"
    listed = facts(capsys, "baseline", "list")["baselines"]
    assert {one["id"]: one["names"] for one in listed} == {first["id"]: ["main"], second["id"]: ["release-1.0"]}


def test_a_pipeline_keeps_its_baselines_in_git(here, capsys, monkeypatch):
    repository(here / "bare", "--bare")
    monkeypatch.setenv("HEADGATE_BASELINES", f"git:{here}/bare")
    saved = facts(capsys, "baseline", "refresh", "suite.json", "--quiet")
    verdict = Verdict.from_json(json.dumps(facts(capsys, "check", "suite.json", "--baseline", "auto", "--quiet")))
    assert (verdict.verdict, verdict.baseline.run) == ("pass", f"baseline:{saved['id']}")
    asked = hg.scan("runs/sums").collect()["prompt"].to_list()
    assert 0 < asked.count("old") <= asked.count("new") / 10  # only so many of the baseline as show that it stands
    assert not (here / ".headgate").exists()


def test_what_is_printed_can_be_used(here, capsys):
    run_command(["baseline", "refresh", "suite.json", "--quiet"])
    run_command(["run", "suite.json", "--arm", "candidate", "--quiet"])
    assert run_command(["baseline", "find", "suite.json"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("headgate: ")
    assert "seeds 3 to 4, drawn" in printed.err
    path = printed.out.strip()
    assert run_command(["gate", "runs/sums-candidate", "--baseline", path, "--quiet"]) == 0
    assert run_command(["gate", "runs/sums-candidate", "--baseline", "baseline:main", "--quiet"]) == 0
    assert run_command(["show", path]) == 0
    assert run_command(["verify", path, "--quiet"]) == 0


def test_gate_takes_the_suites_own_and_says_what_differs_where_there_is_none(here, capsys):
    run_command(["baseline", "refresh", "suite.json", "--quiet"])
    run_command(["run", "suite.json", "--out", "run", "--quiet"])
    assert run_command(["gate", "run", "--baseline", "auto", "--quiet"]) == 0
    write_suite(here, prompts={"old": {"text": "{{ question }}?"}, "new": {"text": "Sum: {{ question }}"}})
    run_command(["run", "suite.json", "--out", "other", "--quiet"])
    capsys.readouterr()
    assert run_command(["gate", "other", "--baseline", "auto"]) == 3
    said = capsys.readouterr().err
    assert "differs in prompts.old" in said
    assert "headgate baseline refresh SUITE" in said
    assert len(said.splitlines()) == 1
    assert not (here / "other" / "verdict.json").exists()
    assert facts(capsys, "baseline", "find", "suite.json", code=3)["nearest"]["differs"] == ["prompts.old"]


def test_show_tells_what_a_name_meant_before(here, capsys):
    for _ in range(2):
        run_command(["baseline", "refresh", "suite.json", "--quiet"])
    shown = facts(capsys, "baseline", "show", "main")
    assert [move["id"] for move in shown["moves"]][-1] == shown["id"]
    assert len(shown["moves"]) == 2
    assert shown["age_s"] >= 0
    assert facts(capsys, "baseline", "show", f"baseline:{shown['moves'][0]['id']}")["first_seed"] == 3
    assert run_command(["baseline", "show", "main"]) == 0
    text = capsys.readouterr().out
    for word in ("prompts old", "models m", "scorers correct", "seeds    ", "5 to 6", shown["moves"][0]["id"]):
        assert word in text
    assert run_command(["baseline", "show", "absent"]) == 3
    assert "no baseline is called 'absent'; there are: main" in capsys.readouterr().err


def test_a_verdict_beside_the_rows_is_kept_though_it_is_asked_for_elsewhere(here, capsys):
    """So `save` knows a candidate where CI puts its verdict among the artifacts."""
    write_suite(here, compare=None, gates=[{"metric": "correct", "min": 0.5}])
    run_command(["run", "suite.json", "--out", "run", "--quiet"])
    assert run_command(["gate", "run", "--verdict", "artifacts/verdict.json", "--quiet"]) == 0
    assert (here / "artifacts" / "verdict.json").read_bytes() == (here / "run" / "verdict.json").read_bytes()
    capsys.readouterr()
    assert run_command(["baseline", "save", "run"]) == 2
    assert "was judged as a candidate" in capsys.readouterr().err
    assert not (here / ".headgate").exists()


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["save", "absent"], 2, "is not a run directory"),
        (["save", "run", "--name", "a/b"], 2, "cannot name a baseline"),
        (["find", "suite.json", "--store", "git:/"], 2, "is no git repository"),
        (["list", "--store", "gopher://a"], 2, "cannot be opened"),
        (["show", "main"], 3, "no baseline is called 'main'"),
        (["find", "absent.json"], 2, "absent.json"),
    ],
)
def test_exit_codes_and_one_line_each(here, capsys, words, code, problem):
    assert run_command(["baseline", *words]) == code
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert problem in said.err


def test_a_store_cannot_act_on_the_terminal(here, capsys):
    """Its files are data: what stands in them is shown and does nothing."""
    run_command(["baseline", "refresh", "suite.json", "--quiet"])
    (path,) = here.glob(".headgate/baselines/entries/*/*/entry.json")
    entry = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(entry | {"suite": "\x1b[2Jsums\nforged", "ci_url": "\x1b]0;x\x07"}))
    for words in (["list"], ["show", "main"], ["find", "suite.json"]):
        assert run_command(["baseline", *words]) == 0
        printed = capsys.readouterr()
        assert "\x1b" not in printed.out + printed.err
        assert "\nforged" not in printed.out
    path.write_bytes(msgspec.json.encode(entry | {"id": "\x1b[2J"}))
    assert run_command(["baseline", "show", "main"]) == 3
    assert "\x1b" not in capsys.readouterr().err


def test_an_interrupted_refresh_goes_on_where_it_was(tmp_path):
    with SimulatedServer({"m": Simulation(latency_s=0.03)}) as server:
        model = {"id": "m", "provider": "simulated", "base_url": server.base_url}
        write_suite(tmp_path, models=[model], lanes=[{"models": ["m"], "concurrency": 2}])
        words = ("baseline", "refresh", "suite.json", "--store", "store")
        with subprocess.Popen(command(*words), cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
            while server.requests.total() < 8:
                assert running.poll() is None
            running.send_signal(signal.SIGINT)
            said = running.communicate()[1]
        assert running.returncode == 130, said
        again = "baseline refresh suite.json --name main --store store --out runs/sums-baseline-seed3"
        assert said.endswith(f"To resume: headgate {again}\n")
        assert not (tmp_path / "store").exists()
        ran = call(*again.split(), "--json", "--quiet", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["first_seed"] == 3
    assert max(server.requests.values()) <= 2  # at most those in flight were asked twice


def test_an_interrupted_check_is_resumed_as_it_says(tmp_path):
    """The line names the baseline and the store, without which the check would not be the same."""
    with SimulatedServer({"m": Simulation(latency_s=0.03)}) as server:
        model = {"id": "m", "provider": "simulated", "base_url": server.base_url}
        write_suite(tmp_path, models=[model], lanes=[{"models": ["m"], "concurrency": 2}])
        assert call("baseline", "refresh", "suite.json", "--store", "store", cwd=tmp_path).returncode == 0
        before = server.requests.total()
        words = ("check", "suite.json", "--baseline", "auto", "--store", "store")
        with subprocess.Popen(command(*words), cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
            while server.requests.total() < before + 8:
                assert running.poll() is None
            running.send_signal(signal.SIGTERM)
            said = running.communicate()[1]
        assert running.returncode == 130, said
        again = shlex.split(said.rsplit("To resume: headgate ", 1)[1])
        assert again[2:] == ["--baseline", "auto", "--store", "store", "--out", "runs/sums"]
        ran = call(*again, "--json", "--quiet", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert Verdict.from_json(ran.stdout).verdict == "pass"


def test_run_one_arm_with_seeds_of_its_own(here, capsys):
    done = facts(capsys, "run", "suite.json", "--arm", "baseline", "--first-seed", "100")
    assert (done["run"], done["planned"]) == ("runs/sums-baseline-seed100", 2 * N)
    assert hg.scan(done["run"]).collect()["seed"].unique().sort().to_list() == [100, 101]
    assert run_command(["run", "suite.json", "--arm", "third"]) == 2
    assert "use baseline or candidate" in capsys.readouterr().err
