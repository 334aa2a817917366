"""The provider ``python``: any sync or async callable as a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from headgate.execute.answer import Answer, Failure, FailureKind
from headgate.plan import Job

_FIELDS: Final = frozenset(Answer.__struct_fields__) - {"ttfb_s", "http_status", "quota"}
_NAMED: Final = ("item", "seed", "params", "prompt", "model")
_TRANSIENT: Final = (ConnectionError, TimeoutError)


def bind_call(call: Callable[..., Any]) -> Callable[[Job], Any]:
    """Return ``call`` as a function of one job.

    Its first argument is the list of chat messages. It may also name any of ``item`` (mapping of the item's columns),
    ``seed``, ``params``, ``prompt`` and ``model`` (their names) as keyword arguments.
    """
    try:
        parameters = inspect.signature(call).parameters
        takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        names = [name for name in _NAMED if takes_all or name in list(parameters)[1:]]
    except (TypeError, ValueError):  # some builtins have no signature
        names = []

    def bound(job: Job) -> Any:
        known = {
            "item": job.item.variables,
            "seed": job.seed,
            "params": {**job.prompt.params, **job.model.params},
            "prompt": job.prompt.name,
            "model": job.model.id,
        }
        return call(msgspec.json.decode(job.messages), **{name: known[name] for name in names})

    return bound


def as_answer(returned: Any) -> Answer | Failure:
    """Read what the callable returned: text, None for no answer, or a mapping with ``output`` and fields of a result.

    Examples
    --------
    >>> as_answer({"output": "hi", "output_tokens": 1}).output_tokens
    1
    >>> as_answer(7).message
    'the callable returned int 7; return text, or a mapping with `output`'
    """
    if returned is None or isinstance(returned, str):
        return Answer(output=returned)
    if not isinstance(returned, Mapping) or "output" not in returned:
        shown = f"{type(returned).__name__} {str(returned)[:80]}"
        return _failed(f"the callable returned {shown}; return text, or a mapping with `output`")
    unknown = sorted(str(key) for key in returned if key not in _FIELDS)
    if unknown:
        return _failed(
            f"the callable returned unknown fields {', '.join(unknown)}; known are {', '.join(sorted(_FIELDS))}"
        )
    try:
        return msgspec.convert(dict(returned), Answer)
    except msgspec.ValidationError as error:
        return _failed(f"the callable returned a wrong value: {error}")


def as_failure(error: Exception) -> Failure:
    """Classify what the callable raised: connection errors and timeouts are tried again."""
    kind: FailureKind = "transient" if isinstance(error, _TRANSIENT) else "callable"
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - the user's own class
        said = "cannot be shown"
    return Failure(kind=kind, message=f"{type(error).__name__}: {said}"[:500])


def _failed(message: str) -> Failure:
    return Failure(kind="callable", message=message)
