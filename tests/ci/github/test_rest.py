"""Calls to GitHub: retried where it helps, paced, and the token goes to one host."""

from __future__ import annotations

import asyncio

import pytest

from github_api import TOKEN, serving
from headgate.ci.github.rest import Busy, Client, Refused

PATH = "/repos/shop/bot/issues/12/comments"


@pytest.fixture
def github():
    with serving() as fake:
        yield fake


def asked(github, operation, *, url=None):
    """Return what an operation on a client comes to, and the waits in between."""
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    async def main():
        async with Client(url or github.url, TOKEN, sleep=sleep) as client:
            return await client.retried(lambda: operation(client))

    return asyncio.run(main()), waits


async def comments(client):
    return [comment["id"] async for comment in client.pages(PATH)]


def test_all_pages_are_read(github):
    for number in range(250):
        github.add(str(number))
    assert asked(github, comments) == ([comment["id"] for comment in github.comments], [])
    assert len(github.requests) == 3


def test_a_link_to_another_host_is_not_followed(github):
    for number in range(150):
        github.add(str(number))
    with serving() as other:
        github.next_host = other.url.removesuffix("/api/v3")
        found, _ = asked(github, comments)
        assert len(found) == 100
        assert other.requests == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(github, status):
    with serving() as other:
        github.failures.append(("GET", status, {"location": other.url + PATH}))
        with pytest.raises(Refused, match=f"answered {status} to GET"):
            asked(github, comments)
        assert other.requests == []


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (500, {}, 1.0),
        (502, {}, 1.0),
        (429, {}, 1.0),
        (429, {"retry-after": "7"}, 7.0),
        (403, {"retry-after": "9"}, 9.0),
        (403, {"x-ratelimit-remaining": "0"}, 60.0),
        (503, {"retry-after": "9999"}, 60.0),
        (503, {"retry-after": "soon"}, 1.0),
    ],
)
def test_what_passes_is_tried_again_after_the_wait_that_was_asked(github, status, headers, wait):
    github.failures.append(("GET", status, headers))
    assert asked(github, comments) == ([], [wait])


@pytest.mark.parametrize("status", [401, 403, 404, 410, 422])
def test_what_stays_is_not(github, status):
    github.failures.append(("GET", status, {}))
    with pytest.raises(Refused) as caught:
        asked(github, comments)
    assert (caught.value.status, len(github.requests)) == (status, 1)


def test_five_attempts_are_enough(github):
    github.failures += [("GET", 500, {})] * 9
    with pytest.raises(Busy, match="answered 500"):
        asked(github, comments)
    assert len(github.requests) == 5


def test_nobody_there_is_refused_in_the_end_and_the_token_is_not_told():
    with pytest.raises(Refused) as caught:
        asked(None, comments, url="http://127.0.0.1:9")
    assert str(caught.value) == "GitHub cannot be reached: ConnectError"
    assert caught.value.status == 0


def test_the_headers_are_those_of_the_api(github):
    asked(github, comments)
    ((method, path, headers),) = github.requests
    assert (method, path) == ("GET", f"/api/v3{PATH}?per_page=100")
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["x-github-api-version"] == "2022-11-28"
    assert headers["user-agent"].startswith("headgate/")
