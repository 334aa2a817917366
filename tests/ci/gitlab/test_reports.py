from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import jsonschema
import pytest
from hypothesis import given, settings
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hand_made_verdicts import hostile, hostile_verdict, make_row, make_verdict
from headgate.ci.gitlab.reports import dotenv, note_page, prompt_places, write_reports
from headgate.ci.stored import Stored, read_stored

NAMES = ["junit.xml", "metrics.txt", "gl-code-quality.json", "annotations.json", "verdict.env", "verdict.md"]
JOB = "https://gitlab.example/acme/app/-/jobs/7"
ANNOTATIONS = {  # as GitLab's documentation describes the report
    "type": "object",
    "additionalProperties": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["external_link"],
            "additionalProperties": False,
            "properties": {
                "external_link": {
                    "type": "object",
                    "required": ["label", "url"],
                    "additionalProperties": False,
                    "properties": {
                        "label": {"type": "string"}, "url": {"type": "string", "pattern": r"^https?://[\x21-\x7e]+$"}
                    },
                }
            },
        },
    },
}  # fmt: skip


def stored(verdict, **prompts):
    """A verdict, and a manifest of a suite whose prompts stand in these files."""
    facts = {name: SimpleNamespace(file=file) for name, file in prompts.items()}
    return Stored(verdict, SimpleNamespace(name="support-bot", plan=SimpleNamespace(prompts=facts)))


def report(tmp_path, found, **environ):
    paths = write_reports(found, tmp_path / "out", environ={"CI_PROJECT_DIR": str(tmp_path), **environ})
    assert [path.name for path in paths] == NAMES
    assert sorted(NAMES) == sorted(path.name for path in (tmp_path / "out").iterdir())
    return {path.name: path.read_text() for path in paths}


def test_every_report_says_the_same(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "new.txt").write_text("x")
    found = stored(make_verdict(make_row("fail")), candidate="/builds/elsewhere/p/new.txt")
    files = report(tmp_path, found, CI_JOB_URL=JOB)
    assert ET.fromstring(files["junit.xml"]).get("failures") == "1"
    assert 'headgate_verdict="fail"} 1' in files["metrics.txt"]
    assert json.loads(files["gl-code-quality.json"])[0]["location"] == {"path": "p/new.txt", "lines": {"begin": 1}}
    assert "HEADGATE_VERDICT=fail\nHEADGATE_EXIT_CODE=1\n" in files["verdict.env"]
    assert files["verdict.md"].startswith("## ❌ headgate: fail")
    links = json.loads(files["annotations.json"])["headgate"]
    assert [link["external_link"]["url"] for link in links] == [
        f"{JOB}/artifacts/file/out/verdict.md", f"{JOB}/artifacts/browse/out",
    ]  # fmt: skip


def test_no_verdict_is_reported_too(tmp_path):
    files = report(tmp_path, read_stored(tmp_path / "nowhere", ended=2))
    assert ET.fromstring(files["junit.xml"]).get("errors") == "1"
    assert "verdict.json is not there" in files["junit.xml"]
    assert "HEADGATE_VERDICT=invalid\nHEADGATE_EXIT_CODE=2\n" in files["verdict.env"]
    assert json.loads(files["gl-code-quality.json"]) == []
    assert 'headgate_verdict="invalid"} 1' in files["metrics.txt"]


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "https://x/y z", "https://x/)\n[a](b", 'https://x/"'])
def test_a_job_without_an_address_has_no_links(tmp_path, url):
    verdict = make_verdict(make_row())
    assert json.loads(report(tmp_path, stored(verdict), CI_JOB_URL=url)["annotations.json"]) == {"headgate": []}
    assert "](" not in note_page(verdict, environ={"CI_JOB_URL": url})


def test_reports_outside_the_project_have_no_links(tmp_path):
    environ = {"CI_PROJECT_DIR": str(tmp_path / "project"), "CI_JOB_URL": JOB}
    write_reports(stored(make_verdict(make_row())), tmp_path / "out", environ=environ)
    assert json.loads((tmp_path / "out" / "annotations.json").read_text()) == {"headgate": []}


@given(hostile)
def test_nothing_that_someone_else_wrote_becomes_a_variable(text):
    lines = dotenv(hostile_verdict(text)).splitlines()
    for line in lines:
        assert re.fullmatch(r"HEADGATE_[A-Z_]+=[a-z0-9]+", line)
    assert len("\n".join(lines)) < 5 * 1024
    digests = [line for line in lines if "DIGEST" in line]
    assert digests == [] or re.fullmatch(r"[0-9a-f]{8,64}", text)


