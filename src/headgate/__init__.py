"""headgate runs large LLM evaluations and says, with error bars, whether a change may pass."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate import stats, testing
    from headgate.api import (
        Baseline,
        BaselineSearch,
        Canary,
        Estimate,
        Prompt,
        Result,
        Run,
        Suite,
        Verdict,
        canary,
        canary_async,
        check,
        check_async,
        compare,
        doctor,
        export_run,
        find_baseline,
        forecast,
        gate,
        gate_scores,
        import_suite,
        list_baselines,
        load_canary,
        load_prompt,
        load_suite,
        merge,
        pilot,
        pilot_async,
        run,
        run_async,
        save_baseline,
        scan,
        scan_scores,
        score_run,
        stream,
        stream_check,
        verify,
    )

__all__ = [
    "Baseline",
    "BaselineSearch",
    "Canary",
    "Estimate",
    "Prompt",
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
    "doctor",
    "export_run",
    "find_baseline",
    "forecast",
    "gate",
    "gate_scores",
    "import_suite",
    "list_baselines",
    "load_canary",
    "load_prompt",
    "load_suite",
    "merge",
    "pilot",
    "pilot_async",
    "run",
    "run_async",
    "save_baseline",
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

# What an application loads with its prompts does not bring the engine along.
_HOMES = {"load_prompt": "headgate.registry.labels", "Prompt": "headgate.suite.prompts"}


def __getattr__(name: str) -> Any:
    if name in {"stats", "testing"}:
        return import_module(f"headgate.{name}")
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "headgate.api")), name)
    raise AttributeError(f"module 'headgate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
