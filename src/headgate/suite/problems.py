"""Problems of declared data, all at once: pydantic's errors in the user's words, with line, field, value and mend."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from headgate.errors import ConfigError
from headgate.suite.documents import Document, Place

_ABSENT: Final = object()
_SECRET: Final = ("key", "token", "secret", "password", "authorization", "credential")
_COUNTS: Final = {"tokens_per_minute", "input_tokens_per_minute", "output_tokens_per_minute", "token_burst_s"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where; the value is shown only where one is given."""

    place: Place
    text: str
    value: Any = _ABSENT
    mend: str | None = None


class Problems(ValueError):
    """What a validator raises to report several problems, each at its own place."""

    def __init__(self, found: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{_dotted(problem.place)}: {problem.text}" for problem in found))
        self.found = tuple(found)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return the mend for a name that is not among the known ones.

    Examples
    --------
    >>> did_you_mean("opnai", ["openai", "simulated"])
    "did you mean 'openai'?"
    >>> did_you_mean("x", ["openai", "simulated"])
    'use one of openai, simulated'
    """
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"use one of {', '.join(names)}" if names else "there is none"


def repeated(names: Sequence[tuple[Place, str]]) -> Iterator[Problem]:
    """Yield a problem for each name that stands there before."""
    seen: set[str] = set()
    for place, name in names:
        if name in seen:
            yield Problem(place, "stands there twice", name)
        seen.add(name)


def unknown(place: Place, name: str, known: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem if a name is not among those that are declared."""
    if name not in known:
        yield Problem(place, "is not declared", name, did_you_mean(name, known))


def config_error(error: ValidationError, *, root: type[BaseModel], data: Any, document: Document | None) -> ConfigError:
    """Return one ConfigError that lists every problem, one a line, in the order of the file."""
    found = [
        problem for detail in error.errors(include_url=False) for problem in _problems(detail, root=root, data=data)
    ]
    return join_problems(found, document=document)


Made = TypeVar("Made", bound=BaseModel)


def make_part(kind: type[Made], data: Mapping[str, Any]) -> Made:
    """Return a part that is declared in no file.

    Raises
    ------
    ConfigError
        If anything in it is wrong.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise config_error(error, root=kind, data=data, document=None) from None


def join_problems(found: Sequence[Problem], *, document: Document | None) -> ConfigError:
    """Return one ConfigError for the problems of one document, or of data that was made in Python."""
    kept = list(_merged(found))
    if document is not None:
        kept.sort(key=lambda problem: document.line(problem.place) or 0)
    errors = [_error(problem, document) for problem in kept]
    return errors[0] if len(errors) == 1 else ConfigError("\n".join(map(str, errors)))


def _error(problem: Problem, document: Document | None) -> ConfigError:
    file, line = (None, None) if document is None else (document.file, document.line(problem.place))
    shown = {} if problem.value is _ABSENT or _is_secret(problem.place) else {"value": problem.value}
    return ConfigError(
        problem.text, file=file, line=line, field=_dotted(problem.place) or None, mend=problem.mend, **shown
    )


def _is_secret(place: Place) -> bool:
    return any(word in str(part).lower() for part in place if part not in _COUNTS for word in _SECRET)


def _dotted(place: Place) -> str:
    return ".".join(map(str, place))


def _merged(found: Iterable[Problem]) -> Iterator[Problem]:
    """Yield the problems without those that a deeper one explains; what several types of a union say becomes one."""
    places: dict[Place, list[Problem]] = {}
    for problem in found:
        places.setdefault(problem.place, []).append(problem)
    for place, problems in places.items():
        deeper = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        texts = list(dict.fromkeys(problem.text for problem in problems))
        if len(texts) == 1:
            if place == () or not (deeper and texts[0].startswith("is not ")):
                yield problems[0]
        elif closer := [problem for problem in problems if problem.text not in _OTHER_TYPE]:
            yield from closer  # one type of a union finds more wrong than that the value is of another
        elif all(text.startswith("is not ") for text in texts):
            joined = "is not " + " or ".join(text.removeprefix("is not ") for text in texts)
            yield Problem(place, joined, problems[0].value, problems[0].mend)
        else:
            yield from problems


_WORDS: Final = {
    "string_type": "is not text",
    "string_unicode": "is not text",
    "int_type": "is not a whole number",
    "float_type": "is not a number",
    "finite_number": "is not a finite number",
    "bool_type": "is not true or false",
    "list_type": "is not a list",
    "tuple_type": "is not a list",
    "dict_type": "is not a mapping",
    "model_type": "is not a mapping",
    "model_attributes_type": "is not a mapping",
    "callable_type": "is not a function",
    "missing": "is missing",
    "too_short": "is empty",
    "string_too_long": "is longer than {max_length} characters",
    "greater_than": "is not greater than {gt}",
    "greater_than_equal": "is less than {ge}",
    "less_than": "is not less than {lt}",
    "less_than_equal": "is greater than {le}",
}


_OTHER_TYPE: Final = frozenset(text for kind, text in _WORDS.items() if kind.endswith("_type"))


def _problems(detail: Mapping[str, Any], *, root: type[BaseModel], data: Any) -> Iterator[Problem]:
    place, context = _place(detail, data), detail.get("ctx", {})
    kind, value = detail["type"], detail["input"]
    raised = context.get("error")
    if isinstance(raised, Problems):
        for problem in raised.found:
            yield Problem(place + problem.place, problem.text, problem.value, problem.mend)
    elif raised is not None:
        yield Problem(place, str(raised))
    elif kind == "extra_forbidden":
        yield Problem(place, "there is no such field", mend=did_you_mean(place[-1], _fields(root, place[:-1], data)))
    elif kind in {"literal_error", "union_tag_invalid"}:
        yield _choice(place, kind, value, context)
    elif kind == "union_tag_not_found":
        yield Problem((*place, "type"), "is missing", mend="name the type of the scorer")
    elif kind == "string_pattern_mismatch":
        yield _pattern(place, value, context["pattern"])
    else:
        text = str(_WORDS.get(kind, detail["msg"])).format(**context)
        yield Problem(place, text) if kind in {"missing", "too_short"} else Problem(place, text, value)


def _choice(place: Place, kind: str, value: Any, context: Mapping[str, Any]) -> Problem:
    listed = context["expected" if kind == "literal_error" else "expected_tags"]
    known = [part.strip("' ") for part in listed.replace(" or ", ", ").split(",")]
    if kind == "union_tag_invalid":
        place, value = (*place, "type"), context["tag"]
    return Problem(place, "is none of the choices", value, did_you_mean(value, known))


def _pattern(place: Place, value: Any, pattern: str) -> Problem:
    if pattern.startswith("^[A-Za-z0-9]"):
        return Problem(place, "is not a name", value, "use letters, digits, '_', '-' and '.', first a letter or digit")
    return Problem(place, f"does not look like {pattern}", value)


def _place(detail: Mapping[str, Any], data: Any) -> Place:
    """Return where in the user's data an error stands: pydantic's place without its names of types and short forms."""
    kept: list[str | int] = []
    parts = list(detail["loc"])
    named = detail["type"] in {"missing", "extra_forbidden"}
    for index, part in enumerate(parts):
        tag = isinstance(data, dict) and data.get("type") == part and index < len(parts) - 1
        inner = _inner(data, part)
        if not tag and inner is not _ABSENT:
            data = inner
            kept.append(part)
        elif named and index == len(parts) - 1:
            kept.append(part)
    return tuple(kept)


def _inner(data: Any, part: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(part, _ABSENT)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return _ABSENT


def _fields(root: type[BaseModel], place: Place, data: Any) -> list[str]:
    """Return the keys that a mapping at a place may have."""
    annotation: Any = root
    for part in place:
        annotation = _step(annotation, part, data)
        data = _inner(data, part)
    return [name for model in _models(annotation, data) for name in model.model_fields]


def _step(annotation: Any, part: str | int, data: Any) -> Any:
    for model in _models(annotation, data):
        fields = {name: field.annotation for name, field in model.model_fields.items()}
        if part in fields:
            return fields[part]
        # A list in place of a mapping is a short form: the entries are those of the mapping's own list.
        return next(
            (
                _step(option, 0, None)
                for inner in fields.values()
                for option in _options(inner)
                if get_origin(option) is list
            ),
            None,
        )
    found = [arg for option in _options(annotation) for arg in get_args(option)[-1:]]
    return found[0] if found else None


def _models(annotation: Any, data: Any) -> Iterator[type[BaseModel]]:
    options = [option for option in _options(annotation) if isinstance(option, type) and issubclass(option, BaseModel)]
    kind = data.get("type") if isinstance(data, dict) else None
    tagged = [option for option in options if kind in _tags(option)]
    yield from tagged or options


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("type")
    return get_args(field.annotation) if field is not None and get_origin(field.annotation) is Literal else ()


def _options(annotation: Any) -> list[Any]:
    """Return the types that a value of the annotation may have."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _options(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return [inner for option in get_args(annotation) for inner in _options(option)]
    return [annotation]
