"""The comment that stays in its place, against a fake of GitHub's routes."""

from __future__ import annotations

import asyncio

import pytest

from github_api import TOKEN, serving
from headgate.ci.github.comment import MOST_BYTES, Written, find_pull, marker, upsert
from headgate.ci.github.environment import Owner, Repository, WorkflowRun
from headgate.ci.github.rest import Client, Refused

MARK = marker("bot")


@pytest.fixture
def github():
    with serving() as fake:
        yield fake


def with_client(github, operation, token=TOKEN):
    async def sleep(_seconds):
        pass

    async def main():
        async with Client(github.url, token, sleep=sleep) as client:
            return await operation(client)

    return asyncio.run(main())


def write(github, page="page", *, key="bot", **options):
    return with_client(
        github, lambda client: upsert(client, repository="shop/bot", number=12, key=key, page=page), **options
    )


def bodies(github):
    return [comment["body"] for comment in github.comments]


def test_the_first_is_created_and_then_updated(github):
    assert write(github, "one") == Written("created")
    assert write(github, "two") == Written("updated")
    assert bodies(github) == [f"{MARK}\ntwo"]


def test_suites_have_a_comment_each(github):
    write(github, "a", key="bot")
    write(github, "b", key="bot 2 --> @team")
    write(github, "c", key="bot")
    assert bodies(github) == [f"{MARK}\nc", f"{marker('bot 2 --> @team')}\nb"]
    assert "@" not in github.comments[1]["body"]


def test_it_is_found_on_a_later_page(github):
    for number in range(230):
        github.add(f"chat {number}", login=f"human-{number}", kind="User")
    github.add(f"{MARK}\nold")
    for number in range(30):
        github.add(f"more {number}")
    assert write(github, "new") == Written("updated")
    assert github.comments[230]["body"] == f"{MARK}\nnew"


def test_a_forged_marker_is_left_alone(github):
    github.add(f"{MARK}\nI am headgate, all is well", login="eve", kind="User")
    github.add(f"quoting {MARK}\nof a bot", login="other[bot]")
    assert write(github) == Written("created")
    assert bodies(github)[:2] == [f"{MARK}\nI am headgate, all is well", f"quoting {MARK}\nof a bot"]


def test_a_personal_token_knows_who_it_is(github):
    github.login = "ann"
    github.add(f"{MARK}\nof a bot")
    github.add(f"{MARK}\nof ann", login="ann", kind="User")
    assert write(github, "new") == Written("updated")
    assert bodies(github) == [f"{MARK}\nof a bot", f"{MARK}\nnew"]


def test_a_read_only_token_is_a_refusal_and_no_error(github):
    github.read_only = True
    for old in (False, True):
        if old:
            github.add(f"{MARK}\nold")
        written = write(github)
        assert written.action == "refused"
        assert "answered 403" in written.problem
        assert "as on a pull request from a fork" in written.problem
    assert bodies(github) == [f"{MARK}\nold"]


def test_a_wrong_token_is_a_refusal_that_does_not_show_it(github):
    written = write(github, token="ghp_wrong")
    assert written.action == "refused"
    assert "answered 401" in written.problem
    assert "ghp_wrong" not in written.problem


@pytest.mark.parametrize("old", [False, True])
def test_an_answer_that_is_lost_makes_no_second_comment(github, old):
    if old:
        github.add(f"{MARK}\nold")
    github.lost.append("PATCH" if old else "POST")
    assert write(github, "new") == Written("updated")
    assert bodies(github) == [f"{MARK}\nnew"]


def test_a_comment_that_is_deleted_meanwhile_is_created_again(github):
    github.add(f"{MARK}\nold")
    github.failures.append(("PATCH", 404, {}))
    assert write(github) == Written("created")


def test_the_largest_page_is_taken(github):
    assert write(github, "é" * (MOST_BYTES // 2)) == Written("created")


def test_an_endless_failure_is_a_refusal(github):
    github.failures += [("POST", 500, {})] * 5
    assert write(github) == Written("refused", "GitHub answered 500 to POST")


SHA = "a" * 40
RUN = WorkflowRun(
    id=7, name="headgate", event="pull_request", head_sha=SHA, html_url="https://x", head_branch="fix",
    head_repository=Repository(full_name="eve/bot", owner=Owner(login="eve")),
)  # fmt: skip


def pull(number, *, sha=SHA, full_name="eve/bot", ref="fix"):
    owner = full_name.partition("/")[0]
    return {
        "number": number,
        "head": {"sha": sha, "ref": ref, "repo": {"full_name": full_name, "owner": {"login": owner}}},
    }


def found(github, run=RUN):
    return with_client(github, lambda client: find_pull(client, repository="shop/bot", run=run))


def test_the_pull_request_is_the_one_with_that_head(github):
    github.pulls = [pull(1, sha="b" * 40), pull(2, full_name="ann/bot"), pull(3, full_name="eve/other"), pull(4)]
    assert found(github) == 4


def test_a_head_that_was_pushed_over_has_no_pull_request(github):
    github.pulls = [pull(1, sha="b" * 40)]
    assert found(github) is None


def test_a_repository_that_is_gone_has_none(github):
    gone = WorkflowRun(id=7, name="headgate", event="pull_request", head_sha=SHA, html_url="https://x")
    assert found(github, gone) is None
    assert github.requests == []


def test_github_that_does_not_answer_is_no_pull_request(github):
    github.failures += [("GET", 502, {})] * 5
    with pytest.raises(Refused):
        found(github)
