"""How Argo Rollouts judges an AnalysisRun, restated in a few lines: what its sources say, and what its controller did.

A measurement is Successful, Failed, Inconclusive or Error. After each one the metric is assessed: Failed above
`failureLimit`; Inconclusive above `inconclusiveLimit`, which takes the place of Failed; Error above
`consecutiveErrorLimit`, which takes the place of both. Then `consecutiveSuccessLimit` (since 1.8) ends it Successful.
At `count` it is over: without `consecutiveSuccessLimit` Successful, whatever was measured; with it Inconclusive. Errors
do not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

Phase = Literal["Successful", "Failed", "Inconclusive", "Error"]

ROLLOUT = {"Successful": "goes on", "Failed": "aborts", "Error": "aborts", "Inconclusive": "pauses"}
DEFAULT_ERRORS = 4

_CONDITION = re.compile(r'result\.(\w+) == "(\w+)"')


def measure(metric: dict[str, Any], answer: dict[str, Any] | None) -> Phase:
    """Judge what the web provider got: a JSON object, or None for an error of the request."""
    if answer is None:
        return "Error"
    try:
        holds = [_holds(metric.get(f"{kind}Condition"), answer) for kind in ("success", "failure")]
    except KeyError:
        return "Error"
    success, failure = holds
    if failure:
        return "Failed"
    if success:
        return "Successful"
    if success is None or failure is None:  # one condition alone: its negation decides
        return "Failed" if failure is None else "Successful"
    return "Inconclusive"


def _holds(condition: str | None, answer: dict[str, Any]) -> bool | None:
    if condition is None:
        return None
    found = _CONDITION.fullmatch(condition)
    assert found, condition
    return answer[found[1]] == found[2]


def job_phase(exit_code: int) -> Phase:
    """Judge a Job with backoffLimit 0."""
    return "Successful" if exit_code == 0 else "Failed"


def assess(metric: dict[str, Any], take: Callable[[int], Phase] | Iterable[Phase]) -> tuple[str, int]:
    """Return how the metric ends, and after how many measurements; Running if they end before it does.

    `take` is asked for the measurement of a number, from 1; a list stands for a function of it.
    """
    limit = {name: metric.get(f"{name}Limit", 0) for name in ("failure", "inconclusive", "consecutiveSuccess")}
    errors_allowed = metric.get("consecutiveErrorLimit", DEFAULT_ERRORS)
    most = metric.get("count", None if "interval" in metric else 1)
    assert most is None or most >= limit["failure"] + limit["consecutiveSuccess"], "the controller refuses it"
    counts = dict.fromkeys(("Successful", "Failed", "Inconclusive"), 0)
    successes = errors = 0
    taken = 0
    phases = map(take, range(1, 10_000)) if callable(take) else iter(take)
    for taken, phase in enumerate(phases, 1):
        errors = errors + 1 if phase == "Error" else 0
        successes = successes + 1 if phase == "Successful" else 0
        if phase != "Error":
            counts[phase] += 1
        if errors > errors_allowed:
            return "Error", taken
        if counts["Inconclusive"] > limit["inconclusive"]:
            return "Inconclusive", taken
        if counts["Failed"] > limit["failure"]:
            return "Failed", taken
        if 0 < limit["consecutiveSuccess"] <= successes:
            return "Successful", taken
        if most is not None and sum(counts.values()) >= most:
            return "Inconclusive" if limit["consecutiveSuccess"] else "Successful", taken
    return "Running", taken
