"""The service over HTTP: verdicts, received traffic, hooks, metrics, probes, who may ask, how large a body may be."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time

import httpx
import pytest
import uvicorn
from prometheus_client.parser import text_string_to_metric_families

from headgate.conduct.canary import Watcher
from headgate.execute.secret import Secret
from headgate.serve.app import make_app
from headgate.serve.service import Service
from headgate.suite.canary import Canary

GATES = [{"metric": "error_rate", "margin": 0.05}]
BY_ARM = {"arm": "arm"}
NDJSON = {"content-type": "application/x-ndjson"}
PAIR = {"baseline": "v1", "candidate": "v2"}


def declared(name="bot", **more):
    return Canary.model_validate({"name": name, "traffic": BY_ARM, "gates": GATES, "lateness_s": 1, **more})


def lines(n, *, errors=0.0, start=0):
    rows = []
    for k in range(start, start + n):
        for arm in ("v1", "v2"):
            bad = arm == "v2" and (k * 7919) % 1000 < 1000 * errors
            rows.append({"time": 1.7e9 + k, "id": f"{arm}-{k}", "arm": arm, "status": "error" if bad else "ok"})
    return "\n".join(map(json.dumps, rows)).encode()


class Served:
    def __init__(self, folder, *canaries, token=None, max_body=1 << 20):
        self.service = None
        self.folder, self.canaries, self.token, self.max_body = folder, canaries, token, max_body

    def __enter__(self):
        listening = socket.create_server(("127.0.0.1", 0))
        started = threading.Event()

        async def work():
            self.service = Service(self.canaries, data=self.folder, poll_s=0.01)
            app = make_app(self.service, token=self.token, max_body=self.max_body)
            self.server = uvicorn.Server(uvicorn.Config(app, log_config=None))
            started.set()
            await self.server.serve(sockets=[listening])

        self.thread = threading.Thread(target=asyncio.run, args=(work(),))
        self.thread.start()
        assert started.wait(60)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=60)
        return self

    def __exit__(self, *error):
        self.client.close()
        self.server.should_exit = True
        self.thread.join()

    def verdict(self, **params):
        return self.client.get("/v1/canary/verdict", params=PAIR | params)

    def until(self, found):
        """Ask until it is so: the service reads in the background."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            answer = self.verdict().json()
            if found(answer):
                return answer
        raise AssertionError(answer)


@pytest.fixture
def served(tmp_path):
    with Served(tmp_path / "data", declared()) as at_work:
        yield at_work


def test_no_data_is_inconclusive_with_200(served):
    answer = served.verdict()
    assert (answer.status_code, answer.json()["verdict"]) == (200, "inconclusive")
    assert answer.json()["reason"] == "no traffic of stable and the canary yet"


@pytest.mark.parametrize(("errors", "word"), [(0.0, "pass"), (0.3, "fail")])
def test_received_rows_come_to_a_verdict(served, errors, word):
    assert served.client.post("/v1/rows", content=lines(2000, errors=errors), headers=NDJSON).json() == {"rows": 4000}
    answer = served.until(lambda a: a["verdict"] != "inconclusive")
    assert answer["verdict"] == word
    assert answer["schema"] == "headgate.verdict/v1"


def test_each_pair_of_arms_has_its_own_verdict(served):
    served.client.post("/v1/rows", content=lines(2000), headers=NDJSON)
    served.until(lambda a: a["verdict"] == "pass")
    other = served.verdict(candidate="v3").json()
    assert (other["verdict"], other["candidate"]["run"]) == ("inconclusive", "v3")


def test_a_restart_goes_on_from_what_was_seen(tmp_path):
    with Served(tmp_path, declared()) as first:
        first.verdict()
        first.client.post("/v1/rows", content=lines(300), headers=NDJSON)
        first.until(lambda a: a["traffic"]["candidate"]["rows"] == 300)
    with Served(tmp_path, declared()) as second:
        assert second.verdict().json()["traffic"]["candidate"]["rows"] == 300
        second.client.post("/v1/rows", content=lines(300, start=300), headers=NDJSON)
        second.until(lambda a: a["traffic"]["candidate"]["rows"] == 600)


def test_another_declaration_is_inconclusive_and_says_so(tmp_path):
    with Served(tmp_path, declared()) as first:
        first.verdict()
    with Served(tmp_path, declared(lateness_s=2)) as second:
        answer = second.verdict()
        assert (answer.status_code, answer.json()["verdict"]) == (200, "inconclusive")
        assert "lateness_s differ" in answer.json()["reason"]


