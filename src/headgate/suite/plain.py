"""Plain templates: text and nothing but ``{{name}}``, which means the same in every template language.

They make one prompt in two file formats one prompt: a plain template has one canonical form whatever language it is
written in. Where languages write a value differently (true, null, lists) it is refused, so that one form never stands
for two texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from headgate.errors import ConfigError

Language = Literal["jinja2", "prompty", "prompty-v1", "github-models", "handlebars", "mustache", "nunjucks"]
"""How a template that is not plain is to be read; Prompty's are jinja2 whose rendered messages are trimmed."""

_NAME: Final = r"([A-Za-z_][A-Za-z0-9_]*)"
_JINJA: Final = r"\{\{(?:.*?\}\})?|\{%(?:.*?%\})?|\{#(?:.*?#\})?"
_CONSTANTS: Final = frozenset({"true", "false", "none", "True", "False", "None", "self"})
_HELPERS: Final = frozenset(
    {"this", "true", "false", "null", "undefined", "else", "if", "unless", "each", "with", "lookup", "log"}
    | {"role", "history", "media", "section", "json", "ifEquals", "unlessEquals"}
)
_GLOBALS: Final = frozenset(
    {"true", "false", "none", "null", "env", "range", "cycler", "joiner", "loop", "super", "caller"}
)


@dataclass(frozen=True, slots=True)
class _Syntax:
    """What a language acts on, what of it is a plain variable, and the names that are none."""

    construct: re.Pattern[str]
    variable: re.Pattern[str]
    reserved: frozenset[str]


def _syntax(construct: str, variable: str, reserved: frozenset[str] = frozenset()) -> _Syntax:
    return _Syntax(re.compile(construct, re.DOTALL), re.compile(variable), reserved)


