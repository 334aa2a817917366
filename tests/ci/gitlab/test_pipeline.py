"""The component, executed by gitlab-ci-local: jobs, shards, artifacts, variables of later jobs, exit codes.

Run by ``nox -s gitlab_ci``, which installs it and names its folder in GITLAB_CI_LOCAL_HOME.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import headgate as hg
from fake_gitlab import FakeGitLab, serve
from headgate.ci.starter import write_pipeline

HOME = os.environ.get("GITLAB_CI_LOCAL_HOME")
NEXT = """
next:
  stage: deploy
  needs: [headgate]
  script:
    - echo "verdict=$HEADGATE_VERDICT code=$HEADGATE_EXIT_CODE failed=$HEADGATE_GATES_FAIL"
"""
pytestmark = [
    pytest.mark.skipif(HOME is None, reason="GITLAB_CI_LOCAL_HOME names no installation of gitlab-ci-local"),
    pytest.mark.skipif(shutil.which("rsync") is None, reason="gitlab-ci-local needs rsync"),
    pytest.mark.timeout(600),
]


@pytest.fixture
def repository(tmp_path):
    """What ``headgate init gitlab`` writes, in a repository, with a job that reads the verdict's variables."""
    write_pipeline("gitlab", tmp_path)
    change(tmp_path, "suite.yaml", "latency_s: 0.01", "latency_s: 0")
    with (tmp_path / ".gitlab-ci.yml").open("a") as file:
        file.write(NEXT)
    return tmp_path


def change(folder, name, old, new):
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def pipeline(folder, *words, code):
    """Commit, execute the pipeline of a merge request, and return what each job printed."""
    git = ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True)
    subprocess.run([*git, "remote", "add", "origin", "git@gitlab.example:acme/app.git"], check=True)
    tool = [f"{HOME}/node_modules/.bin/node", f"{HOME}/node_modules/gitlab-ci-local/dist/index.js"]
    # The schema of editors wants a tag; GitLab takes a job without one.
    options = ["--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source"]
    options += ["--ignore-schema-paths", "#/definitions/tags/minItems"]
    source = ["--variable", "CI_PIPELINE_SOURCE=merge_request_event", "--ignore-predefined-vars", "CI_PIPELINE_SOURCE"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ran = subprocess.run(
        [*tool, *options, *source, *words], cwd=folder, capture_output=True, text=True,
        env=os.environ | {"PATH": path, "NO_COLOR": "1", "PIP_NO_INDEX": "1"},
    )  # fmt: skip
    shown = re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout + ran.stderr)
    assert ran.returncode == code, shown
    return shown


def artifacts(folder, job="headgate"):
    return folder / ".gitlab-ci-local" / "artifacts" / job / ".headgate" / "headgate"


def check_reports(folder, word):
    """Read every report with a parser of its own."""
    reports = artifacts(folder) / "reports"
    (suite,) = ET.parse(reports / "junit.xml").getroot()
    assert suite.get("name") == "support-bot"
    assert len(suite) == 3
    families = text_string_to_metric_families((reports / "metrics.txt").read_text())
    states = next(family for family in families if family.name == "headgate_verdict")
    assert [sample.labels["headgate_verdict"] for sample in states.samples if sample.value] == [word]
    assert isinstance(json.loads((reports / "gl-code-quality.json").read_text()), list)
    return suite


def test_a_change_that_is_no_worse_passes_and_the_next_job_knows(repository):
    shown = pipeline(repository, code=0)
    assert re.search(r"PASS\s+headgate\b", shown)
    assert "verdict=pass code=0 failed=0" in shown
    check_reports(repository, "pass")
    assert hg.verify(artifacts(repository) / "run") == []


def test_a_bad_prompt_is_red_on_its_own_line(repository):
    change(repository, "suite.yaml", "accuracy: 0.9", "accuracy: { baseline: 0.9, candidate: 0.4 }")
    shown = pipeline(repository, code=0)  # see the next test
    assert re.search(r"FAIL\s+headgate\b", shown)
    assert re.search(r"headgate\s+finished in .* FAIL 1\b", shown)
    suite = check_reports(repository, "fail")
    assert suite.get("failures") == "1"
    (issue,) = json.loads((artifacts(repository) / "reports" / "gl-code-quality.json").read_text())
    assert issue["location"]["path"] == "prompts/candidate.prompt.yml"


def test_a_red_job_blocks_the_next(repository):
    """gitlab-ci-local shows such a job as failed, but lets the next one go on where `allow_failure` has exit codes.

    GitLab goes by the exit code. So the pipeline is executed without those two lines.
    """
    change(repository, "suite.yaml", "accuracy: 0.9", "accuracy: { baseline: 0.9, candidate: 0.4 }")
    change(repository, ".gitlab/headgate.yml", "  allow_failure:\n    exit_codes: [20]\n", "")
    shown = pipeline(repository, code=1)
    assert re.search(r"FAIL\s+headgate\b", shown)
    assert "verdict=fail" not in shown


