"""Embeddings from a real server on loopback: vectors, retries, pace, keys, and what is wrong with an answer."""

from __future__ import annotations

import json
import math
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest

import headgate as hg
from headgate.conduct.embeddings import similarities
from headgate.errors import ConfigError
from headgate.execute.secret import Secret
from headgate.suite.scorers import EmbeddingSimilarity

VECTORS = {"east": [1.0, 0.0], "north": [0.0, 2.0], "west": [-3.0, 0.0], "diagonal": [1.0, 1.0], "nowhere": [0.0, 0.0]}


@contextmanager
def endpoint(answer=None):
    """Yield the address of a server and the requests that it saw: (headers, body)."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            seen.append((self.path, dict(self.headers), body))
            status, made, headers = (answer or vectors)(body, len(seen))
            text = made if isinstance(made, bytes) else json.dumps(made).encode()
            self.send_response(status)
            for name, value in {"content-length": str(len(text)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", seen
        finally:
            server.shutdown()
            thread.join()


def vectors(body, _):
    data = [{"index": place, "embedding": VECTORS[text]} for place, text in enumerate(body["input"])]
    return 200, {"object": "list", "data": data[::-1]}, {}


def score(url, pairs, *, key=None, **options):
    spec = EmbeddingSimilarity(name="near", type="embedding_similarity", model="small", base_url=url, **options)
    return anyio.run(similarities, spec, key, pairs)


def test_the_score_is_the_cosine_and_each_text_is_asked_for_once():
    pairs = [("east", "east"), ("east", "north"), ("west", "east"), ("diagonal", "north"), ("east", None)]
    with endpoint() as (url, seen):
        found = score(url, pairs, batch_size=3, params={"dimensions": 2})
    assert [one.value for one in found] == pytest.approx([1, 0, -1, math.sqrt(0.5), None])
    assert found[-1].explanation == "the item has no target to compare with"
    texts = [text for _, _, body in seen for text in body["input"]]
    assert sorted(texts) == ["diagonal", "east", "north", "west"]
    assert {path for path, _, _ in seen} == {"/v1/embeddings"}
    assert all(body["model"] == "small" and body["dimensions"] == 2 for _, _, body in seen)


def test_a_threshold_makes_it_0_or_1():
    with endpoint() as (url, _):
        found = score(url, [("diagonal", "east"), ("north", "east")], threshold=0.7)
    assert [one.value for one in found] == [1, 0]


def test_what_passes_is_asked_again_and_what_does_not_costs_its_own_rows():
    def answer(body, count):
        if "west" in body["input"]:
            return 400, {"error": {"message": "no"}}, {}
        return (429, {}, {"retry-after": "0.01"}) if count < 3 else vectors(body, count)

    with endpoint(answer) as (url, seen):
        found = score(url, [("east", "east"), ("west", "east")], batch_size=1, concurrency=1)
    assert [(one.value, one.explanation) for one in found] == [(1, None), (None, "embeddings: HTTP 400")]
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (b"<html>", "embeddings: the response is not that of an embeddings endpoint: JSON is malformed"),
        ({"data": []}, "embeddings: 0 embeddings came for 1 texts"),
        ({"data": [{"index": 5, "embedding": [1]}]}, "embeddings: 1 embeddings came for 1 texts"),
        ({"data": [{"index": 0, "embedding": ["x"]}]}, "embeddings: the response is not that"),
        ({"data": [{"index": 0, "embedding": [0, 0]}]}, "an embedding has no direction"),
    ],
)
def test_an_answer_that_is_no_embedding_is_a_reason(made, reason):
    with endpoint(lambda body, count: (200, made, {})) as (url, _):
        (found,) = score(url, [("east", "east")])
    assert found.value is None
    assert found.explanation.startswith(reason)


def test_a_server_that_is_not_there_is_a_reason(monkeypatch):
    monkeypatch.setattr("headgate.conduct.embeddings._ATTEMPTS", 2)
    (found,) = score("http://127.0.0.1:9", [("east", "east")])
    assert (found.value, found.explanation) == (None, "embeddings: ConnectError")


def test_a_key_goes_to_its_address_alone_and_is_shown_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("EMBEDDINGS_KEY", "sk-secret-0123")

    def move(body, count):
        return 307, {}, {"location": "http://127.0.0.1:9/elsewhere"}

    with endpoint(move) as (url, _):
        (found,) = score(url, [("east", "east")], key=Secret("sk-secret-0123"))
        assert found.explanation == "embeddings: HTTP 307"
    with endpoint() as (url, seen):
        scorer = {"name": "near", "type": "embedding_similarity", "model": "small", "base_url": url,
                  "api_key": "env:EMBEDDINGS_KEY"}  # fmt: skip
        declared = hg.Suite(
            name="near",
            items=[{"id": "a", "q": "east", "target": "diagonal"}, {"id": "b", "q": "north", "target": "north"}],
            prompts={"say": "{{ q }}"},
            models=[{"id": "m", "provider": "python", "call": lambda messages: messages[-1]["content"]}],
            scorers=[scorer],
        )
        run = hg.run(declared, out=tmp_path / "run")
        assert {headers["authorization"] for _, headers, _ in seen} == {"Bearer sk-secret-0123"}
    assert hg.scan_scores(run).sort("item_id").collect()["value"].to_list() == pytest.approx([math.sqrt(0.5), 1])
    for path in run.path.rglob("*"):
        assert path.is_dir() or b"sk-secret" not in path.read_bytes()
    monkeypatch.delenv("EMBEDDINGS_KEY")
    with pytest.raises(ConfigError, match=r"scorers\.0\.api_key: 'env:EMBEDDINGS_KEY' names no key"):
        hg.run(declared, out=tmp_path / "other")
    gated = hg.Suite.model_validate({**declared.model_dump(), "gates": [{"metric": "near", "min": -1}]})
    assert hg.gate(run, suite=gated).verdict == "pass"  # a gate asks for no key


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"api_key": "sk-1"}, "a key is given by reference"),
        ({"base_url": "http://user:pass@host/v1"}, "without a login"),
        ({"params": {"api_key": "x"}}, "a key is no parameter"),
        ({"negate": True}, "give a `threshold`"),
    ],
)
def test_what_a_declaration_may_not_hold(changes, problem):
    with pytest.raises(ValueError, match=problem):
        EmbeddingSimilarity(**{"name": "n", "type": "embedding_similarity", "model": "m", **changes})
