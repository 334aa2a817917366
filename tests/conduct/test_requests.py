"""What a suite asks of an API, from the file to the row."""

from __future__ import annotations

import base64
import json

import httpx
import pytest

import headgate as hg
from headgate.errors import ConfigError, PlanMismatch

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def write_suite(folder, *, prompts=None, **model):
    suite = {
        "name": "s",
        "items": [{"id": "a", "q": "one", "photo": "dot.png"}, {"id": "b", "q": "two", "photo": "dot.png"}],
        "prompts": prompts or {"p": "{{ q }}"},
        "models": [{"id": "m", "base_url": "http://model.test/v1", **model}],
    }
    path = folder / "suite.json"
    path.write_text(json.dumps(suite))
    return path


def client_into(bodies):
    def answer(request):
        bodies.append(json.loads(request.content))
        token = {"token": "1", "logprob": -0.5}
        choice = {"message": {"content": "1"}, "finish_reason": "eos", "logprobs": {"content": [token]}}
        return httpx.Response(200, json={"model": "served", "choices": [choice]})

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


def test_what_the_api_does_not_take_is_refused_before_there_is_a_run(tmp_path):
    path = write_suite(tmp_path, provider="deepseek", params={"seed": 1})
    expected = r"suite\.json: models\.m\.params\.seed: 1 cannot be sent to m \(deepseek\)"
    with pytest.raises(ConfigError, match=expected):
        hg.run(hg.load_suite(path), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match=expected):
        hg.forecast(hg.load_suite(path))


def test_what_is_dropped_stands_in_every_row(tmp_path):
    bodies = []
    path = write_suite(tmp_path, provider="deepseek", params={"n": 2, "top_p": 0.5}, on_unsupported="drop")
    run = hg.run(hg.load_suite(path), out=tmp_path / "run", client=client_into(bodies))
    rows = hg.scan(run).collect()
    assert [json.loads(dropped) for dropped in rows["dropped_params"]] == [["n"], ["n"]]
    assert rows["seed_sent"].to_list() == [False, False]
    assert rows["stop_reason"].to_list() == ["stop", "stop"]
    assert json.loads(rows["logprobs_json"][0]) == [{"token": "1", "logprob": -0.5}]
    messages = [{"role": "user", "content": "one"}]
    assert {"model": "m", "messages": messages, "top_p": 0.5} in bodies


def test_a_run_does_not_go_on_with_another_version_or_with_another_answer_to_what_is_not_taken(tmp_path):
    client, out = client_into([]), tmp_path / "run"
    drop = {"provider": "deepseek", "params": {"top_p": 0.5}, "on_unsupported": "drop"}
    hg.run(hg.load_suite(write_suite(tmp_path, **drop)), out=out, client=client, limit=1)
    with pytest.raises(PlanMismatch, match=r"another plan: models\.m differ"):
        hg.run(hg.load_suite(write_suite(tmp_path, **{**drop, "on_unsupported": "error"})), out=out)
    azure = {"provider": "azure", "base_url": "https://name.openai.azure.com", "api_key": "env:AZURE_KEY_OF_A_TEST"}
    found = [
        hg.load_suite(write_suite(tmp_path, **azure, api_version=version)) for version in ("2024-10-21", "2025-01")
    ]
    assert found[0].models[0].identity != found[1].models[0].identity


def test_a_picture_goes_from_its_file_to_the_model(tmp_path):
    bodies = []
    (tmp_path / "dot.png").write_bytes(PNG)
    parts = [{"text": "{{ q }}"}, {"image": "{{ photo }}"}]
    path = write_suite(tmp_path, provider="vllm", prompts={"p": [{"role": "user", "content": parts}]})
    run = hg.run(hg.load_suite(path), out=tmp_path / "run", client=client_into(bodies))
    assert run.counts["ok"] == 2
    (sent,) = [body["messages"] for body in bodies if body["messages"][0]["content"][0]["text"] == "two"]
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert sent[0]["content"][1] == {"type": "image_url", "image_url": {"url": url}}
    (tmp_path / "dot.png").unlink()
    with pytest.raises(ConfigError, match=r"'dot\.png' is an image that cannot be read.*\(row 1\)"):
        hg.run(hg.load_suite(path), out=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_model_without_a_named_host_is_warned_of(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-canary")
    path = write_suite(tmp_path, provider="openrouter")
    hg.run(hg.load_suite(path), out=tmp_path / "run", client=client_into([]))
    said = [record.facts["message"] for record in caplog.records if record.message == "endpoint"]
    assert len(said) == 1
    assert said[0].startswith("models.m: several hosts may serve this model")
