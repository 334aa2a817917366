"""Scorers of markup: well-formed XML, HTML whose elements are closed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final
from xml.parsers import expat

from headgate.score.callables import Score

if TYPE_CHECKING:
    from headgate.suite.scorers import HtmlValid, XmlValid

_VOID: Final = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
_OPTIONAL: Final = frozenset(("li", "p", "td", "th", "tr", "dt", "dd", "option", "thead", "tbody", "tfoot"))
_TAG: Final = re.compile(r"<([a-z][a-z0-9-]*)([^<>]*)>", re.IGNORECASE)
_TOKEN: Final = re.compile(
    r"<!--|<!doctype[^<>]*>|<(?P<slash>/?)(?P<name>[a-z][a-z0-9-]*)(?P<rest>(?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>",
    re.IGNORECASE,
)
_END: Final = re.compile(r"</([a-z][a-z0-9-]*)\s*>", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(r"\s[\w-]+\s*=\s*[\"']")
_ENTITY: Final = re.compile(r"&(?:[a-z][a-z0-9]+|#\d+|#x[0-9a-f]+);", re.IGNORECASE)
_PLACES: Final = 20  # tags of a text that are tried as the beginning of a document


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
                absent = _absent(output[start:], spec.elements, rest=spec.extract)
            except (expat.ExpatError, _DoctypeError) as error:
                fault = f"is not well-formed: {re.sub(r': line .*', '', str(error))}"
                continue
            if not absent:
                return True
            fault = f"there is no element {absent[0]}"
        return Score(0.0, explanation=fault)

    return grade


def _starts(text: str) -> Iterator[int]:
    found = re.finditer(r"<(?:\?xml\s|[A-Za-z_])", text)
    return (match.start() for match, _ in zip(found, range(_PLACES), strict=False))


class _DoctypeError(Exception):
    """The document declares a type."""


class _DoneError(Exception):
    """The document has ended; what follows is text."""


def _absent(text: str, elements: Sequence[str], *, rest: bool) -> list[str]:
    """Return the elements that a document lacks; ``rest``: text may follow the document."""
    parser = expat.ParserCreate()
    open_elements: list[str] = []
    wanted = {path: path.split(".") for path in elements}
    found: set[str] = set()

    def start(name: str, _: Any) -> None:
        open_elements.append(name)
        found.update(path for path, steps in wanted.items() if steps == open_elements)

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
    return [path for path in elements if path not in found]


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
    """Tell whether a text shows two marks of HTML; no pattern looks further than the tag that it is in."""
    tags = [(match[1].lower(), match[2]) for match in _TAG.finditer(text)]
    names = {name for name, _ in tags}
    closed = names & {match[1].lower() for match in _END.finditer(text)}
    marks = (
        bool(names & _VOID),
        any(_ATTRIBUTE.search(rest) for _, rest in tags),
        _ENTITY.search(text) is not None,
        "-->" in text.partition("<!--")[2],
        "<!doctype html" in text.lower(),
    )
    return len(closed) + sum(marks) >= 2


def _is_html(text: str) -> bool:
    """Tell whether a text is elements that are closed, and nothing else outside of them.

    Not by ``html.parser``: on an open tag that never ends it tries again from every place, for minutes.
    """
    if text.lstrip().lower().startswith("<?xml"):
        return False
    open_elements: list[str] = []
    place, seen = 0, False
    while (match := _TOKEN.search(text, place)) is not None:
        if not open_elements and text[place : match.start()].strip():
            return False
        place = match.end()
        if match[0] == "<!--":
            place = _behind(text, "-->", place)
        elif match["name"]:
            seen = True
            name = match["name"].lower()
            if not _step(open_elements, name, closes=bool(match["slash"]), empty=match["rest"].endswith("/")):
                return False
            if open_elements[-1:] in (["script"], ["style"]):  # what is in them is no markup
                place = _before(text, f"</{name}", place)
    rest = text[place:].strip() and not open_elements
    return seen and not rest and not set(open_elements) - _OPTIONAL


def _step(open_elements: list[str], name: str, *, closes: bool, empty: bool) -> bool:
    """Open or close an element; return False where there is none to close."""
    if not closes:
        if name not in _VOID and not empty:
            open_elements.append(name)
        return True
    while open_elements and open_elements[-1] != name and open_elements[-1] in _OPTIONAL:
        open_elements.pop()
    if open_elements and open_elements[-1] == name:
        open_elements.pop()
        return True
    return name in _VOID


def _before(text: str, end: str, place: int) -> int:
    match = re.compile(re.escape(end), re.IGNORECASE).search(text, place)
    return len(text) if match is None else match.start()


def _behind(text: str, end: str, place: int) -> int:
    found = text.find(end, place)
    return len(text) if found < 0 else found + len(end)
