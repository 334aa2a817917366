"""What the doctor finds on loopback servers and real files: each thing that is wrong, by name, and nothing else."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import headgate as hg
from headgate.conduct.doctor import machine
from headgate.conduct.doctor.live import MENDS
from headgate.execute.retry import ACTIONS
from headgate.registry.load import load_prompts
from headgate.store.run import RunStore
from headgate.testing import SimulatedServer, Simulation
from tls_authority import Authority

KEY = "sk-canary-0123456789"
USAGE = {"prompt_tokens": 5, "completion_tokens": 1}
ANSWER = {"choices": [{"message": {"content": "ok"}}], "model": "served-1", "usage": USAGE}
NOWHERE = {"type": "python", "call": "nowhere:f"}


@contextmanager
def serving(status=200, body=ANSWER, tls=None, **headers):
    """Serve one answer for all; yield the base URL and the requests, headers and bodies."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["content-length"])
            requests.append((self.headers, json.loads(self.rfile.read(length))))
            data = json.dumps(body).encode()
            self.send_response_only(status)
            for name, value in {"date": formatdate(usegmt=True), "content-length": str(len(data)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}/v1", requests
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    monkeypatch.setenv("HEADGATE_TEST_KEY", KEY)
    monkeypatch.setattr(machine, "_SLOW_S", float("inf"))  # the disk of a test machine may be slow


def declare(folder, model, **changes):
    suite = {
        "name": "s",
        "items": {"rows": [{"q": "1", "target": "2"}]},
        "prompts": {"p": {"text": "{{ q }}"}},
        "models": [{"id": "m", **model}],
        **changes,
    }
    path = folder / "suite.json"
    path.write_text(json.dumps(suite))
    return path


def at(url, **fields):
    return {"provider": "openai-compatible", "base_url": url, "api_key": "env:HEADGATE_TEST_KEY", **fields}


PRICE = {"price": {"input_usd_per_million": 1, "output_usd_per_million": 1}}


def found(diagnosis, level):
    return [f"{one.about}: {one.said}" for one in diagnosis.findings if one.level == level]


def only(diagnosis, level):
    [one] = [one for one in diagnosis.findings if one.level == level]
    return one


def test_a_suite_with_nothing_wrong(tmp_path):
    with serving(x_ratelimit_limit_requests="500", x_ratelimit_remaining_requests="499") as (url, requests):
        model = at(url, **PRICE, params={"temperature": 0, "max_tokens": 4000})
        diagnosis = hg.doctor(declare(tmp_path, model), live=True, out=tmp_path / "runs" / "s")
    assert [one for one in diagnosis.findings if one.level != "ok"] == []
    assert diagnosis.exit_code == 0
    [(headers, body)] = requests
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body["messages"] == [{"role": "user", "content": "Reply with the word ok."}]
    assert (body["temperature"], body["max_tokens"], body["seed"]) == (0, 64, 1)
    [said] = [one.said for one in diagnosis.findings if "answered" in one.said]
    assert "served by served-1; it took a seed; its limits are 500 requests" in said
    assert KEY not in json.dumps(diagnosis.facts())
    assert not (tmp_path / "runs").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["suite.json"]


def test_without_live_nothing_is_sent(tmp_path):
    with serving() as (url, requests):
        diagnosis = hg.doctor(declare(tmp_path, at(url, **PRICE)), out=tmp_path)
    assert (requests, diagnosis.exit_code) == ([], 0)
    assert any("takes connections" in said for said in found(diagnosis, "ok"))


SIMULATED = {"provider": "simulated"}


@pytest.mark.parametrize(
    ("model", "changes", "about", "said"),
    [
        (SIMULATED, {"itmes": []}, "suite", "there is no such field"),
        (SIMULATED, {"prompts": {"p": {"path": "gone.prompt"}}}, "prompts", "gone.prompt"),
        (SIMULATED, {"prompts": {"p": {"text": "{{ question }}"}}}, "items", "'question' is undefined"),
        (SIMULATED, {"items": {"path": "gone.csv"}}, "items", "there is no such file"),
        (SIMULATED, {"scorers": [{"name": "s", **NOWHERE}]}, "scorers", "cannot be imported"),
        ({"provider": "python", "call": "nowhere:f"}, {}, "models.m", "cannot be imported"),
        (at("http://127.0.0.1:9", api_key="env:HEADGATE_UNSET"), {}, "models.m", "names no key"),
        ({"provider": "openai-compatible", "base_url": "http://[::1/v1"}, {}, "models.m", "is not an http(s) URL"),
        (SIMULATED, {"budget": {"max_cost_usd": 1}}, "budget", "the price of 'm' is not known"),
    ],
    ids=["field", "prompt", "variable", "items", "scorer", "model", "key", "address", "cap"],
)  # fmt: skip
def test_what_is_wrong_in_a_suite(tmp_path, model, changes, about, said):
    diagnosis = hg.doctor(declare(tmp_path, model, **changes), out=tmp_path)
    assert diagnosis.exit_code == 2
    problem = next(one for one in diagnosis.findings if one.level == "problem")
    assert problem.about == about
    assert said in problem.said
    assert problem.exit_code == 2


def test_a_lock_that_a_prompt_does_not_keep(tmp_path):
    (tmp_path / "p.prompt").write_text("{{ q }}")
    path = declare(tmp_path, SIMULATED, prompts={"p": {"path": "p.prompt"}})
    lock = {"schema": "headgate.prompts.lock/v1", "prompts": {"p.prompt": "0" * 32}}
    (tmp_path / "prompts.lock").write_text(json.dumps(lock))
    diagnosis = hg.doctor(path, out=tmp_path)
    assert (diagnosis.exit_code, only(diagnosis, "problem").about) == (2, "prompts.lock")
    assert only(diagnosis, "problem").mend == "restore the prompt, or accept it: headgate prompts lock"


@pytest.fixture
def closed_port():
    with socket.socket() as bound:  # bound and not listening: nobody else can take it
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.mark.parametrize("live", [False, True])
def test_where_nothing_listens(tmp_path, closed_port, live):
    path = declare(tmp_path, at(f"http://127.0.0.1:{closed_port}/v1", **PRICE))
    diagnosis = hg.doctor(path, out=tmp_path, live=live)
    problems = found(diagnosis, "problem")
    assert problems[0] == f"http://127.0.0.1:{closed_port} (m): takes no connection: Connection refused"
    assert [said.split(":")[1] for said in problems[1:]] == [" does not answer"] * live
    assert diagnosis.exit_code == 3


def test_a_name_that_nobody_knows(tmp_path, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    diagnosis = hg.doctor(declare(tmp_path, at("http://models.invalid/v1", **PRICE)), out=tmp_path)
    assert diagnosis.exit_code == 3
    assert "the name models.invalid is not known here" in only(diagnosis, "problem").said
    assert "unencrypted" in only(diagnosis, "warning").said


def test_certificates(tmp_path, monkeypatch):
    authority = Authority(tmp_path)
    with serving(tls=authority.server("127.0.0.1")) as (url, requests):
        path = declare(tmp_path, at(url, **PRICE))
        stranger = hg.doctor(path, out=tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        trusted = hg.doctor(path, out=tmp_path)
        plain = hg.doctor(declare(tmp_path, at(url.replace("https", "http"), **PRICE)), out=tmp_path)
    assert "certificate is not trusted" in only(stranger, "problem").said
    assert "SSL_CERT_FILE" in (only(stranger, "problem").mend or "")
    assert (trusted.exit_code, plain.exit_code, requests) == (0, 0, [])
    assert any("its certificate is good" in said for said in found(trusted, "ok"))


def test_a_server_without_tls(tmp_path):
    with serving() as (url, _):
        diagnosis = hg.doctor(declare(tmp_path, at(url.replace("http", "https"), **PRICE)), out=tmp_path)
    assert only(diagnosis, "problem").said.startswith("does not speak TLS")


def test_a_proxy_is_looked_at_in_place_of_what_is_behind_it(tmp_path, closed_port, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    path = declare(tmp_path, {"provider": "openai-compatible", "base_url": "http://models.invalid/v1", **PRICE})
    assert "through the proxy 127.0.0.1" in only(hg.doctor(path, out=tmp_path), "problem").said
    with serving() as (url, _):
        monkeypatch.setenv("http_proxy", url.removesuffix("/v1"))
        assert hg.doctor(path, out=tmp_path).exit_code == 0


@pytest.mark.parametrize(
    ("status", "body", "kind", "level"),
    [
        (401, {"error": {"message": f"Incorrect key {KEY}"}}, "auth", "problem"),
        (404, {"error": {"message": "no such model"}}, "not_found", "problem"),
        (400, {"error": {"message": "temperature is not supported"}}, "invalid_request", "problem"),
        (429, {"error": {"message": "slow down"}}, "rate_limit", "warning"),
        (429, {"error": {"code": "insufficient_quota", "message": "pay"}}, "quota", "problem"),
        (200, {"hello": "world"}, "bad_response", "problem"),
    ],
    ids=["key", "model", "parameter", "rate", "money", "page"],
)
def test_a_model_that_does_not_answer(tmp_path, status, body, kind, level):
    with serving(status, body) as (url, requests):
        diagnosis = hg.doctor(declare(tmp_path, at(url, **PRICE)), live=True, out=tmp_path)
    assert len(requests) == 1
    finding = only(diagnosis, level)
    assert f"does not answer: {kind}" in finding.said
    assert finding.mend == MENDS[kind]
    assert KEY not in finding.said
    assert diagnosis.exit_code == (3 if level == "problem" else 0)


def test_every_kind_of_failure_has_a_mend():
    assert MENDS.keys() == ACTIONS.keys()


def test_a_clock_that_is_wrong(tmp_path):
    with serving(date=formatdate(time.time() - 600, usegmt=True)) as (url, _):
        diagnosis = hg.doctor(declare(tmp_path, at(url, **PRICE)), live=True, out=tmp_path)
    assert only(diagnosis, "warning").said.startswith("the clock here is 60")
    assert "ahead of its server's" in only(diagnosis, "warning").said


def test_a_server_that_counts_no_tokens(tmp_path):
    with serving(body={"choices": ANSWER["choices"]}) as (url, _):
        diagnosis = hg.doctor(declare(tmp_path, at(url, **PRICE)), live=True, out=tmp_path)
    assert "how many tokens" in only(diagnosis, "warning").said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"base_url": "/chat/completions"}, "its base_url ends in /chat/completions"),
        ({"api_key": "file:key"}, "other users of this machine may read the file"),
        ({"api_key": "env:HEADGATE_SHORT"}, "fewer than 8 characters"),
        ({"api_key": None, "base_url": "?api-key=sk-0123456789"}, "its base_url holds a secret"),
        ({"price": None}, "what these cost is not known: m"),
    ],
    ids=["path", "mode", "placeholder", "query", "price"],
)
def test_what_may_spoil_a_run(tmp_path, monkeypatch, fields, said):
    monkeypatch.setenv("HEADGATE_SHORT", "EMPTY")
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o644)
    with serving() as (url, _):
        model = {**at(url, **PRICE), **fields}
        model["base_url"] = url + fields.get("base_url", "")
        diagnosis = hg.doctor(declare(tmp_path, model), out=tmp_path)
    assert said in only(diagnosis, "warning").said
    assert only(diagnosis, "warning").mend
    assert diagnosis.exit_code == 0


