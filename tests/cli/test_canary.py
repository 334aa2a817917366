"""headgate canary and headgate serve from the command line: exit codes, files, Argo's job metric, the address."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import httpx
import jsonschema
import pytest

from headgate.cli.main import run_command
from headgate.decide.verdict import verdict_schema


def write(path, n, *, errors=0):
    rows = (
        {"time": 1.7e9 + k, "id": f"{path.name}{k}", "status": "error" if k * 37 % 100 < errors else "ok"}
        for k in range(n)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def logs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(n=1500, errors=0):
        write(tmp_path / "v1.jsonl", n)
        write(tmp_path / "v2.jsonl", n, errors=errors)
        (tmp_path / "canary.yaml").write_text(
            "traffic: {stable: v1.jsonl, canary: v2.jsonl}\ngates: [{metric: error_rate, margin: 0.05}]\n"
        )
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("traffic", "word", "code"), [((1500, 0), "pass", 0), ((1500, 30), "fail", 1), ((100, 0), "inconclusive", 20)]
)
def test_exit_codes_and_the_document(logs, capsys, traffic, word, code):
    folder = logs(*traffic)
    assert (
        run_command(["canary", "canary.yaml", "--json", "--verdict", "out/verdict.json", "--markdown", "v.md"]) == code
    )
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((folder / "out" / "verdict.json").read_text())
    assert document["verdict"] == word
    jsonschema.validate(document, verdict_schema())
    assert f"headgate: {word}" in (folder / "v.md").read_text()


def test_places_may_be_given_without_a_file(logs, capsys):
    logs()
    assert run_command(["canary", "--stable", "v1.jsonl", "--canary", "v2.jsonl", "--state", "s"]) == 0
    assert "judged until" in capsys.readouterr().out
    assert run_command(["canary", "--stable", "v1.jsonl", "--canary", "v2.jsonl", "--state", "s", "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_inconclusive_may_be_mapped(logs, capsys):
    logs(10)
    codes = [
        run_command(["canary", "canary.yaml", "-q", "--on-inconclusive", word]) for word in ("pass", "fail", "keep")
    ]
    assert codes == [0, 1, 20]
    assert run_command(["canary", "canary.yaml", "--on-inconclusive", "x"]) == 2


def test_mistakes_are_usage_errors(logs, capsys):
    logs()
    assert run_command(["canary"]) == 2
    assert "traffic.stable: is missing; give a place, or --stable" in capsys.readouterr().err
    assert run_command(["canary", "nowhere.yaml"]) == 2
    assert run_command(["canary", "canary.yaml", "--max-minutes", "3"]) == 2
    assert "goes with --watch" in capsys.readouterr().err
    assert run_command(["canary", "canary.yaml", "--argo-job-name", "uid.metric"]) == 2
    assert "does not end with the number" in capsys.readouterr().err


def test_watching_ends_with_the_time(logs):
    logs(10)
    assert run_command(["canary", "canary.yaml", "-q", "--watch", "--max-minutes", "0"]) == 20


@pytest.mark.parametrize(("n", "errors", "codes"), [(1500, 0, [0, 0, 0]), (1500, 30, [1, 1, 1]), (10, 0, [0, 1, 0])])
def test_the_three_states_of_an_argo_job(logs, n, errors, codes):
    logs(n, errors)
    name = "5c7a63b8-7b43-4d0e-9d8e-2f9a6f0f1c11.headgate"
    got = [run_command(["canary", "canary.yaml", "-q", "--argo-job-name", f"{name}.{k}"]) for k in (1, 2, 3)]
    assert got == codes


def test_a_fault_of_the_judge_neither_promotes_nor_rolls_back(logs, capsys):
    folder = logs()
    (folder / "s").mkdir()
    (folder / "s" / "state.msgpack").write_bytes(b"\xc1")
    arguments = ["canary", "canary.yaml", "-q", "--state", "s", "--argo-job-name"]
    assert [run_command([*arguments, f"u.m.{k}"]) for k in (1, 2, 3)] == [0, 1, 0]
    assert "cannot be read" in capsys.readouterr().err
    assert run_command(arguments[:-1]) == 3


# --- serve ---


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "'0.0.0.0' is not loopback, and there is no token"),
        (["--token", "hunter2"], "is given by reference"),
        (["--token", "env:HEADGATE_NO_SUCH_TOKEN"], "names no key"),
        (["--host", "192.0.2.1", "--token", "env:HEADGATE_TOKEN"], "cannot be listened on"),
        (["--config", "canary.yaml"], "is the name of two canaries"),
    ],
)
def test_serve_refuses_what_is_not_safe(logs, capsys, monkeypatch, arguments, words):
    logs()
    monkeypatch.setenv("HEADGATE_TOKEN", "s")
    assert run_command(["serve", "--config", "canary.yaml", "--port", "0", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "hunter2" not in error


def test_serve_serves_until_a_signal_and_keeps_what_it_saw(logs):
    folder = logs()
    command = [sys.executable, "-m", "headgate", "serve", "--config", "canary.yaml", "--port", "0"]
    for _ in range(2):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder, env=dict(os.environ)) as process:
            try:
                found = re.search(r"listening on (http://127\.0\.0\.1:\d+)", process.stderr.readline())
                with httpx.Client(base_url=found[1], timeout=60) as client:
                    while client.get("/readyz").status_code != 200:
                        pass
                    while (answer := client.get("/v1/canary/verdict").json())["traffic"]["candidate"]["rows"] < 1500:
                        pass
                    assert (answer["verdict"], answer["traffic"]["candidate"]["rows"]) == ("pass", 1500)
            finally:
                process.send_signal(signal.SIGTERM)
            process.wait(60)
            assert "Traceback" not in process.stderr.read()
    assert (folder / "headgate-serve" / "canaries" / "canary" / "declared" / "state.msgpack").exists()
