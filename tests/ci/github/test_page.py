"""The page for summary and comment: what it says, that nothing in it acts, and that it fits."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from headgate.ci.github.page import result_page
from headgate.ci.result import Result
from made_verdicts import ATTACKS, VERDICTS, attacked, made_verdict

RUN = "https://github.com/shop/bot/actions/runs/7"
TAGS = {"h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "a"}


def told(verdict, **changes):
    return Result(verdict=verdict, missing="", verdict_file=Path("verdict.json"), **changes)


class Html(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text = set(), [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]
        assert {name for name, _ in attrs} <= {"href"}

    def handle_comment(self, data):
        raise AssertionError(data)

    def handle_data(self, data):
        self.text += data


def html(page):
    """Render as GitHub does, as far as a library can: CommonMark, tables, raw HTML and bare links are on."""
    return Html(MarkdownIt("commonmark", {"html": True}).enable("table").render(page))


@pytest.mark.parametrize("name", VERDICTS)
def test_the_page_says_what_a_reader_needs(name):
    page = result_page(told(attacked(VERDICTS[name], "text"), cost_usd=1.25), run_url=RUN, most_bytes=100_000)
    shown = html(page)
    assert shown.links == [RUN]
    for words in (
        f"headgate: {name}",
        "Looks",
        "asked again",
        "has drifted",
        "spent: 1.2500 USD",
        "commit text with changes",
    ):
        assert words in shown.text
    assert "Left out" not in page


def test_what_is_not_there_is_not_told():
    page = result_page(told(VERDICTS["pass"]), run_url="", most_bytes=100_000)
    for word in ("Looks", "asked again", "spent", "workflow run", "Left out"):
        assert word not in page
    assert f"commit {'c' * 12} with changes" in page


def test_without_a_verdict_the_page_says_so():
    missing = Result(verdict=None, missing="RUN/verdict.json is not there", verdict_file=Path())
    shown = html(result_page(missing, run_url=RUN, most_bytes=10_000))
    assert "headgate: no verdict" in shown.text
    assert "RUN/verdict.json is not there" in shown.text.replace("\u2060", "")  # what keeps links from being made
    assert "does not pass" in shown.text
    assert shown.links == [RUN]


@settings(deadline=None)
@given(st.one_of(st.sampled_from(ATTACKS), st.text(), st.lists(st.sampled_from(ATTACKS)).map("\n".join)), st.booleans())
def test_nothing_acts_whatever_a_stranger_writes(text, is_missing):
    verdict = attacked(VERDICTS["fail"], text)
    result = Result(verdict=None, missing=text, verdict_file=Path()) if is_missing else told(verdict)
    page = result_page(result, run_url=RUN, most_bytes=60_000, origin="Who measured.")
    assert len(page.encode()) <= 60_000
    shown = html(page)
    assert shown.tags <= TAGS
    assert shown.links == [RUN]
    own = page.replace(RUN, "")
    for sign in ("`", "<", "@", "${{", "\x1b", "::", "##[", "://", "www.", "\u202e"):
        assert sign not in own
    assert set(re.findall(r"#+", re.sub(r"&#\d+;", "", own))) <= {"##", "###"}
    assert all(character.isprintable() or character == "\n" for character in own)


def wide(rows):
    row = VERDICTS["fail"].metrics[0]
    many = [msgspec.structs.replace(row, name=f"metric {n}", verdict="pass" if n else "fail") for n in range(rows)]
    return msgspec.structs.replace(attacked(VERDICTS["fail"], "é" * 150), metrics=many[::-1])


@pytest.mark.parametrize("most", [3000, 5000, 10_000, 60_000, 900 << 10])
@pytest.mark.parametrize("rows", [1, 40, 20_000])
def test_the_page_fits_and_says_what_is_left_out(most, rows):
    page = result_page(told(wide(rows)), run_url=RUN, most_bytes=most)
    assert len(page.encode()) <= most
    shown = len(re.findall(r"\| metric \d", page))
    first = next((line for line in page.splitlines() if re.search(r"\| metric \d", line)), "| ❌ fail")
    if shown < rows:
        assert f"{rows - shown} of {rows} rows" in page
        assert first.startswith("| ❌ fail")  # the worst comes first


def test_sections_go_before_rows():
    verdict = wide(40)
    whole = result_page(told(verdict), run_url=RUN, most_bytes=100_000)
    page = result_page(told(verdict), run_url=RUN, most_bytes=len(whole.encode()) + 100)
    assert "Left out here for want of room: looks. verdict.json holds all of it." in page
    assert len(re.findall(r"\| metric \d", page)) == 40


def test_kinds_of_errors_without_end_fit_too():
    counts = msgspec.structs.replace(VERDICTS["fail"].errors.candidate, kinds={f"kind {n}": 1 for n in range(100_000)})
    errors = msgspec.structs.replace(VERDICTS["fail"].errors, candidate=counts)
    page = result_page(told(msgspec.structs.replace(made_verdict(), errors=errors)), run_url=RUN, most_bytes=60_000)
    assert len(page.encode()) <= 60_000
    assert "headgate: pass" in page
