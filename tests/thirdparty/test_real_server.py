"""Suites against inference servers that nobody here wrote, on a tiny model of random weights.

Run by ``nox -s real_server`` (transformers; REAL_SERVER_PYTHON is the Python that has it) and ``nox -s llama_cpp``
(llama.cpp; LLAMA_SERVER is its server and LLAMA_MODEL the model).
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import polars as pl
import pytest

import headgate as hg

PYTHON, LLAMA = os.environ.get("REAL_SERVER_PYTHON"), os.environ.get("LLAMA_SERVER")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SLOTS = 4


def serve(command: list[str], *, health: str, log: Path):
    """Start a server, wait until it is healthy, and yield; then stop it."""
    env = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env=env)
        try:
            deadline = time.monotonic() + 180
            while True:
                assert server.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline, log.read_text()[-2000:]
                try:
                    urllib.request.urlopen(health, timeout=2).close()
                except (urllib.error.URLError, OSError):
                    time.sleep(0.2)
                else:
                    break
            yield
        finally:
            server.terminate()
            server.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def transformers(tmp_path_factory):
    """Serve the model with transformers; yield the base URL and the model's name."""
    if PYTHON is None:
        pytest.skip("REAL_SERVER_PYTHON names no Python with transformers[serving]")
    folder, port = tmp_path_factory.mktemp("real"), free_port()
    model = folder / "model"
    subprocess.run([PYTHON, Path(__file__).with_name("tiny_model.py"), "transformers", model], check=True)
    cli = str(Path(PYTHON).with_name("transformers"))
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    root = f"http://127.0.0.1:{port}"
    for _ in serve([cli, "serve", str(model), *options], health=f"{root}/health", log=folder / "log"):
        yield f"{root}/v1", str(model)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """Serve the model with llama.cpp; yield the root of its URLs."""
    if LLAMA is None:
        pytest.skip("LLAMA_SERVER names no llama-server")
    folder, port = tmp_path_factory.mktemp("real"), free_port()
    options = ["-m", os.environ["LLAMA_MODEL"], "--alias", "tiny", "--host", "127.0.0.1", "--port", str(port)]
    sizes = ["-c", str(1024 * SLOTS), "-np", str(SLOTS), "-t", "2", "--jinja"]
    root = f"http://127.0.0.1:{port}"
    for _ in serve([LLAMA, *options, *sizes], health=f"{root}/health", log=folder / "log"):
        yield root


def a_suite(model: dict, *, seeds: int = 2, n: int = 20, **parts) -> hg.Suite:
    scorers = [{"name": "short", "type": "regex", "pattern": r"^[\s\S]{0,400}$"}]
    return hg.Suite(
        **{
            "name": "real",
            "items": [{"id": f"q{k}", "question": f"What is {k} + 1?"} for k in range(n)],
            "prompts": {
                "plain": [{"role": "system", "content": "Add."}, {"role": "user", "content": "{{ question }}"}]
            },
            "models": [{"id": "m", "max_attempts": 3, "timeout_s": 60, **model}],
            "lanes": [{"models": ["m"], "concurrency": SLOTS}],
            "seeds": seeds,
            "scorers": scorers,
            "gates": [{"metric": "short", "min": 0.5}],
            **parts,
        }
    )


def checked(suite: hg.Suite, out: Path) -> pl.DataFrame:
    """Run a suite to the end; what every run must show is checked, and the rows are returned."""
    run = hg.run(suite, out=out)
    rows = hg.scan(run).collect()
    assert set(rows["status"]) == {"ok"}, rows.select("error_kind", "error_message").unique().to_dicts()
    assert rows.height == rows["job_id"].n_unique() == len(suite.items.rows or ()) * suite.seeds
    assert rows["input_tokens"].min() > 0
    assert rows["output_tokens"].min() > 0
    assert set(rows["stop_reason"]) <= {"stop", "length"}
    assert rows["served_model"].null_count() == 0
    assert hg.gate(run).verdict == "pass"
    assert hg.verify(run.path) == []
    return rows


def greedy(rows: pl.DataFrame) -> bool:
    """Tell whether both seeds of each item gave the same answer."""
    return rows.group_by("item_id").agg(pl.col("output").n_unique())["output"].max() == 1


