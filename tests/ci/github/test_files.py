"""Outputs and the summary, read as a runner reads them."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_runner import read_pairs
from headgate.ci.github.files import MOST_SUMMARY_BYTES, plain, summary_bytes, write_outputs, write_summary
from made_verdicts import ATTACKS


@given(st.lists(st.one_of(st.sampled_from([a for a in ATTACKS if "\r" not in a]), st.text("ab\n=<>{}$`%:"))))
def test_outputs_come_back_and_no_value_makes_another(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("out") / "output"
    given_values = {f"name-{number}": value for number, value in enumerate(values)}
    write_outputs(path, {**given_values, "verdict": "fail"})
    assert read_pairs(path) == {**given_values, "verdict": "fail"}


def test_outputs_are_added(tmp_path):
    path = tmp_path / "output"
    path.write_text("mine=1\n")
    write_outputs(path, {"verdict": "pass"})
    assert read_pairs(path) == {"mine": "1", "verdict": "pass"}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_plain_text_does_nothing_in_a_script(attack, tmp_path):
    """A workflow that pastes the output into a script is wrong; it must not be owned by it."""
    text = plain(attack)
    assert len(text) <= 300
    for script in (f"echo {text}", f'echo "{text}"', f"echo '{text}'"):
        ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.split() == text.split()
    assert list(tmp_path.iterdir()) == []


def test_the_summary_is_added_and_its_room_counted(tmp_path):
    path = tmp_path / "summary"
    assert summary_bytes(None) == summary_bytes(path) == MOST_SUMMARY_BYTES == 900 * 1024
    write_summary(path, "é")
    write_summary(path, "b")
    assert path.read_text() == "é\nb\n"
    assert summary_bytes(path) == MOST_SUMMARY_BYTES - 5
    path.write_bytes(b"a" * 2_000_000)
    assert summary_bytes(path) == 0