def test_short_evidence_is_a_warning_and_the_pipeline_goes_on(repository):
    items = (repository / "data" / "items.jsonl").read_text().splitlines()[:8]
    (repository / "data" / "items.jsonl").write_text("\n".join(items) + "\n")
    shown = pipeline(repository, code=0)
    assert re.search(r"WARN\s+headgate\b", shown)
    assert "verdict=inconclusive code=20 failed=0" in shown
    check_reports(repository, "inconclusive")


def test_shards_are_merged_and_judged(repository):
    change(repository, ".gitlab-ci.yml", "# shards: 4", "shards: 2")
    shown = pipeline(repository, code=0)
    assert {"1", "2"} == set(re.findall(r"PASS\s+headgate-shard\W+(\d)/2", shown)), shown
    assert "verdict=pass code=0 failed=0" in shown
    check_reports(repository, "pass")
    run = hg.scan(artifacts(repository) / "run").collect()
    assert len(run) == 360
    assert run["job_id"].n_unique() == 360


def test_a_stored_baseline_is_not_asked_again(repository):
    suite = hg.load_suite(repository / "suite.yaml")
    hg.run(suite, out=repository / "baselines" / "main")
    change(repository, "suite.yaml", "policy: { alpha: 0.05 }", "policy: { alpha: 0.05, redraw: 0 }")
    change(repository, ".gitlab-ci.yml", "suite: suite.yaml", "suite: suite.yaml\n      baseline: baselines/main")
    shown = pipeline(repository, code=0)
    assert "180 of 180 jobs" in shown
    verdict = json.loads((artifacts(repository) / "run" / "verdict.json").read_text())
    assert verdict["baseline"]["run"] == "baselines/main"


@pytest.mark.parametrize("saved", [True, False])
def test_a_baseline_of_the_store_is_taken_where_one_fits(repository, tmp_path_factory, saved):
    store = tmp_path_factory.mktemp("store")
    change(repository, "suite.yaml", "policy: { alpha: 0.05 }", "policy: { alpha: 0.05, redraw: 0 }")
    change(repository, ".gitlab-ci.yml", "suite: suite.yaml", "suite: suite.yaml\n      baseline: auto")
    if saved:
        run = tmp_path_factory.mktemp("refreshed") / "run"
        words = ["baseline", "refresh", str(repository / "suite.yaml"), "--store", str(store), "--out", str(run)]
        subprocess.run([sys.executable, "-m", "headgate", *words, "--quiet"], check=True, cwd=store)
    shown = pipeline(repository, "--variable", f"HEADGATE_BASELINES={store}", code=0)
    assert ("180 of 180 jobs" if saved else "360 of 360 jobs") in shown
    check_reports(repository, "pass")


def test_a_registry_without_a_baseline_leaves_both_arms_to_be_asked(repository):
    change(repository, ".gitlab-ci.yml", "suite: suite.yaml", "suite: suite.yaml\n      baseline: registry")
    with serve(FakeGitLab().answer) as url:
        given = [f"CI_API_V4_URL={url}/api/v4", "CI_PROJECT_ID=5", "CI_JOB_TOKEN=of-the-job"]
        shown = pipeline(repository, *(word for one in given for word in ("--variable", one)), code=0)
    assert "the package registry has no baseline with key" in shown
    assert "360 of 360 jobs" in shown
    check_reports(repository, "pass")


def test_a_version_that_cannot_be_installed_is_no_verdict(repository):
    change(repository, ".gitlab-ci.yml", "suite: suite.yaml", "suite: suite.yaml\n      version: 99.9.9")
    shown = pipeline(repository, code=0)
    assert re.search(r"headgate\s+finished in .* FAIL 3\b", shown)


def test_a_mistake_in_the_suite_is_no_verdict_and_is_reported(repository):
    change(repository, "suite.yaml", "metric: correct", "metric: corect")
    shown = pipeline(repository, code=0)
    assert re.search(r"headgate\s+finished in .* FAIL 2\b", shown)
    assert "the command ended with exit code 2: a usage or configuration error" in shown
    (suite,) = ET.parse(artifacts(repository) / "reports" / "junit.xml").getroot()
    assert suite.get("errors") == "1"
    assert "HEADGATE_EXIT_CODE=2" in (artifacts(repository) / "reports" / "verdict.env").read_text()


@pytest.mark.parametrize("value", ["'x\"; touch pwned #'", "'$(touch pwned)'", "[a]"])
def test_an_input_that_could_act_makes_no_pipeline(repository, value):
    change(repository, ".gitlab-ci.yml", "suite: suite.yaml", f"suite: {value}")
    shown = pipeline(repository, code=1)
    assert "suite" in shown
    assert not list(repository.rglob("pwned"))
    assert "finished in" not in re.sub(r"(?m)^parsing.*$", "", shown)
