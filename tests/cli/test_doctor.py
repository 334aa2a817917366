"""`headgate doctor` as a command: lines, facts, exit codes."""

from __future__ import annotations

import json

import pytest

from headgate.cli.main import run_command
from headgate.conduct.doctor import machine
from headgate.testing import SimulatedServer, Simulation

HOSTILE = "\x1b[2J\x1b]0;owned\x07"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "_SLOW_S", float("inf"))  # the disk of a test machine may be slow

    def to(**changes):
        suite = {
            "name": "s",
            "items": {"rows": [{"q": "1", "target": "2"}]},
            "prompts": {"p": {"text": "{{ q }}"}},
            "models": [{"id": "m", "provider": "simulated"}],
            **changes,
        }
        (tmp_path / "suite.json").write_text(json.dumps(suite))

    return to


def test_a_line_for_each_finding(write, capsys):
    with SimulatedServer({"m": Simulation()}) as server:
        write(models=[{"id": "m", "provider": "simulated", "base_url": server.base_url}])
        assert run_command(["doctor", "suite.json", "--live"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("headgate ")
    assert lines[-1] == "nothing is wrong"
    assert {line.split()[0] for line in lines[1:-1]} == {"ok"}
    assert [line for line in lines if line.startswith("ok       models.m: answered in ")]


def test_without_live_it_says_so(write, capsys):
    write(prompts={"p": {"text": "{{ wrong }}"}})
    assert run_command(["doctor", "suite.json"]) == 2
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "1 problem; no model was asked: --live asks each for a word"


def test_facts(write, capsys):
    write(models=[{"id": "m", "provider": "openai-compatible", "base_url": "http://127.0.0.1:1/v1"}])
    assert run_command(["doctor", "suite.json", "--json"]) == 3
    facts = json.loads(capsys.readouterr().out)
    assert (facts["exit_code"], facts["suite"], facts["live"]) == (3, "suite.json", False)
    assert facts["versions"].keys() >= {"headgate", "python", "platform"}
    [problem] = [finding for finding in facts["findings"] if finding["level"] == "problem"]
    assert problem["about"] == "http://127.0.0.1:1 (m)"
    assert problem["mend"] == "check `base_url`, the network, and that the server runs"


def test_quiet_tells_only_problems(write, capsys):
    write()
    assert run_command(["doctor", "suite.json", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    write(items={"path": "gone.csv"})
    assert run_command(["doctor", "suite.json", "-q"]) == 2
    out, said = capsys.readouterr()
    assert (out, said.count("\n")) == ("", 1)
    assert said.startswith("headgate: items: ")


def test_what_it_repeats_acts_on_no_terminal(write, capsys):
    write(items={"path": f"{HOSTILE}.csv"}, scorers=[{"name": "s", "type": "python", "call": f"{HOSTILE}:f"}])
    for quiet in ([], ["-q"]):
        assert run_command(["doctor", "suite.json", *quiet]) == 2
        out, said = capsys.readouterr()
        assert "owned" in out + said
        assert not {"\x1b", "\x07"} & set(out + said)


def test_a_file_that_is_no_suite(write, capsys):
    write(modles=[])
    assert run_command(["doctor", "suite.json"]) == 2
    assert "did you mean 'models'?" in capsys.readouterr().out