def most_at_once(rows: pl.DataFrame) -> int:
    starts, ends = rows["started_at"].to_list(), rows["finished_at"].to_list()
    return max(sum(start <= moment < end for start, end in zip(starts, ends, strict=True)) for moment in starts)


def test_transformers_answers(transformers, tmp_path):
    url, name = transformers
    served = {"provider": "openai-compatible", "base_url": url, "model": name}
    rows = checked(a_suite({**served, "params": {"max_tokens": 16, "temperature": 0}}, n=8), tmp_path / "greedy")
    assert set(rows["served_model"]) == {name}
    assert rows["output_tokens"].max() <= 16
    assert greedy(rows)
    assert most_at_once(rows) > 1
    rows = checked(a_suite({**served, "params": {"max_tokens": 16, "temperature": 1.0}}, n=8), tmp_path / "sampled")
    assert not greedy(rows)
    assert rows["seed_sent"].all()


def test_transformers_refuses_another_model(transformers, tmp_path):
    model = {"provider": "openai-compatible", "base_url": transformers[0], "model": "none", "params": {"max_tokens": 4}}
    rows = hg.scan(hg.run(a_suite(model, n=2, seeds=1), out=tmp_path / "run")).collect()
    assert set(rows["error_kind"]) == {"invalid_request"}
    assert "none" in rows["error_message"][0]


def test_llama_cpp_answers_with_log_probabilities(llama, tmp_path):
    params = {"max_tokens": 16, "temperature": 0, "logprobs": True, "top_logprobs": 3}
    model = {"provider": "llama-cpp", "base_url": f"{llama}/v1", "model": "tiny", "params": params}
    rows = checked(a_suite(model), tmp_path / "run")
    assert most_at_once(rows) > 1
    for said, count in rows.select("logprobs_json", "output_tokens").iter_rows():
        tokens = json.loads(said)
        assert 0 < len(tokens) <= count
        for token in tokens:
            assert token["logprob"] <= 0
            assert len(token["top"]) == 3
            assert token["logprob"] == pytest.approx(max(top["logprob"] for top in token["top"]), abs=1e-4)


def test_llama_cpp_seeds(llama, tmp_path):
    """One slot: with several, what else is in the batch changes the arithmetic, and so the answer."""
    params = {"max_tokens": 16, "temperature": 1.5}
    model = {"provider": "llama-cpp", "base_url": f"{llama}/v1", "model": "tiny", "params": params}
    suite = a_suite(model, n=5, seeds=3, lanes=[{"models": ["m"], "concurrency": 1}])
    one, two = (checked(suite, tmp_path / name).sort("job_id") for name in ("one", "two"))
    assert one["output"].to_list() == two["output"].to_list()
    assert one["output"].n_unique() == one.height


@pytest.mark.parametrize("provider", ["llama-cpp", "anthropic"])
def test_llama_cpp_keeps_to_a_schema(provider, llama, tmp_path):
    """Random weights would never write JSON by themselves."""
    schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "number", "schema": schema, "strict": True}}
    url = llama if provider == "anthropic" else f"{llama}/v1"
    params = {"max_tokens": 64, "response_format": wanted}
    suite = a_suite(
        {"provider": provider, "base_url": url, "model": "tiny", "params": params},
        scorers=[{"name": "valid", "type": "json_valid", "schema": schema}],
        gates=[{"metric": "valid", "min": 0.9}],
    )
    rows = checked(suite, tmp_path / "run")
    assert {json.loads(text)["n"] for text in rows["output"]} <= {1, 2}


def test_llama_cpp_speaks_anthropics_api(llama, tmp_path):
    model = {"provider": "anthropic", "base_url": llama, "model": "tiny", "params": {"max_tokens": 16}}
    rows = checked(a_suite(model), tmp_path / "run")
    assert set(rows["api_version"]) == {"2026-10-21"}
    assert not rows["seed_sent"].any()


def test_llama_cpp_says_that_a_prompt_is_too_long(llama, tmp_path):
    for provider, url in (("llama-cpp", f"{llama}/v1"), ("anthropic", llama)):
        model = {"provider": provider, "base_url": url, "model": "tiny", "params": {"max_tokens": 4}}
        suite = a_suite(model, seeds=1, n=1, prompts={"long": "word " * 3000})
        rows = hg.scan(hg.run(suite, out=tmp_path / provider)).collect()
        assert rows["error_kind"].to_list() == ["context_length"], rows["error_message"][0]
