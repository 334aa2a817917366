"""What an operator sees of `headgate run`: metrics, log, warnings; against loopback servers."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client.parser import text_string_to_metric_families

from command_line import call_here
from headgate.testing import Faults, SimulatedServer, Simulation

KEY = "sk-canary-0123456789"
SOON = """
import sys, headgate.conduct.watch
headgate.conduct.watch.STALL_S = 1.0  # the command itself, but for the minute
from headgate.cli import main
main(sys.argv[1:])
"""


def suite(folder, base_url, *, n_items=100, provider="simulated", **model):
    declared = {
        "name": "sums",
        "items": {"rows": [{"question": f"{n} + 1", "target": n + 1} for n in range(n_items)]},
        "prompts": {"plain": "{{ question }}"},
        "models": [{"id": "m", "provider": provider, "base_url": base_url, **model}],
        "scorers": [{"name": "correct", "type": "numeric"}],
    }
    path = folder / "suite.json"
    path.write_text(json.dumps(declared))
    return path


def run(*words):
    return call_here("run", *words)


def series(path):
    families = text_string_to_metric_families(path.read_text())
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name.removeprefix("headgate_"), *sample.labels.values()): sample.value for sample in samples}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_metrics_and_log_tell_the_story_of_a_run_with_faults(tmp_path):
    out, metrics, log = tmp_path / "run", tmp_path / "headgate.prom", tmp_path / "log.jsonl"
    faults = Faults(server_error=0.1, rate_limit=0.05)
    files = ("--metrics-file", metrics, "--log-file", log)
    with SimulatedServer({"m": Simulation(faults=faults, latency_s=0.001)}) as server:
        path = suite(tmp_path, server.base_url, max_attempts=30)
        first = run(path, "--out", out, "--limit", 60, *files)
        assert first.returncode == 0, first.stderr
        dealt = dict(server.faults)
        shown = series(metrics)
        second = run(path, "--out", out, *files)
        assert second.returncode == 0, second.stderr

    manifest = json.loads((out / "manifest.json").read_bytes())
    assert shown["run_info", manifest["run_id"], "sums", manifest["versions"]["headgate"]] == 1
    assert (shown["jobs_planned",], shown["jobs_total", "ok"], shown["jobs_total", "error"]) == (60, 60, 0)
    failures = {key[1]: number for key, number in shown.items() if key[0] == "failures_total"}
    assert failures == {"transient": dealt["server_error"], "rate_limit": dealt["rate_limit"]}
    assert shown["attempts_total",] == 60 + sum(dealt.values())
    assert (shown["running",], shown["rows_pending",], shown["in_flight", "m"]) == (0, 0, 0)
    assert series(metrics)["jobs_total", "ok"] == 40

    said = [line for line in lines(log) if line["event"].startswith("run ")]
    assert {line["run_id"] for line in lines(log)} == {manifest["run_id"]}
    assert [line["event"] for line in said] == ["run started", "run finished", "run resumed", "run finished"]
    started, finished, resumed, last = said
    assert (started["planned"], started["todo"], started["generation"]) == (100, 60, 1)
    assert (started["name"], started["suite"], started["out"]) == ("sums", str(path), str(out))
    assert finished["counts"] == {"ok": 60, "error": 0, "refused": 0}
    assert finished["failures"] == failures
    assert finished["attempts"] == shown["attempts_total",]
    assert (resumed["todo"], resumed["generation"], last["counts"]["ok"], last["done"]) == (40, 2, 100, 40)
    times = [line["time"] for line in lines(log)]
    assert times == sorted(times)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)


def test_a_run_that_has_nothing_to_do_leaves_metrics_too(tmp_path):
    with SimulatedServer({"m": Simulation(latency_s=0)}) as server:
        path = suite(tmp_path, server.base_url, n_items=5)
        for _ in range(2):
            ran = run(path, "--out", tmp_path / "run", "--metrics-file", tmp_path / "headgate.prom")
            assert ran.returncode == 0, ran.stderr
    shown = series(tmp_path / "headgate.prom")
    assert (shown["jobs_planned",], shown["jobs_total", "ok"], shown["running",]) == (0, 0, 0)


def test_a_stall_is_shown_even_to_the_quiet_and_again_and_the_run_still_ends_in_order(tmp_path):
    with SimulatedServer({"m": Simulation(faults=Faults(hang=1.0))}) as server:
        path, log = suite(tmp_path, server.base_url, timeout_s=300), tmp_path / "log.jsonl"
        words = ["run", path, "--out", tmp_path / "run", "--log-file", log, "--quiet"]
        child = subprocess.Popen([sys.executable, "-c", SOON, *map(str, words)], stderr=subprocess.PIPE, text=True)
        try:
            said = [child.stderr.readline() for _ in range(2)]
        finally:
            child.send_signal(signal.SIGINT)
            _, rest = child.communicate(timeout=60)
    for line in said:
        assert re.match(
            r"headgate: nothing moved for [1-9]\d* s, and 100 jobs have no result; m\b.*\d+ in flight", line
        ), line
    assert child.returncode == 130, rest
    assert "Traceback" not in rest
    *stalls, end = [line for line in lines(log) if line["event"] in {"stalled", "run stopped"}]
    assert len(stalls) >= 2
    assert {(line["event"], line["level"], line["jobs_left"]) for line in stalls} == {("stalled", "warning", 100)}
    assert f"headgate: {stalls[0]['message']}\n" == said[0]
    assert (end["event"], end["done"], end["counts"]) == ("run stopped", 0, {"ok": 0, "error": 0, "refused": 0})


def test_a_run_that_moves_says_nothing_of_stalls_and_nothing_at_all_when_quiet(tmp_path):
    with SimulatedServer({"m": Simulation(latency_s=0.05)}) as server:
        words = ["run", suite(tmp_path, server.base_url, n_items=2000), "--out", tmp_path / "run", "--quiet"]
        ran = subprocess.run([sys.executable, "-c", SOON, *map(str, words)], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.parametrize("option", ["--metrics-file", "--log-file"])
def test_a_file_that_cannot_be_written_is_found_before_anything_is_made(tmp_path, option):
    (tmp_path / "file").write_text("")
    with SimulatedServer({"m": Simulation()}) as server:
        ran = run(suite(tmp_path, server.base_url), "--out", tmp_path / "run", option, tmp_path / "file" / "x")
        assert not server.requests
    field = option[2:].replace("-", "_")
    assert ran.returncode == 2
    assert ran.stderr == (
        f"headgate: {tmp_path}/file/x: {field}: cannot be written: {tmp_path}/file is no folder; choose another file\n"
    )
    assert not (tmp_path / "run").exists()


def test_the_files_may_lie_in_the_run_directory(tmp_path):
    out = tmp_path / "run"
    files = ("--metrics-file", out / "headgate.prom", "--log-file", out / "log.jsonl")
    with SimulatedServer({"m": Simulation(latency_s=0)}) as server:
        path = suite(tmp_path, server.base_url, n_items=5)
        for _ in range(2):
            ran = run(path, "--out", out, *files)
            assert ran.returncode == 0, ran.stderr
    assert [line["event"] for line in lines(out / "log.jsonl")][::2] == ["run started", "run resumed"]
    verified = call_here("verify", out)
    assert verified.returncode == 0, verified.stderr


@contextmanager
def echo(status):
    """Serve errors that say the key they were sent in every way a server might."""

    class Echo(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            told = self.headers["authorization"]
            assert told == f"Bearer {KEY}"
            body = json.dumps({"error": {"message": f"bad: {told}", "type": told, "code": told}}).encode()
            self.send_response(status)
            for name, value in [("content-length", str(len(body))), ("x-request-id", told), ("retry-after", "0")]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "reference"), [(401, 3, "env:HEADGATE_TEST_KEY"), (500, 0, "file:key"), (400, 0, "file:key")]
)
def test_a_key_that_the_server_echoes_is_shown_nowhere(tmp_path, monkeypatch, status, code, reference):
    monkeypatch.setenv("HEADGATE_TEST_KEY", KEY)
    (tmp_path / "key").write_text(KEY)
    files = ("--metrics-file", tmp_path / "headgate.prom", "--log-file", tmp_path / "log.jsonl")
    with echo(status) as base_url:
        model = {"provider": "openai-compatible", "model": "m", "api_key": reference, "max_attempts": 2}
        path = suite(tmp_path, base_url, n_items=10, **model)
        ran = run(path, "--out", tmp_path / "run", *files, "--json")
    assert ran.returncode == code, ran.stderr
    written = "".join((tmp_path / name).read_text() for name in ("headgate.prom", "log.jsonl"))
    assert "bad: " in written + ran.stderr or code == 0
    assert series(tmp_path / "headgate.prom")["attempts_total",] > 0
    for text in (written, ran.stdout, ran.stderr):
        assert "canary" not in text
        assert "0123456789" not in text
