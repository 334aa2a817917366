"""Workflow commands, and text that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_runner import obeyed
from headgate.ci.github.commands import command, quoted
from made_verdicts import ATTACKS

TEXT = st.one_of(
    st.text(), st.sampled_from(ATTACKS), st.lists(st.sampled_from([*ATTACKS, "\n", "##[", "::"])).map("".join)
)


@given(TEXT, TEXT)
def test_a_command_comes_back_as_it_was_given_and_is_the_only_one(message, name):
    """Whatever it says, the runner reads one command; spaces around properties are trimmed by it."""
    line = command("error", message, {"file": f"{name}.", "line": 3})
    ((obeyed_name, properties, text),) = obeyed(line)
    assert (obeyed_name, properties["line"], set(properties)) == ("error", "3", {"file", "line"})
    assert line.count("\n") == 0
    assert text == message
    assert properties["file"] == f"{name}."


@given(TEXT)
def test_the_runner_obeys_nothing_in_quoted_text(text):
    assert obeyed(quoted(text)) == []
    assert obeyed(quoted(text) + "\n::notice::after") == [("notice", {}, "after")]
    shown = quoted(text)
    assert all(character.isprintable() or character == "\n" for character in shown.replace("\u200b", ""))
    assert "##[" not in shown


@pytest.mark.parametrize("token", ["0" * 32, "pause"])
def test_the_token_that_ends_a_quote_cannot_be_foreseen(token):
    assert obeyed(quoted(f"::{token}::\n::error::x")) == []
    assert quoted("a") != quoted("a")


def test_what_the_runner_would_obey_is_seen():
    """The tests' reader of logs finds what it should."""
    log = "a ##[error]x\n  ::warning file=a::y\n::nothing::z\n::stop-commands::tk\n::error::q\n::tk::\n::error::r"
    assert obeyed(log) == [("error", {}, "x"), ("warning", {"file": "a"}, "y"), ("error", {}, "r")]
