"""YAML, TOML and JSON text to plain JSON data, with the line of every key, so that an error can name it."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from headgate.errors import ConfigError

Place = tuple[str | int, ...]
"""Keys and indices that lead to a value."""

_MOST_NODES: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file says, and where.

    Attributes
    ----------
    file : Path
        As the user named it.
    data : JSON data
        Objects, arrays, text, numbers, booleans, null.
    lines : mapping of place to int
        Line of a key or list entry, from 1. Complete for YAML; for TOML and JSON only what can be told apart.
    """

    file: Path
    data: Any
    lines: Mapping[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int | None:
        """Return the line of a place, or of the nearest one around it."""
        for end in range(len(place), 0, -1):
            if place[:end] in self.lines:
                return self.lines[place[:end]]
        return None


def read_text(path: Path) -> str:
    """Read UTF-8 text with or without a byte order mark.

    Raises
    ------
    ConfigError
        If there is no such file, it cannot be read, or it is not UTF-8 (then with the line).
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError("there is no such file", file=path) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=path) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("is not UTF-8", file=path, line=line, mend="save the file as UTF-8") from error


def read_document(path: Path) -> Document:
    """Read a YAML, TOML or JSON file, which its name's ending tells apart.

    Raises
    ------
    ConfigError
        If the file is missing, of another kind, not UTF-8, or not of its format.
    """
    return parse_document(lambda: read_text(path), path)


def parse_document(read: Callable[[], str], file: Path) -> Document:
    """Parse the text of a YAML, TOML or JSON file, which its name's ending tells apart.

    Raises
    ------
    ConfigError
        If it is of another kind, or not of its format.
    """
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise ConfigError("is of no format that is read here", file=file, mend=f"use {', '.join(_READERS)}")
    return reader(read(), file)


def parse_yaml(text: str, file: Path) -> Document:
    """Parse one YAML 1.2 document: ``no``, ``on`` and dates are text, a key may stand once, no tags.

    Raises
    ------
    ConfigError
        With the line.
    """
    reader = _YamlReader(file)
    try:
        node = yaml.compose(text, Loader=_Yaml)
        data = None if node is None else reader.value(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = f"is not YAML: {error.problem or error.context}"
        raise ConfigError(problem, file=file, line=None if mark is None else mark.line + 1) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"is not YAML: {error.reason}", file=file, line=line) from error
    except RecursionError as error:
        raise ConfigError("is nested too deeply", file=file) from error
    return Document(file=file, data=data, lines=reader.lines)


def parse_toml(text: str, file: Path) -> Document:
    """Parse TOML; dates and times become text.

    Raises
    ------
    ConfigError
        With the line where the parser tells it.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"^(.*?) \(at line (\d+), column \d+\)$", str(error))
        problem, line = (
            (at[1], int(at[2])) if at else (str(error).removesuffix(" (at end of document)"), text.count("\n") + 1)
        )
        raise ConfigError(f"is not TOML: {problem}", file=file, line=line) from error
    except RecursionError as error:
        raise ConfigError("is nested too deeply", file=file) from error
    key = r"(?m)^\s*(?:\[+[^\]\n]*?)?(?<![\w\-]){0}\s*[=\]]|[{{,]\s*{0}\s*="
    return Document(file=file, data=_plain(data), lines=_find_lines(data, text, key))


def parse_json(text: str, file: Path) -> Document:
    """Parse JSON; a key may stand once, numbers are finite.

    Raises
    ------
    ConfigError
        With the line of a syntax error.
    """
    try:
        data = load_json(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"is not JSON: {error.msg}", file=file, line=error.lineno) from error
    except ValueError as error:
        raise ConfigError(f"is not JSON: {error}", file=file) from error
    except RecursionError as error:
        raise ConfigError("is nested too deeply", file=file) from error
    return Document(file=file, data=data, lines=_find_lines(data, text, r'"{0}"\s*:'))


_READERS: Final[dict[str, Callable[[str, Path], Document]]] = {
    ".yaml": parse_yaml,
    ".yml": parse_yaml,
    ".toml": parse_toml,
    ".json": parse_json,
}


