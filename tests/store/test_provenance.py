import subprocess

import pytest

from headgate.store import provenance
from headgate.store.provenance import Git, ci_url, git_state, hide_secrets, versions


def git(folder, *arguments):
    identity = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "init.defaultBranch=trunk",
    ]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


def test_git_clean_dirty_and_detached(repository):
    commit = git(repository, "rev-parse", "HEAD")
    assert git_state(repository) == Git(commit=commit, branch="trunk", dirty=False)
    (repository / "untracked").touch()
    assert git_state(repository) == Git(commit=commit, branch="trunk", dirty=False)
    (repository / "a").write_text("2")
    assert git_state(repository) == Git(commit=commit, branch="trunk", dirty=True)
    git(repository, "checkout", "-q", "--detach", "-f")
    assert git_state(repository) == Git(commit=commit, branch=None, dirty=False)


def test_no_repository_and_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) is None


def test_no_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_state(repository) is None


def test_a_git_that_hangs_is_given_up(tmp_path, monkeypatch):
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(provenance, "_GIT_TIMEOUT_S", 0.05)
    assert git_state(tmp_path) is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "a/b"}, None),
        ({"CI_JOB_URL": ""}, None),
        ({"BUILD_URL": "https://me:pw@jenkins/job/1"}, "https://jenkins/job/1"),
        ({"HEADGATE_CI_URL": "https://tekton/1", "BUILD_URL": "x"}, "https://tekton/1"),
    ],
)
def test_ci_url(environ, expected):
    assert ci_url(environ) == expected


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--api-key", "sk-live-123456"], ["--api-key", "***"]),
        (["--api-key=hunter2"], ["--api-key=***"]),
        (["api_key=hunter2"], ["api_key=***"]),
        (["OPENAI_API_KEY=hunter2"], ["OPENAI_API_KEY=***"]),
        (["--token", "--verbose"], ["--token", "--verbose"]),
        (["--password", "a", "b"], ["--password", "***", "b"]),
        (["models.0.api_key=env:KEY"], ["models.0.api_key=env:KEY"]),
        (["--header", "Authorization: Bearer abcdef123456"], ["--header", "Authorization: ***"]),
        (["sk-proj-abcdef123456"], ["***"]),
        (["see-ghp_abcdef123456"], ["see-***"]),
        (["https://me:pw@host/path"], ["https://host/path"]),
        (
            ["run", "suite.yaml", "--limit", "10", "--out=runs/a"],
            ["run", "suite.yaml", "--limit", "10", "--out=runs/a"],
        ),
    ],
)
def test_secrets_do_not_stay_in_the_command_line(argv, expected):
    assert hide_secrets(argv) == expected


def test_versions_name_what_shapes_results():
    assert set(versions()) == {"python", "headgate", "pyarrow", "polars", "numpy", "aiohttp", "httpx"}
