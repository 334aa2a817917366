"""Callables that a suite names: ``module:function``, where the module may be a file beside the suite."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from headgate.errors import ConfigError


def resolve_callable(
    call: str | Callable[..., Any], *, base: Path, field: str, file: Path | None = None
) -> Callable[..., Any]:
    """Return the callable that ``module:function`` names; the module may be a file beside the suite.

    Raises
    ------
    ConfigError
        If the module cannot be imported, or has no such callable.
    """
    target = resolve_object(call, base=base, field=field, file=file)
    if not callable(target):
        raise ConfigError("is not callable", file=file, field=field, value=call)
    return target  # type: ignore[no-any-return]


def resolve_object(call: Any, *, base: Path, field: str, file: Path | None = None) -> Any:
    """Return the object that ``module:name`` names, callable or not; as :func:`resolve_callable`."""
    if not isinstance(call, str):
        return call
    name, colon, attribute = call.partition(":")
    if not colon or not attribute:
        raise ConfigError(
            "is not module:function", file=file, field=field, value=call, mend="write it like 'scorers:grade'"
        )
    target: Any = _import(name, base=base, field=field, file=file)
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise ConfigError(f"has no {part!r}", file=file, field=field, value=call)
        target = getattr(target, part)
    return target


def is_async_callable(call: Callable[..., Any]) -> bool:
    """Return whether calling gives an awaitable: a coroutine function, or an object whose ``__call__`` is one.

    Examples
    --------
    >>> is_async_callable(len)
    False
    """
    if inspect.isclass(call):
        return False
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__)


def _import(name: str, *, base: Path, field: str, file: Path | None) -> ModuleType:
    beside = base / (name.replace(".", "/") + ".py")
    try:
        if not beside.is_file():
            return importlib.import_module(name)
        # A name of its own: two suites may each have a scorers.py.
        unique = f"headgate_suite.{beside.resolve().as_posix().strip('/').replace('/', '_').removesuffix('.py')}"
        spec = importlib.util.spec_from_file_location(unique, beside)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[unique] = module
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's module raises on import is a fault of the configuration
        raise ConfigError(
            f"cannot be imported: {type(error).__name__}: {error}",
            file=file,
            field=field,
            value=name,
            mend=f"put {beside.name} beside the suite file, or install the module",
        ) from error
    return module


def callable_name(call: Callable[..., Any]) -> str:
    """Return ``module:qualname`` of a callable (its class where an instance is called)."""
    named = call if hasattr(call, "__qualname__") else type(call)
    return f"{named.__module__}:{named.__qualname__}"
