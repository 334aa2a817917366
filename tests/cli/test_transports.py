"""`headgate run --transport`, and its like in Python."""

from __future__ import annotations

import json

import httpx
import pytest

import headgate as hg
from command_line import call, call_here
from execute_jobs import COMPLETION, http
from headgate.errors import ConfigError
from headgate.execute.transports import TRANSPORTS


def write_suite(folder, base_url):
    declared = {
        "name": "sums",
        "items": {"rows": [{"question": f"{n} + 1"} for n in range(3)]},
        "prompts": {"plain": "{{ question }}"},
        "models": [{"id": "m", "provider": "openai-compatible", "base_url": base_url}],
    }
    path = folder / "suite.json"
    path.write_text(json.dumps(declared))
    return path


def run(*words):
    return call("run", *words, "--quiet")


@pytest.fixture
def server():
    """Serve one answer to all; the heads of its requests."""
    import asyncio
    import threading

    heads, url, loop = [], [], asyncio.new_event_loop()
    ready = threading.Event()

    async def handle(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                heads.append(head.decode().lower())
                length = next(line for line in heads[-1].splitlines() if line.startswith("content-length"))
                await reader.readexactly(int(length.split(":")[1]))
                writer.write(http(COMPLETION))
        except asyncio.IncompleteReadError:
            writer.close()

    async def serve():
        listening = await asyncio.start_server(handle, "127.0.0.1", 0)
        url.append(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1")
        ready.set()
        await stop.wait()
        listening.close()
        await asyncio.sleep(0.05)  # connections of clients that are gone end

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    yield url[0], heads
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


@pytest.mark.parametrize(
    ("name", "agent"),
    [(None, "headgate"), *zip(TRANSPORTS, ("headgate", "pyreqwest", "aiohttp", "httpx"), strict=True)],
)
def test_the_transport_is_chosen_by_name(tmp_path, server, name, agent):
    url, heads = server
    ran = run(write_suite(tmp_path, url), "--out", tmp_path / "run", *([] if name is None else ["--transport", name]))
    assert ran.returncode == 0, ran.stderr
    assert len(heads) == 3
    assert all(f"user-agent: python-{agent}" in head or f" {agent}/" in head for head in heads)


def test_an_unknown_transport_is_refused_before_anything_is_written(tmp_path):
    suite = write_suite(tmp_path, "http://127.0.0.1:9/v1")
    ran = call_here("run", suite, "--out", tmp_path / "run", "--transport", "curl", "--quiet")
    assert ran.returncode == 2
    assert "transport" in ran.stderr
    assert "http1, pyreqwest, aiohttp, httpx" in ran.stderr
    assert not (tmp_path / "run").exists()


def test_a_client_and_the_name_of_a_transport_are_one_too_many(tmp_path):
    suite = hg.load_suite(write_suite(tmp_path, "http://127.0.0.1:9/v1"))
    with pytest.raises(ConfigError, match="give one of the two"):
        hg.run(suite, out=tmp_path / "run", client=httpx.AsyncClient(), transport="aiohttp")
    assert not (tmp_path / "run").exists()
