"""The event loop that runs are conducted on."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

_T = TypeVar("_T")


def run_loop(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end on a fresh uvloop."""
    return uvloop.run(work)
