from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.suite.scorers import HtmlValid, XmlValid
from score_rows import scored, values

LAUGHS = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;&c;&c;</a>'


@pytest.mark.parametrize(
    ("text", "options", "value"),
    [
        ("<root><child>Content</child></root>", {}, 1),
        ('  <?xml version="1.0"?><a b="c"/>\n', {}, 1),
        ("<root><child>Content</child></root", {}, 0),
        ("<a/><b/>", {}, 0),
        ("text <a/>", {}, 0),
        ("text", {}, 0),
        (LAUGHS, {}, 0),
        ("<a><b><c/></b></a>", {"elements": ["a.b.c", "a.b"]}, 1),
        ("<a><b/></a>", {"elements": ["a.c"]}, 0),
        ("Here: <r><c>1</c></r> bye!", {"extract": True}, 1),
        ("```xml\n<r/>\n```", {"extract": True}, 1),
        ("a <b and <r/>", {"extract": True}, 1),
        ("a < b", {"extract": True}, 0),
        ("see <w><r><c/></r></w>", {"extract": True, "elements": ["r.c"]}, 1),
    ],
)
def test_xml(text, options, value):
    assert values(XmlValid(name="x", type="xml_valid", **options), (text, None)) == [value]


def test_what_is_wrong_with_xml_is_said():
    found = scored(XmlValid(name="x", type="xml_valid"), [{"output": LAUGHS}, {"output": "<a></b>"}])
    assert found["explanation"].to_list() == [
        "is not well-formed: it declares a document type",
        "is not well-formed: mismatched tag",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<!DOCTYPE html><html><head><title>t</title></head><body><p>x</p></body></html>", 1),
        ("<div>Content</div>", 1),
        ("<h1>Title</h1><p>Paragraph", 1),
        ("<ul><li>one<li>two</ul>", 1),
        ('<img src="a.jpg" />', 1),
        ("<p>a<br>b</p>", 1),
        ("Just text", 0),
        ("Text <div>HTML</div> text", 0),
        ('<?xml version="1.0"?><root></root>', 0),
        ("<div>Unclosed", 0),
        ("<b><i>x</b></i>", 0),
    ],
)
def test_html(text, value):
    assert values(HtmlValid(name="h", type="html_valid"), (text, None)) == [value]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("see <b>this</b> and <i>that</i>", 1),
        ("<br> &amp;", 1),
        ("a < b and c > d", 0),
        ("mail <me@x.org> now", 0),
        ("R&D &amp; more", 0),
    ],
)
def test_text_that_holds_html(text, value):
    assert values(HtmlValid(name="h", type="html_valid", extract=True), (text, None)) == [value]


@given(st.text(st.sampled_from("<>/ab= \"'&;!-?"), max_size=40))
def test_no_text_breaks_a_scorer(text):
    for spec in (
        XmlValid(name="x", type="xml_valid", extract=True),
        HtmlValid(name="h", type="html_valid"),
        HtmlValid(name="h", type="html_valid", extract=True),
    ):
        assert values(spec, (text, None)) in ([0], [1])
