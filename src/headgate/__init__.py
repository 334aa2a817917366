"""headgate runs large LLM evaluations and says, with error bars, whether a change may pass."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate import stats, testing
    from headgate.api import (
        Canary,
        Estimate,
        Result,
        Run,
        Suite,
        Verdict,
        canary,
        canary_async,
        check,
        check_async,
        compare,
        gate,
        load_canary,
        load_suite,
        merge,
        run,
        run_async,
        scan,
        scan_scores,
        score_run,
        stream,
        stream_check,
        verify,
    )

__all__ = [
    "Canary",
    "Estimate",
    "Result",
    "Run",
    "Suite",
    "Verdict",
    "__version__",
    "canary",
    "canary_async",
    "check",
    "check_async",
    "compare",
    "gate",
    "load_canary",
    "load_suite",
    "merge",
    "run",
    "run_async",
    "scan",
    "scan_scores",
    "score_run",
    "stats",
    "stream",
    "stream_check",
    "testing",
    "verify",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in {"stats", "testing"}:
        return import_module(f"headgate.{name}")
    if name in __all__:
        return getattr(import_module("headgate.api"), name)
    raise AttributeError(f"module 'headgate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
