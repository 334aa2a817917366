"""How late the event loop is: what blocks it delays every answer, and makes timeouts of what had long arrived."""

from __future__ import annotations

import asyncio
import time
from typing import Final

_EVERY_S: Final = 0.1
_FADE: Final = 0.9


class LoopLag:
    """Sets a timer ten times a second and looks how late it fires.

    Attributes
    ----------
    lately_s : float
        The worst of the last second or so, fading.
    most_s : float
        The worst since the start.
    """

    def __init__(self) -> None:
        self.lately_s = self.most_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Start measuring in the running event loop."""
        loop = asyncio.get_running_loop()
        self._due = time.monotonic() + _EVERY_S
        self._timer = loop.call_later(_EVERY_S, self._measure, loop)

    def stop(self) -> None:
        """Stop measuring; what was measured stays."""
        if self._timer is not None:
            self._timer.cancel()

    def _measure(self, loop: asyncio.AbstractEventLoop) -> None:
        late = max(0.0, time.monotonic() - self._due)
        self.lately_s = max(late, _FADE * self.lately_s)
        self.most_s = max(self.most_s, late)
        self._due = time.monotonic() + _EVERY_S
        self._timer = loop.call_later(_EVERY_S, self._measure, loop)
