"""Annotations: which rows, on which line of which file."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headgate as hg
from github_runner import obeyed
from headgate.ci.github.annotations import MOST, annotate, changed_line
from headgate.ci.result import Result
from headgate.store.manifest import PromptFacts, read_manifest
from made_verdicts import ATTACKS, VERDICTS, attacked

CANDIDATE = """# a comment: Be brief.
messages:
  - role: system
    content: |
      You answer customers.
      Be brief.
  - role: user
    content: "{{q}}"
"""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """A manifest whose prompts stand in files of a repository."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "prompts").mkdir()
    (folder / "prompts" / "new: a,b.prompt.yml").write_text(CANDIDATE)
    (folder / "prompts" / "old.prompt.yml").write_text(CANDIDATE.replace("      Be brief.\n", "      Be kind.\n"))
    (folder / "suite.yaml").write_text("""
name: sums
items: [{q: a, target: b}]
prompts: {old: prompts/old.prompt.yml, new: "prompts/new: a,b.prompt.yml"}
models: [{id: m, provider: simulated}]
scorers: [{name: correct, type: numeric}]
""")
    run = hg.run(hg.load_suite(folder / "suite.yaml"), out=folder / "run")
    return folder, read_manifest(run.path / "manifest.json")


def result(name, manifest=None, **changes):
    verdict = msgspec.structs.replace(VERDICTS[name], **changes)
    return Result(verdict=verdict, missing="", verdict_file=Path("verdict.json"), manifest=manifest)


def test_a_failed_row_is_an_error_on_the_line_that_changed(manifest):
    folder, facts = manifest
    commands = obeyed("\n".join(annotate(result("fail", facts), workspace=folder)))
    error, *rest = commands
    place = {"file": "prompts/new: a,b.prompt.yml", "line": "6", "title": "headgate: fail: correct"}
    assert error[:2] == ("error", place)
    assert error[2].startswith("m: the candidate is worse")
    assert {name for name, _, _ in rest} <= {"warning"}


def test_what_is_open_is_a_warning_and_what_passes_says_nothing(manifest):
    folder, facts = manifest
    blocking = [row for row in VERDICTS["inconclusive"].metrics if row.tier == "blocking"]
    kinds = [
        name
        for name, _, _ in obeyed("\n".join(annotate(result("inconclusive", facts, metrics=blocking), workspace=folder)))
    ]
    assert kinds == ["warning"]
    passing = [row for row in VERDICTS["pass"].metrics if row.tier == "blocking"]
    assert annotate(result("pass", facts, metrics=passing), workspace=folder) == []


def test_a_file_outside_the_checkout_is_not_named(manifest, tmp_path):
    folder, facts = manifest
    for workspace in (tmp_path, folder / "prompts" / "elsewhere"):
        (error, *_) = obeyed("\n".join(annotate(result("fail", facts), workspace=workspace)))
        assert set(error[1]) == {"title"}
    (error, *_) = obeyed("\n".join(annotate(result("fail"), workspace=folder)))
    assert set(error[1]) == {"title"}


def test_an_invalid_verdict_is_told_even_if_no_row_is(tmp_path):
    (told,) = obeyed("\n".join(annotate(result("invalid", metrics=[]), workspace=tmp_path)))
    assert told == ("error", {}, f"headgate: {VERDICTS['invalid'].reason}")


def test_no_verdict_is_an_error(tmp_path):
    missing = Result(verdict=None, missing="::stop it\n::error::x", verdict_file=tmp_path)
    assert obeyed("\n".join(annotate(missing, workspace=tmp_path))) == [
        ("error", {}, "headgate: no verdict: ::stop it\\n::error::x")
    ]


def test_at_most_ten_of_a_kind_and_the_last_counts_the_rest(tmp_path):
    row = next(row for row in VERDICTS["fail"].metrics if row.verdict == "fail")
    rows = [msgspec.structs.replace(row, name=f"metric-{number}") for number in range(25)]
    commands = obeyed("\n".join(annotate(result("fail", metrics=rows), workspace=tmp_path)))
    assert [name for name, _, _ in commands] == ["error"] * MOST
    assert commands[-1][2] == "headgate: 16 more rows do not pass; see the job summary"
    whole = obeyed("\n".join(annotate(result("fail", metrics=rows[:MOST]), workspace=tmp_path)))
    assert whole[-1][1]["title"] == "headgate: fail: metric-9"


@settings(deadline=None)
@given(st.one_of(st.sampled_from(ATTACKS), st.text()), st.sampled_from([*VERDICTS]))
def test_the_runner_obeys_our_annotations_and_nothing_else(text, name):
    verdict = attacked(VERDICTS[name], text)
    lines = annotate(Result(verdict=verdict, missing="", verdict_file=Path()), workspace=Path())
    commands = obeyed("\n".join(lines))
    assert len(commands) == len(lines)
    assert {command for command, _, _ in commands} <= {"error", "warning"}
    assert {key for _, properties, _ in commands for key in properties} <= {"title"}
    assert all(len(line) < 4000 for line in lines)
    assert all(character.isprintable() for line in lines for character in line)


def prompt(*messages):
    return PromptFacts(digest="", messages=list(messages), params={}, file=None)


@pytest.mark.parametrize(
    ("text", "ours", "theirs", "line"),
    [
        ("a\nb\nc", [("user", "a\nb\nc")], [("user", "a\nx\nc")], 2),
        ("a\nb\nc", [("user", "a\nb\nc")], None, 1),
        ("---\nrole\n---\na\nb", [("user", "a\nb")], [("user", "a\nb")], 4),
        ('{"content": "a\\nb"}', [("user", "a\nb")], [("user", "b")], 1),
        ("- one\n- two\n- three", [("user", "one"), ("user", "three")], [("user", "one"), ("user", "two")], 3),
        ("- one\n- two", [("user", "one"), ("user", "two")], [("user", "one")], 2),
        ("", [("user", "a")], None, 1),
    ],
)
def test_the_line_is_the_first_that_the_baseline_does_not_have(text, ours, theirs, line):
    assert changed_line(text, prompt(*ours), None if theirs is None else prompt(*theirs)) == line
