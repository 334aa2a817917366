from __future__ import annotations

import asyncio

import pytest
from hypothesis import given

from fake_gitlab import OTHER, FakeGitLab, client, serve
from hand_made_verdicts import hostile
from headgate.ci.gitlab.notes import NoteRefused, check_reference, find_token, marker, merge_request, upsert_note
from headgate.errors import ConfigError

MARK = marker("support-bot", "headgate")


def write(fake, page="the page", mark=MARK, **options):
    async def call(url):
        async with client(url, **options) as gitlab:
            return await upsert_note(gitlab, project="5", number="12", mark=mark, page=page)

    with serve(fake.answer) as url:
        return asyncio.run(call(url))


def test_the_note_is_written_once_and_then_replaced():
    fake = FakeGitLab()
    assert write(fake, "first") == "written"
    assert write(fake, "second") == "replaced"
    assert [note["body"] for note in fake.notes] == [f"{MARK}\nsecond"]


def test_it_is_found_on_a_later_page():
    fake = FakeGitLab()
    for number in range(250):
        fake.add_note(f"talk {number}", author=OTHER)
    mine = fake.add_note(f"{MARK}\nold")
    assert write(fake) == "replaced"
    assert fake.notes[-1] == {"id": mine, "body": f"{MARK}\nthe page", "system": False, "author": {"id": 7}}


def test_a_full_last_page_ends_the_search():
    fake = FakeGitLab()
    for number in range(100):
        fake.add_note(f"talk {number}", author=OTHER)
    assert write(fake) == "written"


def test_a_marker_that_someone_else_wrote_is_no_note_of_ours():
    fake = FakeGitLab()
    fake.add_note(f"{MARK}\nforged", author=OTHER)
    fake.add_note(f"quoted: {MARK}")
    fake.add_note(f"{MARK}\nby the system", system=True)
    assert write(fake) == "written"
    assert fake.notes[0]["body"] == f"{MARK}\nforged"
    assert len(fake.notes) == 4


@pytest.mark.parametrize("note", [b"[1]", b"[{}]", b'[{"author": {"id": 7}}]', b'[{"author": null}]'])
def test_notes_that_are_none_are_refused(note):
    fake = FakeGitLab()
    fake.faults = [(200, {}, b'{"id": 7}'), (200, {}, note)]
    with pytest.raises(NoteRefused, match="not what its API says"):
        write(fake)


def test_suites_have_notes_of_their_own():
    fake = FakeGitLab()
    assert [write(fake, mark=marker(name)) for name in ("a", "b", "a")] == ["written", "written", "replaced"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_may_not_is_named(status):
    fake = FakeGitLab()
    fake.faults = [(status, {}, b"{}")]
    with pytest.raises(NoteRefused, match=rf"answers {status}: the token may not write notes here"):
        write(fake)


def test_a_wrong_token_is_refused_and_never_shown():
    with pytest.raises(NoteRefused) as refused:
        write(FakeGitLab(), token="glpat-wrong")
    assert "glpat" not in str(refused.value)


@pytest.mark.parametrize(
    "fault",
    [
        (404, {}, b"{}"),
        (302, {"Location": "https://evil.test"}, b""),
        (200, {}, b"<html>"),
        (200, {}, b"[]"),
        (200, {}, b"{}"),
    ],
)
def test_what_is_no_answer_of_the_api_is_refused(fault):
    fake = FakeGitLab()
    fake.faults = [fault]
    with pytest.raises(NoteRefused):
        write(fake)
    assert fake.notes == []


@given(hostile)
def test_a_marker_is_inert_whatever_it_is_of(text):
    mark = marker(text)
    assert mark.startswith("<!-- headgate note ")
    assert mark[19:-4].isalnum()


def test_a_merge_request_is_that_of_the_target_project():
    environ = {"CI_PROJECT_ID": "9", "CI_MERGE_REQUEST_IID": "12", "CI_MERGE_REQUEST_PROJECT_ID": "5"}
    assert merge_request(environ) == ("5", "12")
    assert merge_request({"CI_PROJECT_ID": "9", "CI_MERGE_REQUEST_IID": "12"}) == ("9", "12")
    assert merge_request({"CI_PROJECT_ID": "9"}) is None
    assert merge_request({"CI_PROJECT_ID": "../9", "CI_MERGE_REQUEST_IID": "12"}) is None


def test_a_token_stands_in_the_environment_alone(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "glpat-1")
    assert find_token("env:MY_TOKEN").reveal() == "glpat-1"
    monkeypatch.setenv("MY_TOKEN", " ")
    assert find_token("env:MY_TOKEN") is None
    for reference in ("glpat-1", "file:token", "env:"):
        with pytest.raises(ConfigError, match="--token: names no variable") as refused:
            check_reference(reference)
        assert "glpat" not in str(refused.value)