def test_a_fault_of_the_judge_is_inconclusive_with_an_alarm(served, monkeypatch):
    async def broken(watcher, limit):
        raise ZeroDivisionError

    monkeypatch.setattr(Watcher, "step", broken)
    served.verdict()
    answer = served.until(lambda a: a["traffic"]["alarms"])
    assert answer["verdict"] == "inconclusive"
    assert answer["traffic"]["alarms"] == ["cannot be brought up to date: ZeroDivisionError"]
    assert served.client.get("/healthz").status_code == 200


def test_traces_are_received_plain_and_packed(tmp_path):
    def span(arm, k):
        pairs = [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}]
        times = {"startTimeUnixNano": str(17 * 10**17 + k * 10**9), "endTimeUnixNano": str(17 * 10**17 + k * 10**9 + 5)}
        return {"traceId": arm, "spanId": str(k), **times, "attributes": pairs}

    def request(k):
        resource = [
            {"key": "k8s.pod.label.rollouts-pod-template-hash", "value": {"stringValue": arm}} for arm in ("v1",)
        ]
        return {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [{"spans": [span("v1", k)]}]}]}

    arm = "k8s.pod.label.rollouts-pod-template-hash"
    with Served(tmp_path, declared(traffic={"arm": arm}, format="otlp")) as served:
        served.verdict()
        assert served.client.post("/v1/traces", json=request(1)).json() == {"partialSuccess": {}}
        packed = {"content-type": "application/json", "content-encoding": "gzip"}
        body = gzip.compress(json.dumps(request(2), indent=1).encode())
        assert served.client.post("/v1/traces", content=body, headers=packed).status_code == 200
        served.until(lambda a: a["traffic"]["baseline"]["rows"] == 2)


