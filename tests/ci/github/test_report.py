"""A run, or a fork's artifact, goes to outputs, summary, annotations and comment, and decides the exit code."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from github_api import TOKEN, serving
from github_runner import read_pairs
from headgate.ci.github.comment import Written, marker
from headgate.ci.github.environment import read_environment
from headgate.ci.github.report import exit_code, report_artifact, report_run
from headgate.errors import ConfigError, HeadgateError
from made_verdicts import ATTACKS, VERDICTS, attacked

SHA = "a" * 40
FORK = {"full_name": "eve/bot", "owner": {"login": "eve"}}
PULL = {"pull_request": {"number": 12, "head": {"sha": SHA, "repo": FORK}}}
RUN = {
    "workflow_run": {
        "id": 7,
        "name": "headgate",
        "event": "pull_request",
        "head_sha": SHA,
        "head_branch": "fix",
        "html_url": "https://github.com/shop/bot/actions/runs/7",
        "head_repository": FORK,
    }
}


@pytest.fixture
def github():
    with serving() as fake:
        fake.pulls = [{"number": 12, "head": {"sha": SHA, "ref": "fix", "repo": FORK}}]
        yield fake


def environment(folder: Path, *, event_name="pull_request", event=PULL, api="http://127.0.0.1:9", token=TOKEN):
    (folder / "event.json").write_text(json.dumps(event))
    return read_environment(
        {
            "GITHUB_EVENT_NAME": event_name,
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_REPOSITORY": "shop/bot",
            "GITHUB_RUN_ID": "77",
            "GITHUB_API_URL": api,
            "GITHUB_WORKSPACE": str(folder),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "GITHUB_TOKEN": token,
        }
    )


def written(folder, verdict):
    (folder / "run").mkdir(exist_ok=True)
    path = folder / "run" / "verdict.json"
    path.write_bytes(verdict.to_json())
    return path


@pytest.mark.parametrize(
    ("name", "inconclusive", "fail", "never"),
    [("pass", 0, 0, 0), ("fail", 1, 1, 0), ("inconclusive", 20, 0, 0), ("invalid", 3, 3, 0)],
)
def test_what_fails_the_step(name, inconclusive, fail, never):
    codes = (
        exit_code(VERDICTS[name], "inconclusive"),
        exit_code(VERDICTS[name], "fail"),
        exit_code(VERDICTS[name], "never"),
    )
    assert codes == (inconclusive, fail, never)


@pytest.mark.parametrize("fail_on", ["inconclusive", "fail", "never"])
def test_without_a_verdict_nothing_passes(fail_on):
    assert exit_code(None, fail_on) == 3


def test_a_run_reaches_every_place(tmp_path, github):
    path = written(tmp_path, VERDICTS["fail"])
    page = tmp_path / "page.md"
    report = report_run(tmp_path / "run", environment(tmp_path, api=github.url), key="bot", ended=1, summary=page)
    assert report.exit_code == 1
    assert report.comment is not None
    assert report.comment.action == "created"
    outputs = read_pairs(tmp_path / "output")
    assert outputs == {
        "verdict": "fail",
        "exit-code": "1",
        "reason": outputs["reason"],
        "report": str(path),
        "summary": str(page),
        "digest": VERDICTS["fail"].candidate.prompt_digests["new"],
        "baseline-digest": VERDICTS["fail"].baseline.prompt_digests["old"],
        "cost-usd": "",
        "n": "60",
    }
    assert outputs["reason"].startswith("correct on m: the candidate is worse")
    assert (tmp_path / "summary").read_text() == page.read_text() + "\n"
    assert "## ❌ headgate: fail" in page.read_text()
    (comment,) = github.comments
    assert comment["body"].startswith(f"{marker('bot')}\n## ❌ headgate: fail")
    assert "https://github.com/shop/bot/actions/runs/77" in comment["body"]
    assert report.annotations[0].startswith("::error title=headgate%3A fail%3A correct::")


def test_a_run_without_a_verdict_is_told_everywhere_too(tmp_path, github):
    report = report_run(tmp_path / "run", environment(tmp_path, api=github.url), ended=2, fail_on="never")
    assert report.exit_code == 3
    outputs = read_pairs(tmp_path / "output")
    assert (outputs["verdict"], outputs["exit-code"], outputs["report"], outputs["n"]) == ("none", "3", "", "0")
    assert "exit code 2: a usage or configuration error" in outputs["reason"]
    assert "no verdict" in (tmp_path / "summary").read_text()
    assert "no verdict" in github.comments[0]["body"]
    assert report.annotations[0].startswith("::error::headgate: no verdict")


def test_a_run_that_crashes_takes_the_place_of_the_verdict_before(tmp_path, github):
    path = written(tmp_path, VERDICTS["pass"])
    place = environment(tmp_path, api=github.url)
    assert report_run(tmp_path / "run", place).comment == Written("created")
    path.unlink()
    assert report_run(tmp_path / "run", place, ended=3).comment == Written("updated")
    (comment,) = github.comments
    assert "headgate: no verdict" in comment["body"]
    other = report_run(tmp_path / "other", place, ended=3)
    assert other.comment == Written("created")


@pytest.mark.parametrize("name", ["pass", "fail"])
def test_a_token_that_may_not_write_changes_no_exit_code(tmp_path, github, name):
    github.read_only = True
    written(tmp_path, VERDICTS[name])
    report = report_run(tmp_path / "run", environment(tmp_path, api=github.url))
    assert report.exit_code == VERDICTS[name].exit_code
    assert report.comment is not None
    assert report.comment.action == "refused"
    assert "## " in (tmp_path / "summary").read_text()


def test_no_token_and_no_repository_are_refusals(tmp_path):
    written(tmp_path, VERDICTS["pass"])
    report = report_run(tmp_path / "run", environment(tmp_path, token=""))
    assert report.comment is not None
    assert report.comment.problem == "there is no token in GITHUB_TOKEN"


@pytest.mark.parametrize("options", [{"event_name": "push", "event": {}}, {"token": TOKEN}])
def test_no_comment_is_asked_for_where_there_is_no_place_or_none_is_wanted(tmp_path, github, options):
    written(tmp_path, VERDICTS["pass"])
    place = environment(tmp_path, api=github.url, **options)
    assert report_run(tmp_path / "run", place, comment=options.get("event") is not None).comment is None
    assert github.requests == []


def test_outside_github_it_reports_as_far_as_there_are_places(tmp_path):
    written(tmp_path, VERDICTS["pass"])
    report = report_run(tmp_path / "run", read_environment({}))
    assert (report.exit_code, report.comment, report.summary_file) == (0, None, None)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_acts_in_any_place(tmp_path, github, attack):
    written(tmp_path, attacked(VERDICTS["fail"], attack))
    report_run(tmp_path / "run", environment(tmp_path, api=github.url), key=attack)
    outputs = read_pairs(tmp_path / "output")
    assert set(outputs) == {
        "verdict", "exit-code", "reason", "report", "summary", "digest", "baseline-digest", "cost-usd", "n"
    }  # fmt: skip
    assert outputs["verdict"] == "fail"
    assert all(len(value) <= 300 for name, value in outputs.items() if name not in {"report", "summary"})
    body = github.comments[0]["body"].split("\n", 1)[1]
    for place in (body, (tmp_path / "summary").read_text()):
        assert not {"`", "<", "@", "\x1b"} & set(place)
        assert "${{" not in place


def git(folder, *words):
    command = [
        "git",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "commit.gpgsign=false",
        "-C",
        str(folder),
        *words,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A repository with a base commit, a head commit on it, and a merge of both checked out."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "base")
    git(folder, "checkout", "-q", "-b", "fix")
    git(folder, "commit", "-q", "--allow-empty", "-m", "head")
    git(folder, "checkout", "-q", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "more")
    git(folder, "merge", "-q", "--no-ff", "-m", "merge", "fix")
    return folder


@pytest.mark.parametrize("revision", ["fix", "main"])
@pytest.mark.parametrize("is_shallow", [False, True])
def test_a_strangers_code_beside_secrets_is_refused(tmp_path, checkout, revision, is_shallow):
    head = git(checkout, "rev-parse", "fix")
    git(checkout, "checkout", "-q", revision)
    folder = checkout
    if is_shallow:
        folder = tmp_path / "shallow"
        git(tmp_path, "clone", "-q", "--depth", "1", f"file://{checkout}", str(folder))
    event = {"pull_request": {"number": 12, "head": {"sha": head}}}
    place = replace(environment(tmp_path, event_name="pull_request_target", event=event), workspace=folder)
    written(tmp_path, VERDICTS["pass"])
    with pytest.raises(
        HeadgateError, match="pull_request_target: the checkout is the pull request's own code"
    ) as caught:
        report_run(tmp_path / "run", place)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "output").exists()
    assert report_run(tmp_path / "run", place, trust_head=True, comment=False).exit_code == 0


def test_base_code_is_not_refused(tmp_path, checkout):
    head = git(checkout, "rev-parse", "fix")
    git(checkout, "checkout", "-q", "main~1")
    event = {"pull_request": {"number": 12, "head": {"sha": head}}}
    place = replace(environment(tmp_path, event_name="pull_request_target", event=event), workspace=checkout)
    written(tmp_path, VERDICTS["pass"])
    assert report_run(tmp_path / "run", place, comment=False).exit_code == 0


def from_artifact(folder, github, *, event=RUN, event_name="workflow_run", **options):
    return report_artifact(
        folder / "run", environment(folder, event_name=event_name, event=event, api=github.url), **options
    )


def test_a_forks_verdict_becomes_the_comment(tmp_path, github):
    written(tmp_path, VERDICTS["fail"])
    report = from_artifact(tmp_path, github)
    assert (report.exit_code, report.comment.action, report.annotations) == (0, "created", [])
    (comment,) = github.comments
    assert comment["body"].startswith(marker("headgate"))
    assert "whoever opened it could change it" in comment["body"]
    assert "https://github.com/shop/bot/actions/runs/7)" in comment["body"]
    assert read_pairs(tmp_path / "output")["verdict"] == "fail"
    assert from_artifact(tmp_path, github).comment.action == "updated"


def test_a_fork_whose_run_left_nothing_gets_a_comment_too(tmp_path, github):
    assert from_artifact(tmp_path, github).exit_code == 0
    assert "the run left no verdict&#46;json" in github.comments[0]["body"]


def test_a_head_that_was_pushed_over_gets_none(tmp_path, github):
    written(tmp_path, VERDICTS["pass"])
    github.pulls[0]["head"]["sha"] = "b" * 40
    report = from_artifact(tmp_path, github)
    assert (report.exit_code, report.comment.action, github.comments) == (0, "skipped", [])
    assert report.comment.problem == "no open pull request has this head any more"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_comment_that_does_not_come_about_fails_the_job_that_is_there_for_it(tmp_path, github, method):
    written(tmp_path, VERDICTS["pass"])
    github.failures.append((method, 403, {}))
    if method == "POST":
        github.read_only = True
    report = from_artifact(tmp_path, github)
    assert (report.exit_code, report.comment.action) == (3, "refused")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "a verdict cannot be read from it"),
        (b'{"schema": "headgate.verdict/v1", "verdict": "pass"}', "missing required field"),
        (VERDICTS["fail"].to_json().replace(b'"exit_code": 1', b'"exit_code": 0'), "exit_code: 0 is not that of fail"),
    ],
)
def test_an_artifact_that_is_no_verdict_is_refused_before_anything_is_told(tmp_path, github, content, problem):
    written(tmp_path, VERDICTS["pass"]).write_bytes(content)
    with pytest.raises(ConfigError, match=problem):
        from_artifact(tmp_path, github)
    assert github.requests == []
    assert not (tmp_path / "summary").exists()


def test_an_artifact_that_points_elsewhere_is_refused(tmp_path, github):
    path = written(tmp_path, VERDICTS["pass"])
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ConfigError, match="is not a plain file"):
        from_artifact(tmp_path, github)
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="is not a plain file"):
        from_artifact(tmp_path, github)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"event_name": "pull_request", "event": PULL}, "GITHUB_EVENT_NAME: 'pull_request' is not workflow_run"),
        (
            {"event": {"workflow_run": RUN["workflow_run"] | {"event": "push"}}},
            "workflow_run.event: 'push' is not pull_request",
        ),
    ],
)
def test_an_artifact_is_reported_in_the_second_half_of_the_pair_only(tmp_path, github, options, problem):
    with pytest.raises(ConfigError, match=problem):
        from_artifact(tmp_path, github, **options)


def test_an_artifact_needs_a_token(tmp_path):
    with pytest.raises(ConfigError, match="GITHUB_TOKEN: is not set"):
        report_artifact(tmp_path, environment(tmp_path, event_name="workflow_run", event=RUN, token=""))
