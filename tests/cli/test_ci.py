"""`headgate ci gitlab`, `--junit` and `init gitlab`, as a job calls them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

import command_line
from command_line import call_here
from fake_gitlab import TOKEN, FakeGitLab, serve
from hand_made_verdicts import make_row, make_verdict
from headgate.cli.main import run_command

PREDEFINED = {"CI_PROJECT_ID": "5", "CI_MERGE_REQUEST_IID": "12", "CI_JOB_URL": "https://gitlab.example/a/-/jobs/7"}


def job(**environ):
    """Return all that a job has in its environment."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **environ}


def call(*words, cwd, **environ):
    return call_here(*words, cwd=cwd, env=job(**environ))


def judged(folder, word, **changes):
    (folder / "run").mkdir(exist_ok=True)
    (folder / "run" / "verdict.json").write_bytes(make_verdict(make_row(word), **changes).to_json())


@pytest.mark.parametrize(("word", "code"), [("pass", 0), ("fail", 1), ("inconclusive", 20), ("invalid", 3)])
def test_it_leaves_with_the_code_of_the_verdict(tmp_path, word, code):
    judged(tmp_path, word)
    ran = call("ci", "gitlab", "run", "--out", "reports", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (code, "")
    assert ran.stdout.splitlines() == [
        f"{word.upper()}: as the rows say", "reports in reports; note: this pipeline is for no merge request",
    ]  # fmt: skip
    assert f"HEADGATE_VERDICT={word}\n" in (tmp_path / "reports" / "verdict.env").read_text()


def test_so_does_a_process(tmp_path):
    judged(tmp_path, "fail")
    assert command_line.call("ci", "gitlab", "run", cwd=tmp_path, env=job()).returncode == 1


@pytest.mark.parametrize(("mapping", "code"), [("keep", 20), ("pass", 0), ("fail", 1)])
def test_on_inconclusive_maps_20(tmp_path, mapping, code):
    judged(tmp_path, "inconclusive")
    ran = call("ci", "gitlab", "run", "--on-inconclusive", mapping, "--json", cwd=tmp_path)
    facts = json.loads(ran.stdout)
    assert ran.returncode == facts["exit_code"] == code
    assert facts["verdict"] == "inconclusive"
    assert f"HEADGATE_EXIT_CODE={code}\n" in (tmp_path / "headgate-reports" / "verdict.env").read_text()


@pytest.mark.parametrize(("ended", "code"), [(None, 3), (0, 3), (2, 2), (130, 130)])
def test_without_a_verdict_it_reports_and_leaves_with_no_verdicts_code(tmp_path, ended, code):
    words = [] if ended is None else ["--ended", ended]
    ran = call("ci", "gitlab", "run", *words, cwd=tmp_path)
    assert ran.returncode == code
    assert ran.stdout.startswith("INVALID: no verdict: run/verdict.json is not there")
    assert ET.parse(tmp_path / "headgate-reports" / "junit.xml").getroot().get("errors") == "1"


def test_the_note_is_kept_and_a_token_is_never_shown(tmp_path):
    fake = FakeGitLab()
    judged(tmp_path, "fail", reason="@team it is worse")
    with serve(fake.answer) as url:
        environ = PREDEFINED | {"CI_API_V4_URL": f"{url}/api/v4", "HEADGATE_GITLAB_TOKEN": TOKEN}
        first = call("ci", "gitlab", "run", cwd=tmp_path, **environ)
        judged(tmp_path, "pass")
        again = call("ci", "gitlab", "run", cwd=tmp_path, **environ)
    assert (first.returncode, again.returncode) == (1, 0)
    assert first.stdout.endswith("note: written\n")
    assert again.stdout.endswith("note: replaced\n")
    (note,) = fake.notes
    assert "## ✅ headgate: pass" in note["body"]
    assert note["body"].endswith("[Reports and rows of this job](https://gitlab.example/a/-/jobs/7)\n")
    assert TOKEN not in first.stdout + first.stderr + again.stdout + again.stderr


@pytest.mark.parametrize(
    ("fault", "said"),
    [((403, {}, b"{}"), "answers 403"), ((302, {"Location": "https://x"}, b""), "answers 302")],
)
def test_a_note_that_is_refused_is_a_warning(tmp_path, fault, said):
    fake = FakeGitLab()
    fake.faults = [fault]
    judged(tmp_path, "pass")
    with serve(fake.answer) as url:
        environ = PREDEFINED | {"CI_API_V4_URL": f"{url}/api/v4", "MY_TOKEN": TOKEN}
        ran = call("ci", "gitlab", "run", "--token", "env:MY_TOKEN", cwd=tmp_path, **environ)
    assert ran.returncode == 0
    assert ran.stderr.startswith("headgate: warning: no note: ")
    assert said in ran.stderr
    assert ran.stdout.endswith("note: refused\n")


def test_no_request_is_made_without_a_token_or_when_it_is_not_asked_for(tmp_path):
    fake = FakeGitLab()
    judged(tmp_path, "pass")
    with serve(fake.answer) as url:
        environ = PREDEFINED | {"CI_API_V4_URL": f"{url}/api/v4"}
        ran = call("ci", "gitlab", "run", cwd=tmp_path, **environ)
        assert ran.stdout.endswith("note: env:HEADGATE_GITLAB_TOKEN is not set\n")
        ran = call("ci", "gitlab", "run", "--note", "never", cwd=tmp_path, HEADGATE_GITLAB_TOKEN=TOKEN, **environ)
        assert ran.stdout.endswith("note: not asked for\n")
    assert fake.requests == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--note", "always"), "--note: 'always' is unknown; use auto or never"),
        (("--on-inconclusive", "maybe"), "--on-inconclusive: 'maybe' is unknown; use keep, pass or fail"),
    ],
)
def test_a_wrong_option_is_a_usage_error(tmp_path, words, said):
    judged(tmp_path, "pass")
    ran = call("ci", "gitlab", "run", *words, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (2, f"headgate: {said}\n")


def test_a_token_that_is_no_reference_is_not_shown_in_clear_and_stops_nothing_else(tmp_path):
    judged(tmp_path, "pass")
    ran = call("ci", "gitlab", "run", "--token", "MY_TOKEN", cwd=tmp_path)
    assert ran.returncode == 2
    assert "--token" in ran.stderr


def test_a_token_that_can_be_none_is_a_warning(tmp_path):
    judged(tmp_path, "pass")
    environ = PREDEFINED | {"CI_API_V4_URL": "http://127.0.0.1:9", "HEADGATE_GITLAB_TOKEN": "glpat\u00e9"}
    ran = call("ci", "gitlab", "run", cwd=tmp_path, **environ)
    assert ran.returncode == 0
    assert "warning: no note: " in ran.stderr
    assert "glpat" not in ran.stderr


def test_gate_and_check_write_junit(tmp_path):
    assert run_command(["init", str(tmp_path), "--quiet"]) == 0
    suite, run = tmp_path / "suite.yaml", tmp_path / "run"
    codes = [
        run_command(["check", str(suite), "--out", str(run), "--junit", str(tmp_path / "a" / "check.xml"), "--quiet"]),
        run_command(["gate", str(run), "--junit", str(tmp_path / "gate.xml"), "--quiet"]),
    ]
    assert set(codes) <= {0, 20}
    for name in ("a/check.xml", "gate.xml"):
        (group,) = ET.parse(tmp_path / name).getroot()
        assert group.get("name") == "support-bot"
        assert [case.get("classname") for case in group] == ["headgate.blocking"] * 2 + ["headgate.warning"]


def test_init_gitlab_writes_the_pipeline_beside_the_suite(tmp_path):
    ran = call("init", "gitlab", "bot", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert {".gitlab-ci.yml", ".gitlab", "suite.yaml", "prompts", "data", "scorers.py"} == {
        path.name for path in (tmp_path / "bot").iterdir()
    }
    assert ran.stdout.endswith("next: headgate check bot/suite.yaml, then commit and push\n")
    ran = call("init", "gitlab", "bot", cwd=tmp_path)
    assert ran.returncode == 2
    assert "exists already" in ran.stderr


def test_init_takes_a_folder_alone_or_a_known_system(tmp_path):
    assert call("init", "bot", cwd=tmp_path).returncode == 0
    assert (tmp_path / "bot" / "suite.yaml").exists()
    ran = call("init", "jenkins", "bot2", cwd=tmp_path)
    assert ran.returncode == 2
    assert "'jenkins' is no CI system that headgate writes files for" in ran.stderr
    assert not (tmp_path / "bot2").exists()


BASELINE = """
name: sums
items: [{id: a, q: "1 + 1", target: "2"}, {id: b, q: "2 + 2", target: "4"}]
prompts: {old: "{{ q }}", new: "Sum: {{ q }}"}
models: [{id: m, provider: simulated, simulate: {latency_s: 0}}]
scorers: [{name: correct, type: exact_match}]
compare: {baseline: {prompt: old}, candidate: {prompt: new}}
gates: [{metric: correct, margin: 0.1}]
"""


def test_a_baseline_goes_to_the_package_registry_and_comes_back(tmp_path):
    (tmp_path / "suite.yaml").write_text(BASELINE)
    fake = FakeGitLab()
    fake.duplicates = False
    with serve(fake.answer) as url:
        given = {**PREDEFINED, "CI_API_V4_URL": f"{url}/api/v4", "CI_JOB_TOKEN": TOKEN}
        none = call("ci", "gitlab-pull", "suite.yaml", "--out", "found", cwd=tmp_path, **given)
        assert (none.returncode, (tmp_path / "found").exists()) == (3, False)
        assert "the package registry has no baseline with key" in none.stderr
        assert call("run", "suite.yaml", "--arm", "baseline", "--out", "drawn", cwd=tmp_path).returncode == 0
        pushed = json.loads(call("ci", "gitlab-push", "drawn", "--json", cwd=tmp_path, **given).stdout)
        assert pushed["is_new"]
        again = json.loads(call("ci", "gitlab-push", "drawn", "--json", cwd=tmp_path, **given).stdout)
        assert again == {"key": pushed["key"], "is_new": False}
        found = call("ci", "gitlab-pull", "suite.yaml", "--out", "found", "--json", cwd=tmp_path, **given)
    assert json.loads(found.stdout) == {"key": pushed["key"], "run": "found"}
    assert all(headers["job-token"] == TOKEN for _, _, headers, _ in fake.requests)
    checked = call("check", "suite.yaml", "--baseline", "found", "--out", "run", "--json", cwd=tmp_path)
    assert json.loads(checked.stdout)["baseline"]["run"] == "found"
    assert TOKEN not in found.stdout + found.stderr + none.stderr


def test_what_is_no_baseline_is_none_in_the_registry_either(tmp_path):
    (tmp_path / "suite.yaml").write_text(BASELINE)
    call("run", "suite.yaml", "--limit", "1", "--out", "run", cwd=tmp_path)
    refused = call("ci", "gitlab-push", "run", cwd=tmp_path, CI_JOB_TOKEN=TOKEN, CI_PROJECT_ID="5")
    assert refused.returncode == 3
    assert "only a run that is finished and whole can be a baseline" in refused.stderr


def test_outside_a_job_it_says_what_is_missing(tmp_path):
    (tmp_path / "suite.yaml").write_text(BASELINE)
    ran = call("ci", "gitlab-pull", "suite.yaml", "--out", "found", cwd=tmp_path)
    assert (ran.returncode, "CI_JOB_TOKEN" in ran.stderr) == (2, True)
