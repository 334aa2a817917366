"""The response cache: what makes a key, several processes, kills, damage, and its size."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execute_jobs import a_job, a_model
from headgate.errors import ConfigError
from headgate.execute.answer import Answer
from headgate.execute.cache import CacheKeys, CacheOptions, ResponseCache, cache_folder
from headgate.execute.endpoint import HttpEndpoint
from headgate.execute.quota import Quota
from headgate.execute.transport import Request, Response
from headgate.suite.model import Model


def using(
    folder: Path,
    use: Callable[[ResponseCache], Awaitable[Any]],
    mode: Literal["read", "write"] = "write",
    **fields: Any,
) -> Any:
    async def main() -> Any:
        cache = ResponseCache(folder, mode=mode, **fields)
        try:
            return await use(cache)
        finally:
            await cache.aclose()

    return asyncio.run(main())


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def keep(folder: Path, numbers: range, *, size: int = 10, **fields: Any) -> None:
    async def use(cache: ResponseCache) -> None:
        for number in numbers:
            cache.put(key(number), Answer(output=str(number) + "x" * size))
            if number % 500 == 499:
                await cache.get(key(number))  # what was put before it is on its way

    using(folder, use, **fields)


def found(folder: Path, numbers: range, **fields: Any) -> list[int]:
    async def use(cache: ResponseCache) -> list[int]:
        answers = await asyncio.gather(*(cache.get(key(number)) for number in numbers))
        for number, answer in zip(numbers, answers, strict=True):
            assert answer is None or answer.output is not None
            assert answer is None or answer.output.rstrip("x") == str(number)
        return [number for number, answer in zip(numbers, answers, strict=True) if answer is not None]

    return using(folder, use, mode="read", **fields)


# What is kept


def test_an_answer_comes_back_as_it_was_without_what_was_the_connections(tmp_path):
    whole = Answer(
        status="refused", output=None, http_status=200, reasoning="r", stop_reason="stop", input_tokens=5,
        output_tokens=1, cached_tokens=2, cache_write_tokens=1, reasoning_tokens=3, ttfb_s=0.5,
        served_model="small-1", request_id="r",
        system_fingerprint="f", tool_calls_json="[]", logprobs_json="[]", metadata_json="{}",
        fallback=True, quota=Quota(),
    )  # fmt: skip

    async def use(cache: ResponseCache) -> Answer | None:
        cache.put(key(1), whole)
        return None

    using(tmp_path, use)
    again = using(tmp_path, lambda cache: cache.get(key(1)), mode="read")
    changed = {name for name in Answer.__struct_fields__ if getattr(again, name) != getattr(whole, name)}
    assert (changed, again.quota, again.ttfb_s) == ({"ttfb_s", "quota"}, None, None)


def test_reading_makes_no_file_and_keeps_nothing(tmp_path):
    folder = tmp_path / "cache"

    async def use(cache: ResponseCache) -> Answer | None:
        cache.put(key(1), Answer(output="x"))
        return await cache.get(key(1))

    assert using(folder, use, mode="read") is None
    assert list(folder.iterdir()) == []


def test_nobody_else_may_read_it(tmp_path):
    folder = tmp_path / "cache"
    keep(folder, range(10))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="leave the cache off"):
        using(tmp_path / "file" / "cache", lambda cache: cache.get(key(1)))


def test_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("HEADGATE_CACHE", raising=False)
    assert cache_folder(None) == tmp_path / "xdg" / "headgate"
    monkeypatch.setenv("HEADGATE_CACHE", str(tmp_path / "ours"))
    assert cache_folder(None) == tmp_path / "ours"
    assert cache_folder(Path("given")) == Path("given")


@pytest.mark.parametrize("options", [{"mode": "always"}, {"max_mb": 0}, {"max_mb": float("inf")}])
def test_options_that_are_none_are_refused(options):
    with pytest.raises(ConfigError):
        CacheOptions(**options)


# Keys


class NoTransport:
    async def send(self, request: Request, *, timeout_s: float) -> Response:
        raise AssertionError

    async def aclose(self) -> None: ...


def a_key(
    *, url: str = "http://one/v1", seed: int = 1, index: int = 0, version: str | None = None, **model: Any
) -> bytes:
    asked = a_model(**model)
    endpoint = HttpEndpoint(url, transport=NoTransport())
    endpoint.api_version = version
    return CacheKeys(endpoint, asked).key(a_job(index, model=asked, seed=seed))


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2},
        {"index": 1},
        {"url": "http://two/v1"},
        {"url": "http://one/v2"},
        {"version": "2026-01-01"},
        {"model": "other"},
        {"params": {"temperature": 0.5}},
    ],
    ids=["seed", "messages", "host", "path", "api version", "model", "params"],
)
def test_a_key_changes_with_whatever_may_change_the_answer(changes):
    assert a_key(**changes) != a_key()


def test_a_key_does_not_change_with_what_is_the_runs():
    same = {"timeout_s": 5.0, "max_attempts": 2, "api_key": "env:OTHER", "base_url": "http://elsewhere/v1"}
    assert a_key(**same) == a_key()
    assert a_key(name="renamed", model="small") == a_key(model="small")
    assert a_key(url="http://user:secret@one/v1") == a_key()


def test_two_simulated_models_that_behave_differently_share_nothing():
    def of(accuracy: float) -> bytes:
        model = Model(id="m", provider="simulated", simulate={"accuracy": accuracy})  # type: ignore[arg-type]
        endpoint = HttpEndpoint("http://one/v1", transport=NoTransport(), simulated=True)
        return CacheKeys(endpoint, model).key(a_job(model=model))

    assert of(0.5) != of(0.6)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_repeats_are_never_one_answer(one, two):
    """The simulated provider is sent its seed; another one is not, and all the same is asked anew."""
    assert (a_key(seed=one) == a_key(seed=two)) == (one == two)


# Size


def test_it_stays_within_its_size_and_forgets_the_oldest_first(tmp_path):
    keep(tmp_path, range(3000), size=1000, max_mb=1)
    on_disk = (tmp_path / "answers.sqlite").stat().st_size
    assert on_disk < 1.3e6
    left = found(tmp_path, range(3000))
    assert 500 < len(left) < 1000
    assert left == list(range(left[0], 3000))


def test_what_was_used_lately_stays(tmp_path):
    keep(tmp_path, range(500), size=1000, max_mb=1)
    with sqlite3.connect(tmp_path / "answers.sqlite") as file:
        file.execute("UPDATE answers SET used = used - 100000")
    file.close()

    async def use(cache: ResponseCache) -> None:
        await asyncio.gather(*(cache.get(key(number)) for number in range(20)))

    using(tmp_path, use, max_mb=1)
    keep(tmp_path, range(1000, 1500), size=1000, max_mb=1)
    left = found(tmp_path, range(500))
    assert left[:20] == list(range(20))
    assert len(left) < 400


def test_an_answer_as_large_as_the_cache_is_not_kept(tmp_path):
    keep(tmp_path, range(3), size=10, max_mb=1)
    keep(tmp_path, range(5, 6), size=500_000, max_mb=1)
    assert found(tmp_path, range(10)) == [0, 1, 2]


# Several processes, kills


WRITER = """
import asyncio, sys
from pathlib import Path
from headgate.execute.answer import Answer
from headgate.execute.cache import ResponseCache

