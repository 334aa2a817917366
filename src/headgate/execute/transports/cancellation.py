"""A cancellation that a library may lose."""

from __future__ import annotations

import asyncio


class KeptCancellation:
    """Raises the cancellation of the current task that came within, where the code within did not.

    pyreqwest may lose one that comes together with the answer. The engine's worker would then go on after the run was
    stopped.
    """

    __slots__ = ("_before", "_task")

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._before = task, task.cancelling()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not asyncio.CancelledError and self._task.cancelling() > self._before:
            raise asyncio.CancelledError from None
