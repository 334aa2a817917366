"""What a user imports: run a suite, stream its results, judge runs, read them as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headgate.api.calls import Run, RunPath, Watch
from headgate.api.canaries import canary, canary_async
from headgate.api.checks import check, check_async, stream_check
from headgate.api.doctors import doctor
from headgate.api.exports import export_run
from headgate.api.forecasts import forecast, pilot, pilot_async
from headgate.api.imports import import_suite
from headgate.api.runs import merge, run, run_async, score_run, stream
from headgate.api.scores import gate_scores
from headgate.api.verdicts import compare, gate
from headgate.conduct.baselines import BaselineSearch, find_baseline, list_baselines, save_baseline
from headgate.decide.verdict import Verdict
from headgate.registry.labels import load_prompt
from headgate.result import Result
from headgate.store.baselines.entry import Baseline
from headgate.store.dataset import scan, scan_scores
from headgate.store.verify import verify
from headgate.suite.canary import Canary
from headgate.suite.files import load_canary, load_suite
from headgate.suite.prompts import Prompt
from headgate.suite.suite import Suite

if TYPE_CHECKING:
    from headgate.stats import Estimate

__all__ = [
    "Baseline",
    "BaselineSearch",
    "Canary",
    "Estimate",
    "Prompt",
    "Result",
    "Run",
    "RunPath",
    "Suite",
    "Verdict",
    "Watch",
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
    "stream",
    "stream_check",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "Estimate":  # scipy comes with it, and a run needs neither
        from headgate.stats import Estimate

        return Estimate
    raise AttributeError(f"module 'headgate.api' has no attribute {name!r}")
