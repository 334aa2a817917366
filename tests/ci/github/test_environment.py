"""What a runner says of the job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headgate.ci.github.environment import Event, read_environment
from headgate.errors import ConfigError

GIVEN = {"GITHUB_REPOSITORY": "shop/bot", "GITHUB_RUN_ID": "7", "GITHUB_TOKEN": " secret-token\n"}


def test_what_is_set_is_read_and_the_token_is_not_shown():
    found = read_environment(GIVEN)
    assert found.run_url == "https://github.com/shop/bot/actions/runs/7"
    assert (found.api_url, found.token, found.event) == ("https://api.github.com", "secret-token", Event())
    assert "secret" not in repr(found)
    enterprise = GIVEN | {
        "GITHUB_SERVER_URL": "https://git.shop.example",
        "GITHUB_API_URL": "https://git.shop.example/api/v3",
    }
    assert read_environment(enterprise).api_url == "https://git.shop.example/api/v3"
    assert read_environment(enterprise).run_url.startswith("https://git.shop.example/shop/bot/")
    assert read_environment({"GH_TOKEN": "b"}).token == "b"


def test_outside_github_there_is_nothing():
    found = read_environment({})
    assert (found.run_url, found.output, found.summary, found.token) == ("", None, None, "")
    assert found.workspace == Path.cwd()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_REPOSITORY", "shop/bot/../x"),
        ("GITHUB_REPOSITORY", "shop/bot\n"),
        ("GITHUB_RUN_ID", "7)[x](y"),
        ("GITHUB_API_URL", "http://api.github.com"),
        ("GITHUB_API_URL", "https://user@evil.test"),
        ("GITHUB_SERVER_URL", "https://github.com/) [x](y"),
    ],
)
def test_what_github_does_not_set_there_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name}: .* is not what GitHub sets there"):
        read_environment(GIVEN | {name: value})


def test_the_event_is_read_as_far_as_it_is_needed(tmp_path):
    path = tmp_path / "event.json"
    path.write_text(
        json.dumps({"pull_request": {"number": 12, "head": {"sha": "a", "repo": None}, "title": "x"}, "n": 1})
    )
    event = read_environment({"GITHUB_EVENT_PATH": str(path)}).event
    assert event.pull_request is not None
    assert (event.pull_request.number, event.pull_request.head.repo, event.workflow_run) == (12, None, None)
    path.write_text('{"pull_request": {"number": "12; rm"}}')
    with pytest.raises(ConfigError, match="is not an event of GitHub"):
        read_environment({"GITHUB_EVENT_PATH": str(path)})
