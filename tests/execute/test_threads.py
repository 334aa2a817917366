"""Calls that may never return."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time

import pytest

from headgate.execute.threads import Threads


def alive() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "headgate-model"}


def test_what_it_returns_and_raises():
    async def main() -> None:
        threads = Threads(2)
        assert await threads.run(str.upper, "a") == "A"
        with pytest.raises(ValueError, match="invalid literal"):
            await threads.run(int, "a")
        with pytest.raises(RuntimeError, match="StopIteration"):
            await threads.run(next, iter(()))

    asyncio.run(main())


def test_threads_are_used_again():
    async def main() -> None:
        threads = Threads(8)
        seen = [await threads.run(lambda _: threading.get_ident(), None) for _ in range(50)]
        assert len(set(seen)) == 1

    asyncio.run(main())


def test_no_more_than_the_limit_at_once():
    running, most, lock = 0, 0, threading.Lock()

    def call(_: object) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    async def main() -> None:
        threads = Threads(3)
        await asyncio.gather(*(threads.run(call, None) for _ in range(20)))

    asyncio.run(main())
    assert most == 3


def test_they_end_with_the_pool():
    before = alive()

    async def main() -> set[threading.Thread]:
        threads = Threads(4)
        await asyncio.gather(*(threads.run(time.sleep, 0.05) for _ in range(4)))
        return alive() - before

    ours = asyncio.run(main())
    assert len(ours) == 4
    gc.collect()
    for thread in ours:
        thread.join(5)
    assert not any(thread.is_alive() for thread in ours)


def test_a_call_that_hangs_holds_back_neither_others_nor_the_exit():
    program = """
import asyncio, time
from headgate.execute.threads import Threads

async def main():
    threads = Threads(2)
    try:
        await asyncio.wait_for(threads.run(time.sleep, 600), 0.1)
    except TimeoutError:
        print(await threads.run(str.upper, "on"), flush=True)

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20, check=True, text=True)
    assert (ended.stdout, ended.stderr) == ("ON\n", "")
