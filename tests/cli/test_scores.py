"""``headgate gate`` on a file, and ``headgate export``, as a user runs them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import jsonschema
import pytest

from command_line import call_here
from headgate.cli.main import run_command
from headgate.decide.verdict import verdict_schema


@pytest.fixture
def files(tmp_path):
    rows = range(200)
    for name, right in {"baseline": 9, "equal": 9, "worse": 5}.items():
        lines = [f"q{n},{int(n % 10 < right)}" for n in rows]
        (tmp_path / f"{name}.csv").write_text("\n".join(["item_id,score", *lines]))
    (tmp_path / "few.csv").write_text("item_id,score\nq0,1\nq1,1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [
        ("equal", ["--baseline", "baseline.csv", "--margin", "0.05"], 0),
        ("worse", ["--baseline", "baseline.csv", "--margin", "0.05"], 1),
        ("worse", ["--min", "0.4"], 0),
        ("few", ["--min", "0.9"], 20),
        ("few", ["--min", "0.9", "--on-inconclusive", "pass"], 0),
        ("few", ["--baseline", "baseline.csv", "--margin", "0.05"], 3),
        ("equal", ["--margin", "0.05"], 2),
        ("equal", [], 2),
        ("equal", ["--score", "x", "--min", "0.5"], 2),
        ("equal", ["--min", "0.5", "--bounds", "1"], 2),
        ("equal", ["--min", "0.5", "--where", "model"], 2),
        ("equal", ["--min", "0.5", "--anchor", "runs/x"], 2),
        ("absent", ["--min", "0.5"], 2),
    ],
    ids=range(13),
)
def test_the_exit_code_is_that_of_the_verdict_and_nothing_is_written(files, name, options, code, capsys):
    before = sorted(files.iterdir())
    named = [files / word if word.endswith(".csv") else word for word in options]
    assert run_command(["gate", *map(str, [files / f"{name}.csv", *named])]) == code
    assert sorted(files.iterdir()) == before
    assert bool(capsys.readouterr().err) == (code == 2)


def test_the_verdict_goes_where_it_is_asked_for(files):
    ran = call_here(
        *["gate", "worse.csv", "--baseline", "baseline.csv", "--margin", "0.05", "--json"],
        *["--verdict", "out/v.json", "--markdown", "out/v.md", "--junit", "out/v.xml"],
        cwd=files,
    )
    assert ran.returncode == 1
    written = json.loads((files / "out/v.json").read_bytes())
    jsonschema.validate(written, verdict_schema())
    assert json.loads(ran.stdout) == written
    assert written["candidate"]["run"] == "worse.csv"
    assert (files / "out/v.md").read_text().startswith("##")
    cases = ET.parse(files / "out/v.xml").getroot().iter("testcase")
    assert [case.get("name") for case in cases] == ["score margin 0.05"]


def test_options_of_files_do_not_go_with_a_run(tmp_path, capsys):
    assert run_command(["gate", str(tmp_path), "--margin", "0.1"]) == 2
    assert "--margin: 0.1 goes with a file of scores, and this is a run" in capsys.readouterr().err


def test_export_says_what_it_wrote(tmp_path, capsys):
    suite = {
        "name": "sums",
        "items": [{"q": f"{n} + 1", "target": n + 1} for n in range(10)],
        "prompts": {"p": "{{ q }}"},
        "models": [{"id": "m", "provider": "simulated", "simulate": {"latency_s": 0}}],
        "scorers": [{"name": "correct", "type": "numeric"}],
    }
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    run, file = str(tmp_path / "run"), str(tmp_path / "run.jsonl")
    assert run_command(["run", str(tmp_path / "suite.json"), "--out", run, "--quiet"]) == 0
    assert run_command(["export", run, file, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run": run, "file": file, "rows": 10}
    assert run_command(["export", run, file]) == 2
    assert capsys.readouterr().err == f"headgate: {file}: is there already; remove it, or name another\n"
    assert run_command(["gate", file, "--score", "correct", "--min", "0.1", "--quiet"]) == 0
