"""Handlebars as dotprompt uses it: its helpers, and the markers that turn one rendered text into messages.

The engine is an extra, ``dotpromptz-handlebars``; templates with nothing but plain variables do without it. Where it
and Handlebars.js, which dotprompt means, treat a template differently (white space beside tags that stand alone on a
line), the template is refused: what is rendered here is what is rendered there.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from headgate.errors import ConfigError

ROLES: Final = {"system": "system", "user": "user", "model": "assistant"}
"""dotprompt's roles, and what they are called on the wire."""

_UNSENT: Final = ("media", "section")
_TAG: Final = re.compile(r"\{\{!--.*?--~?\}\}|\{\{\{.*?\}\}\}|\{\{.*?\}\}", re.DOTALL)
_ALONE: Final = re.compile(r"\{\{\{?~?\s*(?:[!#/>^]|else\b)")
"""Tags that take their line with them when nothing else stands on it."""


class HandlebarsTemplate:
    """A dotprompt template, where printing what the item lacks is an error.

    Parameters
    ----------
    source : str
        The template text.
    partials : mapping of str to str
        What ``{{> name}}`` includes, by name.
    file, where : str, optional
        What an error names.

    Raises
    ------
    ConfigError
        If the engine is not installed, or the text is not a template; on rendering, if a value is missing, a helper is
        unknown, or the template makes a part of a message that is no text.

    Examples
    --------
    >>> HandlebarsTemplate('{{role "system"}}Be {{#if kind}}kind{{/if}}').messages({"kind": True}, role="user")
    [('system', 'Be kind')]
    """

    def __init__(
        self,
        source: str,
        *,
        partials: Mapping[str, str] | None = None,
        file: str | None = None,
        where: str | None = None,
    ) -> None:
        self.source = source
        self._error = partial(ConfigError, file=file, field=where)
        # Values cannot hold a marker that nobody can guess: they never begin a message.
        self._marker = f"\0{secrets.token_hex(8)}:"
        self._split = re.compile(rf"{self._marker}(\w*)\0")
        for text in (source, *(partials or {}).values()):
            self._refuse_uncertain(text)
        engine = self._engine()
        try:
            for name, text in (partials or {}).items():
                engine.register_partial(name, text)
            self._render: Callable[[Mapping[str, Any]], str] = engine.compile(source)
        except Exception as error:  # the engine's own: what they say is what is wrong with the template
            raise self._error(f"is not a Handlebars template: {error}", value=source) from error

    def _refuse_uncertain(self, source: str) -> None:
        uncertain = next(_uncertain(source), None)
        if uncertain is not None:
            raise self._error(
                "is Handlebars that engines render differently",
                value=uncertain,
                mend="end the line after a tag that begins one, and leave out ~, \\{{, {{{{ and }}} beside blocks",
            )

    def _engine(self) -> Any:
        try:
            from dotpromptz_handlebars import Handlebars
        except ImportError:
            raise self._error(
                "is Handlebars with more than plain variables, and no engine for it is installed",
                mend="pip install 'headgate[dotprompt]'",
            ) from None
        engine = Handlebars(escape_html=False, strict=True)
        engine.register_helper("role", lambda args, _: self._role(args))
        engine.register_helper("history", lambda _args, _options: f"{self._marker}\0")
        engine.register_helper("log", lambda _args, _options: "")
        engine.register_helper("json", _json)
        engine.register_helper("ifEquals", lambda args, options: _choose(args, options, equal=True))
        engine.register_helper("unlessEquals", lambda args, options: _choose(args, options, equal=False))
        for name in _UNSENT:
            engine.register_helper(name, partial(self._refuse, name))
        return engine

    def _role(self, args: list[Any]) -> str:
        if not args or args[0] not in ROLES:
            shown = repr(args[0]) if args else "without a name"
            raise ValueError(f"role {shown} is none of {', '.join(ROLES)}")
        return f"{self._marker}{args[0]}\0"

    def _refuse(self, name: str, _args: list[Any], _options: Any) -> str:
        raise ValueError(f"{{{{{name}}}}} makes a part of a message that is no text, and only text is sent")

    def messages(self, variables: Mapping[str, Any], *, role: str, row: str | None = None) -> list[tuple[str, str]]:
        """Render with the columns of one item into messages, the first of them of a role; ``row`` names the item."""
        try:
            pieces = self._split.split(self._render(variables))
        except Exception as error:  # whatever the template or a helper of it raises is the template's error
            names = ", ".join(sorted(map(str, variables))) or "none"
            raise self._error(
                f"cannot be rendered{f' for {row}' if row else ''}: {error}",
                value=self.source,
                mend=f"the item's columns are: {names}",
            ) from error
        marked = (("role", text) if index % 2 else ("text", text) for index, text in enumerate(pieces))
        return split_messages(marked, role=role)