_SPACED: Final = rf"\{{\{{\s*{_NAME}\s*\}}\}}"
_SYNTAX: Final[dict[Language, _Syntax]] = {
    **dict.fromkeys(("jinja2", "prompty", "prompty-v1"), _syntax(_JINJA, _SPACED, _CONSTANTS)),
    "github-models": _syntax(_JINJA, rf"\{{\{{{_NAME}\}}\}}", _CONSTANTS),
    # A backslash escapes, and a third brace makes another tag.
    "handlebars": _syntax(r"\\*\{\{(?:.*?\}\}+)?", _SPACED, _HELPERS),
    # {{name}} is written with HTML's escapes; only these two forms are the value itself.
    "mustache": _syntax(
        r"\{\{(?:.*?\}\}+)?",
        r"\{\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}\}|\{\{&\s*(?P<also>[A-Za-z_][A-Za-z0-9_]*)\s*\}\}",
    ),
    "nunjucks": _syntax(_JINJA, _SPACED, _GLOBALS),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a template: text, a plain variable, or a construct that is neither."""

    kind: Literal["text", "variable", "construct"]
    text: str


def unix_lines(text: str) -> str:
    r"""Return text whose line ends are line feeds, as every template's are.

    Examples
    --------
    >>> unix_lines("a\r\nb\rc")
    'a\nb\nc'
    """
    return text.replace("\r\n", "\n").replace("\r", "\n")


def split_template(source: str, language: Language) -> list[Piece]:
    """Split a template into its text, its plain variables (by name), and whatever else its language acts on.

    Examples
    --------
    >>> [(piece.kind, piece.text) for piece in split_template("Hi {{ who }}, {{#if x}}", "handlebars")]
    [('text', 'Hi '), ('variable', 'who'), ('text', ', '), ('construct', '{{#if x}}')]
    """
    syntax, source = _SYNTAX[language], unix_lines(source)
    pieces: list[Piece] = []
    end = 0
    for match in syntax.construct.finditer(source):
        if match.start() > end:
            pieces.append(Piece("text", source[end : match.start()]))
        found = syntax.variable.fullmatch(match[0])
        name = found[found.lastindex or 0] if found else None
        plain = name is not None and name not in syntax.reserved
        pieces.append(Piece("variable", name) if plain and name is not None else Piece("construct", match[0]))
        end = match.end()
    if end < len(source):
        pieces.append(Piece("text", source[end:]))
    return pieces


def canonical_form(source: str, language: Language) -> str | None:
    """Return the one form that a plain template has in every language; None where it is not plain.

    Examples
    --------
    >>> canonical_form("Hi {{ who }}", "jinja2"), canonical_form("Hi {{{who}}}", "mustache")
    ('Hi {{ who }}', 'Hi {{ who }}')
    >>> canonical_form("Hi {{ who | upper }}", "jinja2") is None
    True
    """
    pieces = split_template(source, language)
    if any(piece.kind == "construct" for piece in pieces):
        return None
    return "".join(f"{{{{ {piece.text} }}}}" if piece.kind == "variable" else piece.text for piece in pieces)


class PlainTemplate:
    """Text with plain variables; what is substituted is text, or a number that every language writes alike.

    Parameters
    ----------
    source : str
        The template text.
    language : str
        In which it is written.
    file, where : str, optional
        What an error names.

    Raises
    ------
    ConfigError
        If the text holds more than plain variables; on rendering, if a variable is missing, or its value is one that
        template languages write differently.

    Examples
    --------
    >>> PlainTemplate("{{n}} times {{ word }}", "handlebars").render({"n": 2, "word": "<hi>"})
    '2 times <hi>'
    """

    def __init__(self, source: str, language: Language, *, file: str | None = None, where: str | None = None) -> None:
        self.source = source
        self._error = partial(ConfigError, file=file, field=where)
        self._pieces = split_template(source, language)
        for piece in self._pieces:
            if piece.kind == "construct":
                raise self._error(
                    f"is {_TITLES[language]}, of which only plain variables are rendered",
                    value=piece.text,
                    mend=_MENDS.get(language),
                )
        self.variables = frozenset(piece.text for piece in self._pieces if piece.kind == "variable")

    def render(self, variables: Mapping[str, Any], *, row: str | None = None) -> str:
        """Render with the columns of one item; ``row`` names the item in errors."""
        return "".join(
            piece.text if piece.kind == "text" else self._text(piece.text, variables, row) for piece in self._pieces
        )

    def _text(self, name: str, variables: Mapping[str, Any], row: str | None) -> str:
        problem = f"cannot be rendered{f' for {row}' if row else ''}"
        if name not in variables:
            names = ", ".join(sorted(map(str, variables))) or "none"
            raise self._error(
                f"{problem}: {name!r} is undefined", value=self.source, mend=f"the item's columns are: {names}"
            )
        text = value_text(variables[name])
        if text is None:
            raise self._error(
                f"{problem}: {name!r} is {variables[name]!r:.60}, which template languages write differently",
                mend="make it text in the items, or write the prompt as a jinja2 template",
            )
        return text


def value_text(value: Any) -> str | None:
    """Return the text that every template language writes for a value; None where they differ.

    Examples
    --------
    >>> value_text("as it stands"), value_text(12), value_text(0.5)
    ('as it stands', '12', '0.5')
    >>> [value_text(value) for value in (True, None, [1], {"a": 1}, 1e30, 1.0)]
    [None, None, None, None, None, None]
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return str(value) if abs(value) <= _EXACT else None
    return repr(value) if _SMALLEST <= abs(value) < _EXACT and not value.is_integer() else None


_EXACT: Final = 1 << 53
_SMALLEST: Final = 1e-4
_TITLES: Final[dict[Language, str]] = {
    "jinja2": "jinja2",
    "prompty": "jinja2",
    "prompty-v1": "jinja2",
    "github-models": "no plain {{name}} of GitHub Models",
    "handlebars": "Handlebars",
    "mustache": "Mustache",
    "nunjucks": "Nunjucks",
}
_MENDS: Final[dict[Language, str]] = {
    "mustache": "write {{{name}}} for the value as it stands, or use the template format jinja2",
    "nunjucks": "write a .j2 file, which is read as jinja2",
}