@pytest.mark.parametrize(
    ("path", "content", "headers", "status"),
    [
        ("/v1/traces", b"{}", {"content-type": "application/json"}, 400),
        ("/v1/traces", b"{", {"content-type": "application/json"}, 400),
        ("/v1/traces", b"\x0a\x00", {"content-type": "application/x-protobuf"}, 415),
        ("/v1/traces", b"{}", {"content-type": "text/plain"}, 415),
        ("/v1/rows", b'{"id": "a"}\n[1]', NDJSON, 400),
        ("/v1/rows", b'{"id": "a"}\n{', NDJSON, 400),
        ("/v1/rows", b"[" * 100_000, NDJSON, 400),
        ("/v1/rows", b"x" * (1 << 20) + b"x", NDJSON, 413),
        ("/v1/rows", gzip.compress(b" " * (1 << 21)), {**NDJSON, "content-encoding": "gzip"}, 413),
        ("/v1/rows", gzip.compress(b"{}", mtime=0)[:-4], {**NDJSON, "content-encoding": "gzip"}, 400),
        ("/v1/rows", b"no gzip", {**NDJSON, "content-encoding": "gzip"}, 400),
        ("/v1/rows", b"{}", {**NDJSON, "content-encoding": "br"}, 415),
    ],
)
def test_a_bad_body_is_refused_and_not_kept(served, path, content, headers, status):
    answer = served.client.post(path, content=content, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert not list((served.folder / "received").rglob("*.jsonl"))


def test_a_body_without_a_length_is_held_to_the_limit_too(served):
    def chunks():
        for _ in range(40):
            yield b" " * 65536

    assert served.client.post("/v1/rows", content=chunks(), headers=NDJSON).status_code == 413


@pytest.mark.parametrize(
    ("params", "status", "words"),
    [
        ({"canary": "other"}, 404, "name one of the canaries: bot"),
        ({"since": "now"}, 400, "there is no parameter 'since'"),
        ({"candidate": "v1"}, 400, "are the same"),
        ({"candidate": "x" * 300}, 400, "at most 256"),
        ({"candidate": "a\nb"}, 400, "printable"),
        ({"candidate": ""}, 400, "give baseline and candidate"),
    ],
)
def test_a_wrong_question_is_named(served, params, status, words):
    answer = served.verdict(**params)
    assert (answer.status_code, words in answer.json()["error"]) == (status, True)


def test_nobody_can_have_files_read_by_asking(tmp_path):
    traffic = {"stable": str(tmp_path / "a.jsonl"), "canary": str(tmp_path / "b.jsonl")}
    with Served(tmp_path / "data", declared(traffic=traffic)) as served:
        answer = served.verdict(baseline="/etc/passwd")
        assert (answer.status_code, "are declared" in answer.json()["error"]) == (400, True)
        assert served.client.get("/v1/canary/verdict").status_code == 200


@pytest.mark.parametrize(
    ("word", "hooks"),
    [
        ("inconclusive", {"rollout": 200, "confirm-promotion": 409, "rollback": 409}),
        ("pass", {"rollout": 200, "confirm-promotion": 200, "rollback": 409}),
        ("fail", {"rollout": 409, "confirm-promotion": 409, "rollback": 200}),
    ],
)
def test_the_hooks_of_flagger_and_their_inversion(served, word, hooks):
    if word != "inconclusive":
        served.client.post("/v1/rows", content=lines(2000, errors=0.3 * (word == "fail")), headers=NDJSON)
        served.until(lambda a: a["verdict"] == word)
    body = {"name": "bot", "namespace": "n", "phase": "Progressing", "checksum": "1", "metadata": PAIR}
    got = {hook: served.client.post(f"/v1/flagger/{hook}", json=body).status_code for hook in hooks}
    assert got == hooks
    assert served.client.post("/v1/flagger/event", json=body).status_code == 404


def test_metrics_are_prometheus_text(served):
    served.client.post("/v1/rows", content=lines(2000) + b"\n" + b'{"time": "noon"}', headers=NDJSON)
    served.until(lambda a: a["verdict"] == "pass" and a["traffic"]["bad"])
    families = list(text_string_to_metric_families(served.client.get("/metrics").text))
    samples = {(s.name, s.labels.get("arm")): s for family in families for s in family.samples}
    assert samples["headgate_canary_verdict", None].value == 1
    assert samples["headgate_canary_verdict", None].labels == {"canary": "bot", **PAIR}
    assert samples["headgate_canary_rows_total", "candidate"].value == 2000
    assert samples["headgate_canary_bad_total", None].value == 1
    assert samples["headgate_serve_received_total", None].value == 1
    assert all(family.documentation for family in families)


def test_probes(served):
    assert served.client.get("/healthz").json() == {"healthy": True}
    served.until(lambda _: served.client.get("/readyz").status_code == 200)


def test_a_token_is_asked_for(tmp_path):
    with Served(tmp_path, declared(), token=Secret("s3cret")) as served:
        for wrong in ({}, {"authorization": "Bearer s3cre"}, {"authorization": "Basic s3cret"}):
            for method, path in (("GET", "/v1/canary/verdict"), ("POST", "/v1/rows"), ("GET", "/metrics")):
                answer = served.client.request(method, path, headers=wrong)
                assert (answer.status_code, "s3c" in answer.text) == (401, False)
        right = {"authorization": "Bearer s3cret", "host": "headgate.svc"}
        assert served.client.get("/v1/canary/verdict", params=PAIR, headers=right).status_code == 200
        assert served.client.get("/healthz").status_code == 200


def test_without_a_token_only_this_machine_is_answered(served):
    assert served.client.get("/metrics", headers={"host": "evil.example"}).status_code == 403
    for host in ("localhost:8077", "[::1]:8077", "127.0.0.1"):
        assert served.client.get("/metrics", headers={"host": host}).status_code == 200


def test_a_disk_that_is_full_refuses_rows_and_not_verdicts(served, monkeypatch):
    from headgate.errors import StoreError

    def full(inbox, data):
        raise StoreError("full")

    monkeypatch.setattr("headgate.serve.inbox.Inbox.append", full)
    answer = served.client.post("/v1/rows", content=lines(1), headers=NDJSON)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert served.verdict().status_code == 200


def test_more_pairs_than_are_kept_open_are_saved_and_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr("headgate.serve.service.MOST_PAIRS", 2)
    monkeypatch.setattr("headgate.serve.service.SAVED_S", 0)
    with Served(tmp_path, declared()) as served:
        served.client.post("/v1/rows", content=lines(50), headers=NDJSON)
        served.until(lambda a: a["traffic"]["candidate"]["rows"] == 50)
        for n in range(3):
            served.verdict(candidate=f"w{n}")
        pairs = served.service._watchers
        end = time.monotonic() + 60
        while len(pairs) > 2 and time.monotonic() < end:
            served.client.get("/healthz")
        assert len(pairs) == 2
        assert served.verdict().json()["traffic"]["candidate"]["rows"] == 50


def test_a_stop_in_the_middle_of_a_step_loses_no_row(tmp_path):
    async def work():
        service = Service([declared()], data=tmp_path, poll_s=0.01)
        service.verdict(None, "v1", "v2")
        await service.receive("rows", lines(3000))
        running = asyncio.create_task(service.run())
        while not any(v.traffic.candidate.rows for _, v in service.verdicts()):
            await asyncio.sleep(0)
        service.stop()
        await running
        service.close()

    asyncio.run(work())
    with Served(tmp_path, declared()) as served:
        served.until(lambda a: a["traffic"]["candidate"]["rows"] == 3000 == a["traffic"]["baseline"]["rows"])
