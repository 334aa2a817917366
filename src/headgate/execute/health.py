"""How an endpoint is: whether an attempt may go there, whether it may be repeated, and whether it is dead."""

from __future__ import annotations

import logging
import time
from typing import Final

from headgate.errors import EndpointError
from headgate.execute.answer import Answer, Failure, FailureKind
from headgate.execute.circuit import Circuit
from headgate.execute.retry import ACTIONS
from headgate.execute.retry_budget import RetryBudget

_LOG: Final = logging.getLogger("headgate.engine")

_FEWEST: Final = 5
_NEVER_ANSWERED_S: Final = 1.5  # the second probe of an open circuit comes no sooner
_FELL_SILENT_S: Final = 60.0
_FEWEST_BROKEN: Final = 20
_BROKEN_S: Final = 120.0

_LEARN: Final = 0.1

_BREAKS: Final[frozenset[FailureKind]] = frozenset({"connect", "dropped", "timeout", "transient", "overloaded"})
"""Failures that say something of the server, not of the request: no answer came, or a server's error."""

_OF_THE_JOB: Final[frozenset[FailureKind]] = frozenset({"dropped", "timeout", "transient"})
"""Of these, failures that a single job may cause, each time it is tried."""

_MEND: Final = {
    "auth": "check the key and its permissions",
    "quota": "raise the limit or pay the bill, then run the same command again",
    "not_found": "check `base_url` and the name of the model",
    "connect": "check `base_url`, the network, and that the server runs",
    "broken": "look at the server's log",
}


class Health:
    """Watches what an endpoint answers.

    It is dead at the first refused key, unknown model or exhausted quota; when nothing listens: five failures in a row
    over 1.5 seconds if it never answered, over a minute if it did; and when it gave nothing but errors, twenty of them,
    for two minutes. Short of that its circuit opens, and its retries are paid from a budget. While the circuit is
    closed, a job that breaks the server is counted once, not at each of its attempts: a run whose last jobs all do so
    ends with their errors, not with a dead endpoint.

    Parameters
    ----------
    name : str
        How errors call it.
    concurrency : int
        Attempts that may be under way at once.

    Attributes
    ----------
    error : EndpointError or None
        Why it cannot serve now; of one of several endpoints, which is asked again once in a while unless it is dead.
    dead : bool
        It will not serve this run any more.
    latency_s : float or None
        Moving average of what an attempt takes; only where there is a choice of endpoints.
    """

    def __init__(self, name: str, *, concurrency: int, circuit: Circuit | None = None) -> None:
        self.name = name
        self.circuit = circuit or Circuit(concurrency)
        self.budget = RetryBudget(concurrency)
        self.error: EndpointError | None = None
        self.dead = False
        self.latency_s: float | None = None
        self._answered = False
        self._silent, self._silent_since = 0, 0.0
        self._broken, self._broken_since = 0, 0.0

    def note(self, attempt: object, outcome: Answer | Failure, *, first: bool = True) -> EndpointError | None:
        """Take in the outcome of an attempt, perhaps a job's first; return the error that ends the run, if it does."""
        if isinstance(outcome, Answer):
            self.budget.succeeded()
        elif ACTIONS[outcome.kind].dead:
            status = "" if outcome.http_status is None else f" (status {outcome.http_status})"
            return self._error(f"refuses to serve: {outcome.message}{status}", outcome.kind)
        elif outcome.kind in _BREAKS:
            if not first and outcome.kind in _OF_THE_JOB and self.circuit.closed:
                return self._silence(outcome)
            if self.circuit.failed(attempt):
                self._say("circuit opened", seconds=round(self.circuit.wait_s, 3), message=outcome.message)
            return self._silence(outcome) or self._breakage(outcome)
        if self.circuit.succeeded(attempt):
            self._say("circuit closed")
        self._answered, self._silent, self._broken, self.error = True, 0, 0, None
        return None

    def lose(self, error: EndpointError, failure: Failure) -> bool:
        """Go on without the endpoint, as others serve its model; return whether that is news.

        What was refused is dead. What cannot be reached, or gives nothing but errors, is probed by its circuit.
        """
        news = self.error is None
        self.error, self.dead = error, ACTIONS[failure.kind].dead
        self.circuit.trip()
        return news

    def took(self, seconds: float) -> None:
        """Take in how long an attempt took."""
        self.latency_s = seconds if self.latency_s is None else self.latency_s + _LEARN * (seconds - self.latency_s)

    def may_retry(self, failure: Failure) -> bool:
        """Say whether a failed attempt may be repeated soon; the budget pays, twice for what has held a place long."""
        if not ACTIONS[failure.kind].charged:
            return True
        return self.budget.draw(2.0 if failure.kind == "timeout" else 1.0)

    def _silence(self, failure: Failure) -> EndpointError | None:
        if failure.kind != "connect":
            self._answered, self._silent = True, 0
            return None
        now = time.monotonic()
        if not self._silent:
            self._silent_since = now
        self._silent += 1
        patience = _FELL_SILENT_S if self._answered else _NEVER_ANSWERED_S
        if self._silent < _FEWEST or now - self._silent_since < patience:
            return None
        return self._error(f"cannot be reached: {failure.message}", "connect")

    def _breakage(self, failure: Failure) -> EndpointError | None:
        now = time.monotonic()
        if not self._broken:
            self._broken_since = now
        self._broken += 1
        if self._broken < _FEWEST_BROKEN or now - self._broken_since < _BROKEN_S:
            return None
        return self._error(f"has given nothing but errors for {_BROKEN_S:.0f} s: {failure.message}", "broken")

    def _say(self, event: str, **facts: object) -> None:
        _LOG.info(event, extra={"facts": {"endpoint": self.name, **facts}})

    def _error(self, what: str, kind: str) -> EndpointError:
        return EndpointError(f"{self.name} {what}; {_MEND[kind]}. What is done is kept, and the same command resumes.")