def test_later_jobs_get_counts_and_digests():
    verdict = make_verdict(make_row(), make_row("inconclusive", name="b"), make_row("fail", name="c", tier="warning"))
    assert dict(line.split("=") for line in dotenv(verdict).splitlines()) == {
        "HEADGATE_VERDICT": "inconclusive", "HEADGATE_EXIT_CODE": "20", "HEADGATE_GATES": "2",
        "HEADGATE_GATES_PASS": "1", "HEADGATE_GATES_FAIL": "0", "HEADGATE_GATES_INCONCLUSIVE": "1",
        "HEADGATE_GATES_INVALID": "0", "HEADGATE_SUITE_DIGEST": "ab" * 16, "HEADGATE_PLAN_DIGEST": "cd" * 16,
        "HEADGATE_PROMPT_DIGEST": "ef" * 16,
    }  # fmt: skip


@given(hostile)
@settings(deadline=None)
def test_a_hostile_verdict_leaves_every_report_inert(tmp_path_factory, text):
    tmp_path = tmp_path_factory.mktemp("reports")
    verdict = hostile_verdict(text)
    files = report(tmp_path, stored(verdict), CI_JOB_URL=JOB)
    ET.fromstring(files["junit.xml"])
    list(text_string_to_metric_families(files["metrics.txt"]))
    jsonschema.validate(json.loads(files["annotations.json"]), ANNOTATIONS)
    assert_inert(files["verdict.md"])
    note = note_page(verdict, environ={"CI_JOB_URL": JOB})
    assert_inert(note.removesuffix(f"\n[Reports and rows of this job]({JOB})\n"))
    for name, data in files.items():
        assert all(character.isprintable() or character == "\n" for character in data), name
        assert not re.search(r"^(::|section_|/)", data, re.MULTILINE), name
        assert len(data) < 50_000, name


def assert_inert(page):
    """No sign that GitLab or Markdown reads is left, in the source or once references are characters again."""
    for sign in ("`", "<", "](", "@", "::", "${", "$[[", "://"):
        assert sign not in page
    shown = re.sub(r"&#(\d+);", lambda match: chr(int(match[1])), page)
    assert not re.search(r"[@#!~%&$\[:*^]\w", shown)


def test_a_long_note_is_cut_at_a_line():
    verdict = make_verdict(*(make_row(name=f"metric {number}") for number in range(2000)))
    page = note_page(verdict, environ={}, limit=5000)
    assert len(page) < 5100
    assert page.endswith("|\n\nCut here; the rest stands in the reports of the job.\n")


def git(folder, *words):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", folder, *who, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_line_is_the_first_that_the_merge_request_changes(tmp_path):
    git(tmp_path, "init", "--quiet")
    prompt = tmp_path / "new.txt"
    prompt.write_text("one\ntwo\nthree\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "base")
    base = git(tmp_path, "rev-parse", "HEAD")
    prompt.write_text("one\ntwo\nother\n")
    git(tmp_path, "commit", "-qam", "change")
    found = stored(make_verdict(make_row("fail")), candidate=str(prompt))
    assert prompt_places(found, tmp_path, base=base)(make_row()) == ("new.txt", 3)
    for unknown in ("", "main", "--output=x", "0" * 40):
        assert prompt_places(found, tmp_path, base=unknown)(make_row()) == ("new.txt", 1)
    assert not (tmp_path / "x").exists()


def test_the_prompt_is_that_of_the_row(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("x")
    arm = make_verdict(make_row()).candidate
    several = make_verdict(make_row(), candidate=type(arm)(**{**_fields(arm), "prompt_digests": {"a": "1", "b": "2"}}))
    place = prompt_places(stored(several, a=str(tmp_path / "a.txt"), b="b.txt", c=None), tmp_path, base="")
    assert place(make_row(cell={"prompt": "a"})) == ("a.txt", 1)
    assert place(make_row(cell={"prompt": "b"})) == ("b.txt", 1)
    assert place(make_row(cell={"prompt": "c"})) is None
    assert place(make_row(cell={"prompt": "d"})) is None
    assert place(make_row(cell={"model": "small"})) is None


def _fields(struct):
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def test_a_file_outside_the_work_tree_has_no_place(tmp_path):
    (tmp_path / "outside.txt").write_text("x")
    (tmp_path / "tree").mkdir()
    found = stored(make_verdict(make_row("fail")), candidate=str(tmp_path / "tree" / ".." / "outside.txt"))
    assert prompt_places(found, tmp_path / "tree", base="")(make_row()) is None
