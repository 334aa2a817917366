"""The server that clients are measured against: it must answer rightly, however the bytes come."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n"


def request(number):
    body = json.dumps({"model": "bench", "messages": [{"role": "user", "content": f"Case #{number:07d}."}]}).encode()
    return HEAD % len(body) + body


@pytest.fixture(params=[0, 30])
def url(request):
    command = [sys.executable, BENCHMARKS / "server.py", "--delay-ms", str(request.param)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.terminate()


def connect(url):
    return socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=10)


def answers(connection, count):
    """Read so many responses, and return what they say."""
    stream, texts = connection.makefile("rb"), []
    for _ in range(count):
        assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
        heads = dict(line.decode().strip().split(": ") for line in iter(stream.readline, b"\r\n"))
        body = json.loads(stream.read(int(heads["content-length"])))
        texts.append(body["choices"][0]["message"]["content"])
    return texts


def statistics(url):
    with urllib.request.urlopen(f"{url}/stats") as response:
        return json.load(response)


def test_requests_that_come_at_once_are_answered_in_order(url):
    with connect(url) as connection:
        connection.sendall(b"".join(map(request, range(50))))
        texts = answers(connection, 50)
    assert [f"{number:07d}" in text for number, text in enumerate(texts)] == [True] * 50


def test_a_request_may_come_in_pieces(url):
    sent = request(7) + request(8)
    with connect(url) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), 40):
            connection.sendall(sent[start : start + 40])
            time.sleep(0.001)
        first, second = answers(connection, 2)
    assert "0000007" in first
    assert "0000008" in second


def test_an_answer_waits_for_the_delay_and_is_counted(url):
    before = time.time()
    with connect(url) as one, connect(url) as two:
        for connection in (one, two):
            connection.sendall(request(1))
        answers(one, 1)
        answers(two, 1)
    seen = statistics(url)
    assert (seen["requests"], seen["connections"]) == (2, 2)
    assert before <= seen["first_request_at"] <= seen["last_request_at"] <= seen["last_answer_at"] <= time.time()
    if seen["in_flight_peak"]:
        assert seen["last_answer_at"] - seen["first_request_at"] >= 0.029


def test_a_client_that_goes_away_harms_nobody(url):
    with connect(url) as connection:
        connection.sendall(request(1))
    with connect(url) as connection:
        connection.sendall(request(2))
        assert "0000002" in answers(connection, 1)[0]


def test_the_answer_is_as_large_as_a_real_one(url):
    with connect(url) as connection:
        connection.sendall(request(1))
        stream = connection.makefile("rb")
        head = b"".join(iter(stream.readline, b"\r\n"))
        body = stream.read(int(head.rpartition(b": ")[2]))
    assert 300 < len(head) < 380
    assert 700 < len(body) < 800


@pytest.mark.slow
def test_the_benchmark_of_the_engine_runs():
    command = [sys.executable, BENCHMARKS / "bench_engine.py", "--jobs", "50", "--rounds", "1", "--only", "null"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert len([line for line in printed.splitlines() if line.startswith("| null")]) == 3


@pytest.mark.slow
def test_the_benchmark_of_memory_runs():
    command = [sys.executable, BENCHMARKS / "bench_memory.py", "--jobs", "100", "--null-jobs", "1000"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "| headgate run, HTTP" in printed
    assert "1,000" in printed
