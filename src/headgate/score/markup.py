"""Scorers of markup: well-formed XML, HTML whose elements are closed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Final
from xml.parsers import expat

from headgate.score.callables import Score

if TYPE_CHECKING:
    from headgate.suite.scorers import HtmlValid, XmlValid

_VOID: Final = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
_OPTIONAL: Final = frozenset(("li", "p", "td", "th", "tr", "dt", "dd", "option", "thead", "tbody", "tfoot"))
_MARKS: Final = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        r"<([a-z][a-z0-9-]*)(?:\s[^<>]*)?>.*?</\1\s*>",
        r"<(?:" + "|".join(sorted(_VOID)) + r")(?:\s[^<>]*)?/?>",
        r"<[a-z][a-z0-9-]*\s[^<>]*\w+\s*=\s*[\"'][^<>]*>",
        r"&(?:[a-z][a-z0-9]+|#\d+|#x[0-9a-f]+);",
        r"<!--.*?-->",
        r"<!doctype\s+html",
    )
)
_PLACES: Final = 50  # tags of a text that are tried as the beginning of a document


def xml_valid(spec: XmlValid) -> Callable[[str], bool | Score]:
    """Return a function: whether an output is a well-formed XML document with some elements; if not, the reason.

    A document type is refused: its entities may grow without bound.

    Examples
    --------
    >>> from headgate.suite.scorers import XmlValid
    >>> valid = xml_valid(XmlValid(name="xml", type="xml_valid", elements=["a.b"]))
    >>> valid("<a><b/></a>"), valid("<a/>").explanation, valid("<a>").explanation
    (True, 'there is no element a.b', 'is not well-formed: no element found')
    """

    def grade(output: str) -> bool | Score:
        starts = _starts(output) if spec.extract else [0]
        fault = "there is no element"
        for start in starts:
            try:
                paths = _paths(output[start:], rest=spec.extract)
            except (expat.ExpatError, _DoctypeError) as error:
                fault = f"is not well-formed: {re.sub(r': line .*', '', str(error))}"
                continue
            absent = next((path for path in spec.elements if path not in paths), None)
            if absent is None:
                return True
            fault = f"there is no element {absent}"
        return Score(0.0, explanation=fault)

    return grade


def _starts(text: str) -> Iterator[int]:
    found = re.finditer(r"<(?:\?xml\s|[A-Za-z_])", text)
    return (match.start() for match, _ in zip(found, range(_PLACES), strict=False))


class _DoctypeError(Exception):
    """The document declares a type."""


class _DoneError(Exception):
    """The document has ended; what follows is text."""


def _paths(text: str, *, rest: bool) -> set[str]:
    """Return the paths of all elements; ``rest``: text may follow the document."""
    parser = expat.ParserCreate()
    open_elements: list[str] = []
    paths: set[str] = set()

    def start(name: str, _: Any) -> None:
        open_elements.append(name)
        paths.add(".".join(open_elements))

    def end(_: str) -> None:
        open_elements.pop()
        if rest and not open_elements:
            raise _DoneError

    def doctype(*_: Any) -> None:
        raise _DoctypeError("it declares a document type")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = doctype
    with contextlib.suppress(_DoneError):
        parser.Parse(text.strip().encode("utf-8", "replace"), True)
    return paths


def html_valid(spec: HtmlValid) -> Callable[[str], bool]:
    """Return a function: whether an output is HTML and nothing else, or with ``extract`` whether it holds some.

    Two marks of different kinds, such as a closed element and an attribute, make text hold HTML.

    Examples
    --------
    >>> from headgate.suite.scorers import HtmlValid
    >>> whole = html_valid(HtmlValid(name="html", type="html_valid"))
    >>> whole("<p>One<br>two</p>"), whole("<div>open"), whole("so: <p>this</p>")
    (True, False, False)
    >>> html_valid(HtmlValid(name="html", type="html_valid", extract=True))('see <a href="x">this</a>')
    True
    """
    return _holds_html if spec.extract else _is_html


def _holds_html(text: str) -> bool:
    return sum(mark.search(text) is not None for mark in _MARKS) >= 2 or len(_MARKS[0].findall(text)) >= 2


def _is_html(text: str) -> bool:
    if re.match(r"\s*<\?xml", text):
        return False
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.sound and reader.seen and not set(reader.open) - _OPTIONAL


class _Reader(HTMLParser):
    """Keeps the elements that are open, and whether all is as it should be so far."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.sound, self.seen = True, False

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        del attrs
        self.seen = True
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        del tag, attrs
        self.seen = True

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1] != tag and self.open[-1] in _OPTIONAL:
            self.open.pop()
        if self.open and self.open[-1] == tag:
            self.open.pop()
        elif tag not in _VOID:
            self.sound = False

    def handle_data(self, data: str) -> None:
        if data.strip() and not self.open:
            self.sound = False
