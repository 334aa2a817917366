"""What an evaluator is told of a row, by the names that its framework has for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headgate.identity import canonical_json

OUTPUT: Final = "output"
TARGET: Final = "target"
INPUT: Final = "input"
"""Where a framework's field comes from: the answer, the expected answer, what was asked."""

_ASKED: Final = ("input", "question")


class Fields:
    """The fields of one framework.

    Parameters
    ----------
    usual : mapping of str to str
        The framework's field to ``output``, ``target``, ``input`` or a column of the item.
    declared : mapping of str to str
        What the suite says instead, or adds; a dotted field is made part of a mapping.

    Examples
    --------
    >>> fields = Fields({"prediction": "output", "reference": "target"}, {"reference": "gold"})
    >>> fields.of("4", {"question": "2+2?", "gold": "four", "target": None})
    {'prediction': '4', 'reference': 'four'}
    >>> Fields({}, {"outputs.answer": "output"}).of("4", {})
    {'outputs': {'answer': '4'}}
    """

    def __init__(self, usual: Mapping[str, str], declared: Mapping[str, str]) -> None:
        heads = {name.partition(".")[0] for name in declared}
        self._usual = {name: source for name, source in usual.items() if name.partition(".")[0] not in heads}
        self._declared = declared

    def of(self, output: str, item: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a row; a usual one that the item has no value for is left out.

        Raises
        ------
        LookupError
            If the item lacks a column that the suite names.
        """
        found: dict[str, Any] = {}
        for name, source in self._usual.items():
            if (value := _value(source, output, item)) is not None:
                _put(found, name, value)
        for name, source in self._declared.items():
            if source not in {OUTPUT, INPUT} and source not in item:
                raise LookupError(f"the item has no column {source!r}, which `inputs` names for {name!r}")
            _put(found, name, _value(source, output, item))
        return found


def known_columns(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of an item without its id and its target, and without those that are empty."""
    return {name: value for name, value in item.items() if name not in {"id", TARGET} and value is not None}


def asked(item: Mapping[str, Any]) -> str:
    r"""Return what was asked: the column ``input`` or ``question``, the only column, or all of them as lines.

    Examples
    --------
    >>> asked({"question": "2+2?", "context": "sums"}), asked({"a": 1, "b": "x", "target": "t"})
    ('2+2?', 'a: 1\nb: x')
    """
    columns = known_columns(item)
    for name in _ASKED:
        if name in columns:
            return _text(columns[name])
    if len(columns) == 1:
        return _text(next(iter(columns.values())))
    return "\n".join(f"{name}: {_text(value)}" for name, value in columns.items())


def _value(source: str, output: str, item: Mapping[str, Any]) -> Any:
    if source == OUTPUT:
        return output
    if source == INPUT and INPUT not in item:
        return asked(item)
    return item.get(source)


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    head, dot, rest = name.partition(".")
    if dot:
        _put(found.setdefault(head, {}), rest, value)
    else:
        found[name] = value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value).decode()
