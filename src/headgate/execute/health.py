"""Whether an endpoint can serve this run at all."""

from __future__ import annotations

import time
from typing import Final

from headgate.errors import EndpointError
from headgate.execute.answer import Answer, Failure
from headgate.execute.retry import ACTIONS

_FAILURES: Final = 5
_NEVER_ANSWERED_S: Final = 2.0
_FELL_SILENT_S: Final = 60.0

_MEND: Final = {
    "auth": "check the key and its permissions",
    "quota": "raise the limit or pay the bill, then run the same command again",
    "not_found": "check `base_url` and the name of the model",
    "connect": "check `base_url`, the network, and that the server runs",
}


class Health:
    """Watches what an endpoint answers, and says when it is dead.

    It is dead at the first refused key, unknown model or exhausted quota; and when nothing listens: five failures in a
    row over two seconds if it never answered, over a minute if it did.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._answered = False
        self._silent_since: float | None = None
        self._silent = 0

    def note(self, outcome: Answer | Failure) -> EndpointError | None:
        """Take in the outcome of an attempt; return the error that ends the run, if it does."""
        if isinstance(outcome, Failure) and ACTIONS[outcome.kind].dead:
            status = "" if outcome.http_status is None else f" (status {outcome.http_status})"
            return self._error(f"refuses to serve: {outcome.message}{status}", outcome.kind)
        if isinstance(outcome, Failure) and outcome.kind == "connect":
            return self._unreachable(outcome)
        self._answered, self._silent_since, self._silent = True, None, 0
        return None

    def _unreachable(self, failure: Failure) -> EndpointError | None:
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        self._silent += 1
        patience = _FELL_SILENT_S if self._answered else _NEVER_ANSWERED_S
        if self._silent < _FAILURES or now - self._silent_since < patience:
            return None
        return self._error(f"cannot be reached: {failure.message}", "connect")

    def _error(self, what: str, kind: str) -> EndpointError:
        return EndpointError(f"{self._name} {what}; {_MEND[kind]}. What is done is kept, and the same command resumes.")