async def main(folder, first, count):
    cache = ResponseCache(Path(folder), mode="write")
    print("ready", flush=True)
    for number in range(first, first + count):
        cache.put(number.to_bytes(16, "big"), Answer(output=str(number) + "x" * 200))
        if number % 20 == 0:
            await cache.get(number.to_bytes(16, "big"))
    await cache.aclose()

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


def writer(folder: Path, first: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), str(first), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_several_processes_write_at_once_from_an_empty_folder_on(tmp_path):
    writers = [writer(tmp_path / "cache", 10_000 * number, 800) for number in range(2)]
    for process in writers:
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
    for number in range(2):
        assert len(found(tmp_path / "cache", range(10_000 * number, 10_000 * number + 800))) == 800


def test_kills_lose_nothing_but_what_was_under_way(tmp_path):
    rng = random.Random(5)
    for _ in range(2):
        process = writer(tmp_path, 0, 10**7)
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.05, 0.3))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        process.stderr.close()
    file = sqlite3.connect(tmp_path / "answers.sqlite")
    assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()
    left = found(tmp_path, range(20_000))
    assert len(left) > 100  # found() has looked at what they say
    assert left == list(range(len(left)))


# Damage


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 100], ids=["a hole", "another file"])
def test_a_damaged_file_is_told_once_and_the_run_goes_on_without(tmp_path, caplog, damage):
    keep(tmp_path, range(200), size=1000)
    file = tmp_path / "answers.sqlite"
    content = file.read_bytes()
    file.write_bytes(damage or content[:4096] + b"\xff" * 8192 + content[12288:])

    async def use(cache: ResponseCache) -> list[Answer | None]:
        first = await asyncio.gather(*(cache.get(key(number)) for number in range(200)))
        cache.put(key(500), Answer(output="x"))
        return [*first, await cache.get(key(500))]

    with caplog.at_level(logging.WARNING, "headgate"):
        answers = using(tmp_path, use)
    assert answers.count(None) > 0
    said = [record.facts["message"] for record in caplog.records]
    assert len(said) == 1
    assert str(file) in said[0]
    assert "goes on without; delete the file" in said[0]


def test_a_later_version_is_left_alone(tmp_path, caplog):
    keep(tmp_path, range(5))
    with sqlite3.connect(tmp_path / "answers.sqlite") as file:
        file.execute("PRAGMA user_version = 9")
    file.close()
    with caplog.at_level(logging.WARNING, "headgate"):
        assert found(tmp_path, range(5)) == []
        keep(tmp_path, range(5, 6))
    assert ["of version 9" in record.facts["message"] for record in caplog.records] == [True, True]