def split_messages(pieces: Iterable[tuple[str, str]], *, role: str) -> list[tuple[str, str]]:
    """Return the messages that texts and role markers make, as dotprompt does.

    Parameters
    ----------
    pieces : iterable of (kind, text)
        ``role`` with its name (empty: the history, of which there is none here, and after which the model speaks), or
        ``text``. What is blank between two markers makes no message.
    role : str
        Who speaks first.

    Examples
    --------
    >>> split_messages([("role", "system"), ("text", "Be kind. "), ("role", ""), ("text", "Yes?")], role="user")
    [('system', 'Be kind. '), ('assistant', 'Yes?')]
    """
    messages: list[tuple[str, str]] = []
    spoken = ""
    for kind, text in (*pieces, ("role", "")):
        if kind == "text":
            spoken += text
            continue
        if spoken.strip():
            messages.append((role, spoken))
        role, spoken = ROLES[text or "model"], ""
    return messages


def _json(args: list[Any], options: Any) -> str:
    if not args or args[0] is None:
        raise ValueError("{{json}} of null, or of what the item lacks, is written differently by engines")
    indent = int(options.hash_value("indent") or 0)
    if indent:
        return json.dumps(args[0], ensure_ascii=False, indent=indent)
    return json.dumps(args[0], ensure_ascii=False, separators=(",", ":"))


def _choose(args: list[Any], options: Any, *, equal: bool) -> Any:
    if len(args) != 2:
        raise ValueError("ifEquals and unlessEquals compare two values")
    return options.fn() if _is_same(*args) is equal else options.inverse()


def _is_same(one: Any, other: Any) -> bool:
    """Compare as JavaScript's ``===`` does: no conversions, and lists and objects are the same only as one value."""
    kinds = {_kind(one), _kind(other)}
    return len(kinds) == 1 and (one is other if "object" in kinds else bool(one == other))


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool | str):
        return type(value).__name__
    return "number" if isinstance(value, int | float) else "object"


def _uncertain(source: str) -> Iterator[str]:
    """Yield the tags beside which engines treat white space, escapes or braces differently."""
    if raw := re.search(r"\{\{\{\{|\\\{\{", source):
        yield raw[0]
    tags = list(_TAG.finditer(source))
    for before, tag, after in zip([None, *tags], tags, [*tags[1:], None], strict=False):
        text, triple = tag[0], tag[0].startswith("{{{")
        alone = _ALONE.match(text) is not None
        follows = source[tag.end() : after.start() if after else len(source)]
        cut = text.endswith("~}}") or (after is not None and after[0].startswith("{{~"))
        beside = alone or (after is not None and _ALONE.match(after[0]) is not None)
        first = before is None and alone and text.startswith("{{~")
        # A tag that begins its line, and that blanks and another tag follow on it.
        line = source[before.end() if before else 0 : tag.start()]
        begins = (before is None or "\n" in line) and not line[line.rfind("\n") + 1 :].strip(" \t")
        crowded = alone and begins and after is not None and follows != "" and not follows.strip(" \t")
        if (cut and beside) or first or crowded or (alone and triple) or (follows.startswith("}") and not triple):
            yield text
