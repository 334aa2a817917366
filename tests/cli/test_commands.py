"""The commands as a user runs them: exit codes, stdout and stderr; in a process where a pipeline goes by the code."""

from __future__ import annotations

import json

import jsonschema
import pytest

from command_line import call, call_here
from headgate.cli.main import run_command
from headgate.decide.verdict import Verdict, verdict_schema


def declared(accuracy, *, gates=None, n_items=120, seeds=2):
    return {
        "name": "sums",
        "items": {"rows": [{"question": f"{n} + 1", "target": n + 1} for n in range(n_items)]},
        "prompts": {"old": "{{ question }}", "new": "Sum: {{ question }}"},
        "models": [
            {"id": "small", "provider": "simulated", "simulate": {"accuracy": accuracy, "latency_s": 0.001}},
        ],
        "seeds": seeds,
        "scorers": [{"name": "correct", "type": "numeric"}],
        "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        "gates": gates or [{"metric": "correct", "margin": 0.1}],
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three finished runs: an equal candidate, a worse one, and one of few items."""
    folder = tmp_path_factory.mktemp("runs")
    suites = {
        "equal": declared({"old": 0.9, "new": 0.9}),
        "worse": declared({"old": 0.9, "new": 0.5}),
        "few": declared({"old": 0.9, "new": 0.9}, n_items=8),
    }
    for name, suite in suites.items():
        (folder / f"{name}.json").write_text(json.dumps(suite))
        assert run_command(["run", str(folder / f"{name}.json"), "--out", str(folder / name), "--quiet"]) == 0
    return folder


@pytest.mark.parametrize(
    ("name", "verdict", "code"), [("equal", "PASS", 0), ("worse", "FAIL", 1), ("few", "INCONCLUSIVE", 20)]
)
def test_gate_leaves_with_the_code_of_its_verdict_and_writes_it(runs, name, verdict, code):
    ran = call("gate", runs / name)
    assert ran.returncode == code, ran.stderr
    assert ran.stdout.startswith(verdict)
    written = json.loads((runs / name / "verdict.json").read_bytes())
    jsonschema.validate(written, verdict_schema())
    assert (written["verdict"], written["exit_code"]) == (verdict.lower(), code)


@pytest.mark.parametrize(("word", "code"), [("keep", 20), ("pass", 0), ("fail", 1)])
def test_on_inconclusive_maps_20_and_nothing_else(runs, word, code):
    assert call_here("gate", runs / "few", "--on-inconclusive", word, "--quiet").returncode == code
    assert call_here("gate", runs / "worse", "--on-inconclusive", word, "--quiet").returncode == 1


def test_gate_prints_json_and_writes_where_it_is_told(runs, tmp_path):
    ran = call_here(
        "gate", runs / "equal", "--json", "--verdict", tmp_path / "deep" / "v.json", "--markdown", tmp_path / "v.md"
    )
    assert Verdict.from_json(ran.stdout).verdict == "pass"
    assert Verdict.from_json((tmp_path / "deep" / "v.json").read_bytes()).verdict == "pass"
    assert (tmp_path / "v.md").read_text().startswith("## ✅ headgate: pass")


def test_gate_against_another_run(runs, tmp_path):
    other = declared({"old": 0.9, "new": 0.5})
    del other["compare"]
    for name, accuracy in (("main", 0.9), ("change", 0.5)):
        other["prompts"] = {"bot": "{{ question }}"}
        other["models"][0]["simulate"]["accuracy"] = accuracy
        (tmp_path / f"{name}.json").write_text(json.dumps(other))
        assert run_command(["run", str(tmp_path / f"{name}.json"), "--out", str(tmp_path / name), "--quiet"]) == 0
    ran = call_here("gate", tmp_path / "change", "--baseline", tmp_path / "main")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    mismatched = call_here("gate", runs / "equal", "--baseline", runs / "few")
    assert mismatched.returncode == 3
    assert "items" in mismatched.stdout


def test_another_candidate_is_judged_on_request(runs):
    ran = call_here("gate", runs / "equal", "--candidate", "prompt=old")
    assert ran.returncode == 2
    assert ran.stderr == "headgate: --candidate: 'old' is the baseline; choose another arm\n"


def test_run_prints_facts_as_json_and_resumes(runs):
    ran = call_here("run", runs / "equal.json", "--out", runs / "equal", "--json")
    assert json.loads(ran.stdout) == {
        "run": str(runs / "equal"), "planned": 480, "counts": {"ok": 480, "error": 0, "refused": 0}, "cost_usd": None,
        "unpriced": 480, "lost": [],
    }  # fmt: skip


def test_show_and_compare(runs):
    shown = call_here("show", runs / "equal")
    assert "480 jobs: 480 ok, 0 refused, 0 errors, 0 not run" in shown.stdout
    facts = json.loads(call_here("show", runs / "equal", "--json").stdout)
    estimate = next(e for e in facts["estimates"] if e["metric"] == "correct" and e["prompt"] == "new")["estimate"]
    assert estimate["low"] < estimate["value"] < estimate["high"]
    assert 0.8 < estimate["value"] < 1
    compared = json.loads(call_here("compare", runs / "worse", runs / "equal", "--metric", "correct", "--json").stdout)
    differences = {d["prompt"]: d["estimate"]["value"] for d in compared["differences"]}
    assert differences["new"] < -0.2
    assert differences["old"] == 0


def test_score_again(runs):
    before = sorted((runs / "equal" / "scores").iterdir())
    ran = call_here("score", runs / "equal")
    assert ran.returncode == 0, ran.stderr
    assert sorted((runs / "equal" / "scores").iterdir()) == before


def test_score_with_new_scorers_and_gate_with_them(runs, tmp_path):
    suite = declared({"old": 0.9, "new": 0.9}, gates=[{"metric": "short", "min": 0.9}])
    suite["scorers"].append({"name": "short", "type": "python", "call": "grades:short"})
    (tmp_path / "grades.py").write_text("def short(output, item):\n    return len(output) < 10\n")
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    early = call_here("gate", runs / "equal", "--suite", tmp_path / "suite.json")
    assert early.returncode == 2
    assert "has no scores of short as declared now; run: headgate score" in early.stderr
    assert call_here("score", runs / "equal", "--suite", tmp_path / "suite.json").returncode == 0
    assert (
        call_here(
            "gate", runs / "equal", "--suite", tmp_path / "suite.json", "--verdict", tmp_path / "v.json"
        ).returncode
        == 0
    )


def test_verify_finds_a_changed_file(runs, tmp_path):
    import shutil

    copy = shutil.copytree(runs / "worse", tmp_path / "copy")
    assert call_here("verify", copy).returncode == 0
    part = next((copy / "results").iterdir())
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    ran = call_here("verify", copy)
    assert ran.returncode == 3
    assert part.name in ran.stderr


def test_a_part_of_a_run_is_unfinished_and_not_damaged(runs, tmp_path):
    assert call_here("run", runs / "equal.json", "--out", tmp_path / "part", "--limit", "3", "--quiet").returncode == 0
    assert call_here("verify", tmp_path / "part").returncode == 0
    gated = call_here("gate", tmp_path / "part", "--json")
    assert gated.returncode == 20
    assert json.loads(gated.stdout)["errors"]["candidate"]["not_run"] == 240 - 6


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "no-such.yaml"], "no-such.yaml: there is no such file"),
        (["gate", "no-such-run"], "no-such-run: is not a run directory: it has no manifest.json"),
        (["show", "."], ".: is not a run directory: it has no manifest.json"),
        (
            ["gate", "RUN", "--on-inconclusive", "maybe"],
            "--on-inconclusive: 'maybe' is unknown; use keep, pass or fail",
        ),
        (["gate", "RUN", "--candidate", "new"], "--candidate: 'new' is no arm; write it like prompt=NAME"),
        (["compare", "RUN", "RUN", "--confidence", "2"], "--confidence: 2.0 is not between 0.5 and 1"),
    ],
)
def test_usage_errors_are_2_and_name_what_is_wrong(runs, tmp_path, words, said):
    words = [str(runs / "equal") if word == "RUN" else word for word in words]
    ran = call_here(*words, cwd=tmp_path)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    "words", [["no-such-command"], ["run"], ["run", "--no-such-option", "x"], ["run", "x", "--limit", "0"]]
)
def test_bad_arguments_are_2(words):
    ran = call_here(*words)
    assert ran.returncode == 2
    assert "Usage" in ran.stderr


def test_a_fault_of_headgate_is_never_a_verdict(monkeypatch, capsys):
    import headgate.cli.commands

    def broken(*args, **kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(headgate.cli.commands, "show_run", broken)
    assert run_command(["show", "."]) == 3
    assert "this is a fault of headgate" in capsys.readouterr().err


def test_the_version():
    assert call("--version").stdout.startswith("headgate 0.")


def test_help_names_every_command():
    ran = call("--help")
    assert ran.returncode == 0
    for command in ("demo", "init", "run", "score", "gate", "show", "compare", "verify"):
        assert f"\n  {command} " in ran.stdout


def priced(n_items=120, **changes):
    """A suite whose jobs cost cents."""
    suite = declared({"old": 0.9, "new": 0.9}, n_items=n_items, seeds=1)
    price = {"input_usd_per_million": 1000.0, "output_usd_per_million": 2000.0}
    suite["models"][0] |= {"price": price, "params": {"max_tokens": 8}}
    return {**suite, **changes}


def test_a_max_cost_that_cannot_be_held_is_refused(tmp_path):
    (tmp_path / "suite.json").write_text(json.dumps({**declared(0.9), "budget": {"max_cost_usd": 5}}))
    ran = call_here("run", "suite.json", cwd=tmp_path)
    assert ran.returncode == 2
    assert (
        "models.0.price: the price of 'small' is not known, and the run has a cap (max_cost_usd); declare" in ran.stderr
    )
    assert not (tmp_path / "runs" / "sums").exists()


@pytest.fixture
def here(tmp_path):
    """Run commands in a folder of their own: exit code, stdout and stderr."""

    def said(*words):
        ran = call_here(*words, cwd=tmp_path)
        return ran.returncode, ran.stdout, ran.stderr

    return said


def test_a_run_ends_at_its_cap_and_says_how_it_stands(tmp_path, here):
    (tmp_path / "suite.json").write_text(json.dumps(priced()))
    code, out, err = here("run", "suite.json", "--out", "run", "--max-cost", "1.25")
    assert (code, out) == (130, "")
    assert "headgate: the cap of $1.25 is reached, raise it to go on (" in err
    assert "| cost $1." in err  # the last line of progress
    assert "of $1.25 |" in err
    assert "To resume: headgate run suite.json --out run" in err
    shown = json.loads(here("show", "run", "--json")[1])
    assert 1.0 < shown["cost_usd"] <= 1.25
    assert shown["manifest"]["prices"]["small"]["source"] == "suite"
    code, out, _ = here("run", "suite.json", "--out", "run", "--max-cost", "100", "--json")
    facts = json.loads(out)
    assert (code, facts["counts"]["ok"], facts["unpriced"]) == (0, 240, 0)
    assert f"\ncost ${facts['cost_usd']:.2f}\n" in here("run", "suite.json", "--out", "run")[1]
    assert f"\ncost ${facts['cost_usd']:.2f}\n" in here("show", "run")[1]
    code, _, err = here("run", "suite.json", "--out", "run", "--max-cost", "0")
    assert (code, "max_cost_usd: 0.0 is no amount to spend" in err) == (2, True)


def test_a_check_ends_at_its_cap_inconclusive(tmp_path, here):
    (tmp_path / "suite.json").write_text(json.dumps(priced(400, gates=[{"metric": "correct", "margin": 0.05}])))
    code, out, err = here("check", "suite.json", "--out", "run", "--max-cost", "12")
    assert code == 20, err
    assert out.startswith("INCONCLUSIVE")
    assert "headgate: the cap of $12.00 is reached, raise it to go on (" in err
    assert "; the run can be resumed\n" in err
    assert "are left\ncost $11." in out
    written = json.loads((tmp_path / "run" / "verdict.json").read_bytes())
    assert written["metrics"][0]["needed_items"] > 0


def test_a_server_that_bills_more_than_it_may_is_named_even_if_quiet(tmp_path, here):
    (tmp_path / "bot.py").write_text(
        "def answer(messages):\n    return {'output': '1', 'input_tokens': 9, 'output_tokens': 900}\n"
    )
    suite = priced()
    price, params = (suite["models"][0][name] for name in ("price", "params"))
    suite["models"] = [{"id": "bot", "provider": "python", "call": "bot:answer", "price": price, "params": params}]
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    code, _, err = here("run", "suite.json", "--out", "run", "--max-cost", "1000", "--quiet")
    assert code == 0
    assert err.count("headgate: model bot: an answer cost $1.81, and only $0.") == 1


def test_a_deadline_ends_the_run_resumable(tmp_path):
    suite = {**declared(0.9, n_items=2000), "budget": {"max_minutes": 0.02}}
    suite["models"][0]["simulate"]["latency_s"] = 0.2
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    ran = call("run", "suite.json", "--out", "run", cwd=tmp_path)
    assert ran.returncode == 130
    assert "To resume: headgate run suite.json --out run" in ran.stderr


def test_check_leaves_with_the_code_of_its_verdict_and_tells_each_look(runs, tmp_path):
    suite = tmp_path / "suite.json"
    suite.write_text(json.dumps(declared({"old": 0.95, "new": 0.5}, n_items=300, seeds=1)))
    ran = call("check", suite, "--out", tmp_path / "run", "--markdown", tmp_path / "v.md")
    assert ran.returncode == 1, ran.stderr
    assert ran.stdout.startswith("FAIL")
    assert ran.stdout.rstrip().endswith("1 look; 120 of 600 jobs, 480 were not needed")
    assert "look 1, 60 items: correct fail" in ran.stderr
    written = json.loads((tmp_path / "run" / "verdict.json").read_bytes())
    jsonschema.validate(written, verdict_schema())
    assert [look["n_items"] for look in written["looks"]] == [60]
    assert (tmp_path / "v.md").exists()
    again = call_here("check", suite, "--out", tmp_path / "run", "--json")
    assert Verdict.from_json(again.stdout).looks == Verdict.from_json(json.dumps(written)).looks


def test_plan_says_what_cannot_pass(runs):
    ran = call_here("plan", runs / "few.json")
    assert ran.returncode == 20
    assert "cannot pass with 8 items" in ran.stdout
    known = call_here("plan", runs / "equal.json", "--from", runs / "equal", "--json")
    facts = json.loads(known.stdout)
    assert known.returncode == (0 if facts["is_worth_it"] else 20)
    assert (facts["items"], facts["jobs"], facts["seeds"]) == (120, 480, 2)
    assert facts["gates"][0]["basis"] == f"as in {runs / 'equal'}"


def test_init_writes_a_pipeline_where_a_system_is_named(tmp_path):
    ran = call_here("init", "github", tmp_path / "shop")
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "shop" / ".github" / "workflows" / "headgate.yml").is_file()
    assert ran.stdout.splitlines()[-1] == f"next: headgate check {tmp_path}/shop/suite.yaml, then commit and push"
    assert call_here("init", "github", "--quiet", cwd=tmp_path).stdout == ""
    assert (tmp_path / ".github" / "actions" / "headgate" / "action.yml").is_file()
    again = call_here("init", "github", cwd=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_init_takes_a_known_system_or_a_folder_alone(tmp_path):
    ran = call_here("init", "gihtub", "shop", cwd=tmp_path)
    assert ran.returncode == 2
    assert (
        "init: 'gihtub' is no CI system that headgate writes files for; use argo, github, gitlab, "
        "tekton; or name the folder alone" in ran.stderr
    )
    assert list(tmp_path.iterdir()) == []
    assert call_here("init", "shop", cwd=tmp_path).returncode == 0
    assert {path.name for path in (tmp_path / "shop").iterdir()} == {"suite.yaml", "data", "prompts", "scorers.py"}