def load_json(text: str) -> Any:
    """Decode strict JSON: keys stand once, numbers are finite, text is whole.

    Raises
    ------
    ValueError
        With the reason; :class:`json.JSONDecodeError` for a mistake of syntax.

    Examples
    --------
    >>> load_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ValueError: the key 'a' stands there twice
    """
    data = _JSON.decode(text)
    if "\\ud" in text or "\\uD" in text:
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("a text holds half of a surrogate pair") from error
    return data


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands there twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text} is out of range")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


_JSON: Final = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_float=_finite)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def _find_lines(data: Any, text: str, pattern: str) -> dict[Place, int]:
    """Return the lines of keys that the text holds once: TOML and JSON parsers do not tell lines."""
    places: dict[str, list[Place]] = {}
    for place in _places(data, ()):
        places.setdefault(str(place[-1]), []).append(place)
    found: dict[Place, int] = {}
    for name, known in places.items():
        hits = [hit.end() - 1 for hit in re.finditer(pattern.format(re.escape(name)), text)]
        if len(known) == len(hits) == 1:
            found[known[0]] = text.count("\n", 0, hits[0]) + 1
    return found


def _places(data: Any, place: Place) -> Iterable[Place]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield (*place, key)
            yield from _places(value, (*place, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _places(value, (*place, index))


class _Yaml(yaml.SafeLoader):
    """PyYAML's parser with the scalars of YAML 1.2's core schema, plus merge keys."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # PyYAML's own class attribute


_INT: Final = r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
_FLOAT: Final = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", _INT, list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Yaml.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


def _int(text: str) -> int:
    return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)


_SCALARS: Final[dict[str, Callable[[str], Any]]] = {
    "tag:yaml.org,2002:str": str,
    "tag:yaml.org,2002:null": lambda _: None,
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": _int,
    "tag:yaml.org,2002:float": _float,
    "tag:yaml.org,2002:merge": str,
}


class _YamlReader:
    """Nodes to data. Bounded: an alias that holds itself, or a bomb of aliases, is refused."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: dict[Place, int] = {}
        self._nodes = 0
        self._open: set[int] = set()

    def value(self, node: yaml.Node, place: Place) -> Any:
        self._nodes += 1
        if id(node) in self._open or self._nodes > _MOST_NODES:
            raise self._error("is too large or holds itself", node, place, mend="put the items in a file of their own")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, place)
        if node.tag not in {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}:
            raise self._error(f"has the tag {node.tag}", node, place, mend="write plain YAML without tags")
        self._open.add(id(node))
        made = self._mapping(node, place) if isinstance(node, yaml.MappingNode) else self._sequence(node, place)
        self._open.remove(id(node))
        return made

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        make = _SCALARS.get(node.tag)
        try:
            if make is not None:
                return make(node.value)
        except ValueError as error:
            raise self._error(f"is not YAML: {error}", node, place) from error
        raise self._error(f"has the tag {node.tag}", node, place, mend="write plain YAML without tags")

    def _sequence(self, node: yaml.Node, place: Place) -> list[Any]:
        for index, inner in enumerate(node.value):
            self.lines[*place, index] = inner.start_mark.line + 1
        return [self.value(inner, (*place, index)) for index, inner in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, inner in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                merged = self._merged(inner, place) | merged
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise self._error("a key is not text", key, place)
            if key.value in made:
                before = self.lines[*place, key.value]
                raise self._error(f"stands there twice, first in line {before}", key, (*place, key.value))
            self.lines[*place, key.value] = key.start_mark.line + 1
            made[key.value] = self.value(inner, (*place, key.value))
        return merged | made

    def _merged(self, node: yaml.Node, place: Place) -> dict[str, Any]:
        found = self.value(node, place)
        parts = found if isinstance(found, list) else [found]
        if not all(isinstance(part, dict) for part in parts):
            raise self._error("`<<` merges mappings only", node, place)
        return {key: value for part in reversed(parts) for key, value in part.items()}

    def _error(self, problem: str, node: yaml.Node, place: Place, *, mend: str | None = None) -> ConfigError:
        name = ".".join(map(str, place)) or None
        return ConfigError(problem, file=self.file, line=node.start_mark.line + 1, field=name, mend=mend)