def test_a_host_that_is_not_allowed_is_not_asked(tmp_path):
    with serving() as (url, requests):
        diagnosis = hg.doctor(
            declare(tmp_path, at(url, **PRICE)), live=True, allow_hosts=["api.openai.com"], out=tmp_path
        )
    assert (requests, diagnosis.exit_code) == ([], 2)
    assert "is not a host that keys may go to" in only(diagnosis, "problem").said


def test_a_disk_that_is_too_small(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_ROW_BYTES", 1 << 60)
    diagnosis = hg.doctor(declare(tmp_path, SIMULATED), out=tmp_path / "deep" / "run")
    assert (diagnosis.exit_code, only(diagnosis, "problem").about) == (3, "disk")
    assert "free some space" in (only(diagnosis, "problem").mend or "")


def test_a_disk_that_is_slow(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_SLOW_S", 0.0)
    diagnosis = hg.doctor(declare(tmp_path, SIMULATED), out=tmp_path)
    assert (diagnosis.exit_code, only(diagnosis, "warning").about) == (0, "disk")
    assert "rows wait for that" in only(diagnosis, "warning").said


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    diagnosis = hg.doctor(declare(tmp_path, SIMULATED), out=tmp_path / "file")
    assert (diagnosis.exit_code, only(diagnosis, "problem").about) == (3, "disk")
    if os.geteuid() == 0:
        diagnosis = hg.doctor(declare(tmp_path, SIMULATED), out=Path("/proc/1/run"))
    else:
        (tmp_path / "shut").mkdir(mode=0o500)
        diagnosis = hg.doctor(declare(tmp_path, SIMULATED), out=tmp_path / "shut" / "run")
    assert "cannot be written to" in only(diagnosis, "problem").said


def test_the_space_that_rows_take(tmp_path, monkeypatch):
    """The journal, before it is made smaller, takes no more than was said, and not far less."""
    suite = hg.Suite(
        name="s",
        items=[{"q": str(n), "target": "1"} for n in range(2000)],
        prompts={"p": "{{ q }}"},
        models=[{"id": "m", "provider": "python", "call": lambda _: "word " * 50, "params": {"max_tokens": 64}}],
    )
    said = machine.needed_bytes(suite, load_prompts(suite), jobs=2000)
    monkeypatch.setattr(RunStore, "compact", lambda _: None)
    hg.run(suite, out=tmp_path / "run")
    taken = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert 0.25 * said < taken < said


def test_a_limit_of_open_files_that_is_too_low(tmp_path, monkeypatch):
    path = declare(tmp_path, SIMULATED, lanes=[{"models": ["m"], "concurrency": 2000}])
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    diagnosis = hg.doctor(path, out=tmp_path)
    assert diagnosis.exit_code == 3
    assert "allows 1,024 open files, and 2,000 requests" in only(diagnosis, "problem").said
    assert only(diagnosis, "problem").mend == "run: ulimit -n 2064"
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    assert "lower `concurrency`" in (only(hg.doctor(path, out=tmp_path), "problem").mend or "")


def test_a_clock_that_stands_or_jumps(tmp_path, monkeypatch):
    path = declare(tmp_path, SIMULATED)
    wall = time.time()
    times = iter([wall, wall + 3599])
    with monkeypatch.context() as patch:
        patch.setattr(machine.time, "time", lambda: next(times, wall))
        jumped = hg.doctor(path, out=tmp_path)
    assert only(jumped, "warning").said.startswith("was set by 359")
    with monkeypatch.context() as patch:
        patch.setattr(machine.time, "time", lambda: 0.0)
        past = hg.doctor(path, out=tmp_path)
    assert "1970-01-01" in only(past, "warning").said


def test_a_model_in_python_and_a_simulated_one_are_asked_too(tmp_path):
    with SimulatedServer({"far": Simulation()}) as server:
        suite = hg.Suite(
            name="s",
            items=[{"q": "1"}],
            prompts={"p": "{{ q }}"},
            models=[
                {"id": "near", "provider": "simulated"},
                {"id": "far", "provider": "simulated", "base_url": server.base_url},
                {"id": "call", "provider": "python", "call": lambda messages: messages[-1]["content"]},
            ],
        )
        diagnosis = hg.doctor(suite, live=True, out=tmp_path)
        assert server.requests.total() == 1
    answered = [one.about for one in diagnosis.findings if "answered in" in one.said]
    assert answered == ["models.near", "models.far", "models.call"]
    assert diagnosis.exit_code == 0
