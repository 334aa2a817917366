from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from fake_gitlab import AT_ONCE, TOKEN, FakeGitLab, client, serve
from headgate.ci.gitlab.api import GitLab, _pause
from headgate.errors import ConfigError
from headgate.execute.secret import Secret


def send(url, method, path, **options):
    async def call():
        async with client(url) as gitlab:
            return await gitlab.send(method, path, **options)

    return asyncio.run(call())


@pytest.fixture
def fake():
    return FakeGitLab()


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_can_be_repeated_is_repeated_while_gitlab_is_busy(fake, method, status):
    fake.faults = [(status, {}, b"")] * 2 + [(200, {}, b"{}")]
    with serve(fake.answer) as url:
        assert send(url, method, "/x").status_code == 200
    assert len(fake.requests) == 3


def test_it_gives_up_after_four_attempts_and_returns_the_last_answer(fake):
    fake.faults = [(503, {}, b"")] * 9
    with serve(fake.answer) as url:
        assert send(url, "GET", "/x").status_code == 503
    assert len(fake.requests) == 4


def test_a_post_is_repeated_only_where_it_was_not_taken(fake):
    fake.faults = [(429, {}, b""), (502, {}, b"")]
    with serve(fake.answer) as url:
        assert send(url, "POST", "/x", json={}).status_code == 502
    assert len(fake.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_final(fake, status):
    fake.faults = [(status, {}, b"")] * 2
    with serve(fake.answer) as url:
        assert send(url, "GET", "/x").status_code == status
    assert len(fake.requests) == 1


def test_a_body_is_made_anew_for_each_attempt(fake):
    fake.faults = [(503, {}, b"")]

    async def body():
        yield b"abc"

    with serve(fake.answer) as url:
        send(url, "PUT", "/projects/5/packages/generic/p/1/f", content=body, headers={"content-length": "3"})
    assert [request[3] for request in fake.requests] == [b"abc", b"abc"]


def test_no_redirect_is_followed_with_the_token(fake):
    other = FakeGitLab()
    with serve(fake.answer) as url, serve(other.answer) as elsewhere:
        fake.faults = [(307, {"Location": f"{elsewhere}/api/v4/user"}, b"")]
        assert send(url, "GET", "/user").status_code == 307
    assert fake.requests[0][2]["private-token"] == TOKEN
    assert other.requests == []


def test_a_gitlab_that_is_not_there_is_an_error_of_transport():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(httpx.ConnectError):
        send(f"http://127.0.0.1:{port}", "POST", "/x")


def test_it_waits_as_long_as_gitlab_says_and_never_long():
    class State:
        attempt_number = 1

        class outcome:  # noqa: N801
            failed = False
            said = "7"

            @classmethod
            def result(cls):
                return httpx.Response(429, headers={"retry-after": cls.said})

    assert _pause(State) == 7
    State.outcome.said = "86400"
    assert _pause(State) == 30
    State.outcome.said = "Thu, 26 Nov 2026 11:00:00 GMT"
    assert 0 <= _pause(State) <= 10


@pytest.mark.parametrize(
    "url", ["", "gitlab.example", "ftp://gitlab.example", "https://me:secret@gitlab.example/api/v4"]
)
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(ConfigError, match="CI_API_V4_URL"):
        GitLab(url, header="JOB-TOKEN", token=Secret("t"), pause=AT_ONCE)
