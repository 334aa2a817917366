"""Nothing that headgate writes or prints holds a key, in any encoding, whatever a server says."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import quote, unquote, unquote_plus

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stored_texts
from command_line import call, command
from errant_server import encodings, errant_server
from headgate.cli.main import run_command
from headgate.execute.redaction import KeyRedaction
from headgate.testing import SimulatedServer, Simulation

KEYS = {
    "env": "sk-env/Qx7+Zt=W\"v\\u%k&9<m>'p 4rTzA",
    "file": "sk-file-0a1b2c3d4e5f6071829aABCDEF/+",
    "password": "pa/ss+W0rd=Zy9Xw8Vu7",
}
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-]{12,}")


def leaks(texts):
    """Return the keys of which ten characters in a row stand in a text, as they are or encoded."""
    windows = {window: name for name, key in KEYS.items() for window in _windows(key)}
    pattern = re.compile("|".join(map(re.escape, sorted(windows, key=len, reverse=True))))
    found = set()
    for text in texts:
        for plain in _decodings(text):
            found |= {windows[hit] for hit in pattern.findall(plain)}
    return found


def _windows(key):
    for form, size in ((key, 10), (key.replace("\\", ""), 10), (key.encode().hex(), 20)):
        yield from (form[start : start + size] for start in range(len(form) - size + 1))


def _decodings(text):
    once = unquote(text)
    yield from {text, text.lower(), once, unquote(once), unquote_plus(once), html.unescape(text)}
    yield text.replace("\\", "")
    for run in _BASE64.findall(once.replace("\\", "")):
        for start in range(4):
            whole = run[start:].replace("-", "+").replace("_", "/")
            yield base64.b64decode(whole[: len(whole) // 4 * 4]).decode("latin-1")


def in_folder(folder):
    """Return the files that hold a key."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix()
        for path in files
        if leaks([*stored_texts.read_texts(path.read_bytes()), path.name])
    }


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in, with keys in the environment and, outside of it, in a file."""
    monkeypatch.setenv("HEADGATE_CANARY", KEYS["env"])
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "key").write_text(KEYS["file"])
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def declare(address, *names, items=3, **changes):
    """Write a suite that asks these models with a key of each kind."""
    password = quote(KEYS["password"], safe="")
    ways = [
        {"base_url": f"http://{address}/v1", "api_key": "env:HEADGATE_CANARY"},
        {"base_url": f"http://{address}/v1", "api_key": "file:../keys/key"},
        {"base_url": f"http://me:{password}@{address}/v1"},
    ]
    models = [
        {"id": f"{name}-{number}", "provider": "openai-compatible", "model": name, "max_attempts": 1, **way}
        for name in names
        for number, way in enumerate(ways)
        if name != "escaping" or number == 0
    ]
    # The same model at another place is the same model: parameters tell them apart.
    models = [{**model, "params": {"top_p": 0.5 + 0.01 * place}} for place, model in enumerate(models)]
    suite = {
        "name": "canary",
        "items": {"rows": [{"q": f"{n}", "target": "2"} for n in range(items)]},
        "prompts": {"old": {"text": "{{ q }}"}, "new": {"text": "Sum: {{ q }}"}},
        "models": models,
        "scorers": [{"name": "correct", "type": "numeric"}, {"name": "told", "type": "python", "call": "grade:tell"}],
        "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        "gates": [{"metric": "correct", "margin": 0.1}],
        "policy": {"max_error_rate": 0.9},
        **changes,
    }
    Path("grade.py").write_text(
        "def tell(output):\n    return {'value': 1.0, 'label': output, 'explanation': output}\n"
    )
    Path("suite.json").write_text(json.dumps(suite))


def run(*words, expected=(0,)):
    """Run a command here."""
    assert run_command(list(map(str, words))) in expected, words


def test_the_search_finds_a_key_in_every_form_of_file(tmp_path):
    """The positive control: each form, and each encoding, is found where it was planted."""
    said = encodings(KEYS["env"])
    for place, form in enumerate(said.split(" ; ")):
        assert leaks([f"x {form} y"]) == {"env"}, (place, form)
    table = pa.table({"output": [said]})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd")
    pq.write_table(table.replace_schema_metadata({"k": KEYS["file"]}).slice(0, 0), tmp_path / "footer.parquet")
    with pa.OSFile(str(tmp_path / "a.arrows"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "a.gz").write_bytes(gzip.compress(KEYS["password"].encode()))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "a.parquet", "inner.parquet")
    (tmp_path / "a.log").write_text(json.dumps({"message": KEYS["env"][3:15]}))
    (tmp_path / "clean.txt").write_text("sk-env and nothing more")
    assert in_folder(tmp_path) == {"a.parquet", "footer.parquet", "a.arrows", "a.gz", "a.zip", "a.log"}


def work_through(work, address, capfd):
    """Run every command that has something to do with a run; what each says ends up in files."""
    declare(address, "answering", "failing", "breaking", "escaping")
    files = ("--log-file", "run.log", "--metrics-file", "run.prom")
    judged = (0, 1, 3, 20)
    run("run", "suite.json", "--out", "run", *files, "--json")
    run("run", "suite.json", "--out", "1", "--shard", "1/2", "--quiet")
    run("run", "suite.json", "--out", "2", "--shard", "2/2", "--quiet")
    run("merge", "1", "2", "--out", "whole")
    run("score", "run", "--json")
    named = ("--verdict", "v.json", "--markdown", "v.md", "--junit", "v.xml")
    run("gate", "run", *named, expected=judged)
    run("show", "run")
    run("show", "run", "--json")
    run("compare", "run", "whole", "--json")
    run("verify", "run")
    declare(address, "answering")
    run("check", "suite.json", "--out", "check", "--log-file", "check.log", expected=judged)
    run("plan", "suite.json", "--pilot", "--pilot-items", "2", "--pilot-out", "pilot", expected=(0, 20))
    run("run", "suite.json", "--out", "base", "--arm", "baseline")
    run("baseline", "save", "base")
    run("baseline", "show", "main", "--json")
    run("ci", "gitlab", "check", "--note", "never", expected=judged)
    run("ci", "github", "check", "--comment", "never", "--summary", "page.md", expected=judged)
    run("ci", "tekton", "check", "--results", "results", expected=judged)
    run("doctor", "suite.json", "--live", "--json")
    declare(address, "refusing")
    run("doctor", "suite.json", "--live", expected=(3,))
    run("run", "suite.json", "--out", "refused", "--log-file", "refused.log", expected=(3,))
    run("show", "refused", "--json")
    out, err = capfd.readouterr()
    (work / "stdout.txt").write_text(out)
    (work / "stderr.txt").write_text(err)


def test_no_key_in_any_file_or_line(place, capfd, monkeypatch):
    for name in ("GITHUB_TOKEN", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(name, raising=False)
    with errant_server() as (address, served):
        work_through(place, address, capfd)
    assert set(served) == set(KEYS.values()), "the server was not sent the keys"
    (place / "suite.json").unlink()  # the user's own file: it holds the password of the URL
    written = {path.suffix for path in place.rglob("*") if path.is_file()}
    assert written >= {".parquet", ".log", ".prom", ".json", ".md", ".xml", ".txt"}
    assert "***" in (place / "stderr.txt").read_text()
    assert in_folder(place) == set()


def test_without_redaction_the_same_search_finds_them(place, capfd, monkeypatch):
    """The positive control of the whole: the server does tell the keys, and they would be stored and said."""
    for name in ("outcome", "response"):
        monkeypatch.setattr(KeyRedaction, name, lambda _, same: same)
    with errant_server() as (address, _):
        declare(address, "answering", "failing")
        run("run", "suite.json", "--out", "run", "--log-file", "run.log")
        run("gate", "run", "--json", expected=(0, 1, 3, 20))
        declare(address, "refusing")
        run("run", "suite.json", "--out", "refused", "--log-file", "refused.log", expected=(3,))
    (place / "stderr.txt").write_text(capfd.readouterr().err)
    (place / "suite.json").unlink()
    kinds = {re.sub(r"\d+-.*(?=\.)", "part", name) for name in in_folder(place)}
    assert kinds >= {"run/results/part.parquet", "run.log", "refused.log", "stderr.txt"}


def test_no_key_in_the_journal_nor_in_a_traceback(place):
    """Inside the loop a fault of headgate's own: its traceback and the journal stay."""
    words = ["run", "suite.json", "--out", "run", "--log-file", "run.log"]
    faulty = (
        "import sys, headgate.execute.engine as engine, headgate.store.run as run\n"
        "run.compact = lambda *_, **__: None\n"
        "kept = engine.Engine._join\n"
        "async def join(self):\n"
        "    await kept(self)\n"
        "    raise ValueError(f'a fault of {self!r} {vars(self)!r}')\n"
        "engine.Engine._join = join\n"
        f"sys.argv[1:] = {words!r}"
    )
    with errant_server() as (address, served):
        declare(address, "answering", "failing")
        ran = call(before=faulty)
    (place / "said.txt").write_text(ran.stdout + ran.stderr)
    assert "this is a fault of headgate" in ran.stderr, ran.stderr
    assert len(served) == 36
    assert list((place / "run" / "journal").glob("*.arrows"))
    (place / "suite.json").unlink()
    assert in_folder(place) == set()


def test_of_the_headers_only_the_id_of_the_request_is_stored(place, capfd):
    with errant_server() as (address, _):
        declare(address, "answering", "failing")
        run("run", "suite.json", "--out", "run", "--log-file", "run.log")
    found = stored_texts.find(place, ["x-echo", "X-Echo", "BaseHTTP", "authorization", "Authorization", "Basic "])
    assert found == []
    assert {name for name, _ in stored_texts.find(place / "run", ["for ***"])}


WATCHED = """
import json, os, sys, atexit
seen = []
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"):
        seen.append([event, repr(args[1] if event in ("socket.connect", "socket.sendto") else args[0])])
sys.addaudithook(hook)
atexit.register(lambda: open(os.environ["SEEN"], "w").write(json.dumps(seen)))
"""


class Sampling:
    """Looks, at each request, to which addresses the process that sends it is connected: the system's own word."""

    def __init__(self):
        self.remote = set()

    def look(self, pid):
        for connection in psutil.Process(pid).net_connections("inet"):
            if connection.raddr:
                self.remote.add(connection.raddr[:2])


@pytest.mark.parametrize("transport", ["http1", "pyreqwest", "aiohttp"])
def test_no_network_but_the_endpoints_that_are_named(place, monkeypatch, transport):
    monkeypatch.setenv("SEEN", str(place / "seen.json"))
    sampled = Sampling()
    with SimulatedServer({"m": Simulation(latency_s=0.02)}) as server:
        declare(server.base_url.removeprefix("http://").removesuffix("/v1"), "m", items=10)
        words = ["run", "suite.json", "--out", "run", "--transport", transport, "--metrics-file", "run.prom"]
        script = f"{WATCHED}\nfrom headgate.cli import main\nmain({words!r})"
        with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) as ran:
            while ran.poll() is None:
                try:
                    sampled.look(ran.pid)
                except psutil.NoSuchProcess:
                    break
            assert ran.stderr is not None
            said = ran.stderr.read()
        assert ran.returncode == 0, said
        port = int(server.base_url.split(":")[2].split("/")[0])
        assert server.requests.total() == 60
    assert sampled.remote == {("127.0.0.1", port)}
    seen = json.loads((place / "seen.json").read_text())
    named = {f"('127.0.0.1', {port})", "'127.0.0.1'", "b'127.0.0.1'"}
    assert [event for event in seen if event[1] not in named] == []
    assert seen or transport != "aiohttp", "the hook sees nothing"


def test_the_hook_sees_what_is_not_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEN", str(tmp_path / "seen.json"))
    script = f"{WATCHED}\nimport socket\nsocket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.2', 9))"
    subprocess.run([sys.executable, "-c", script], check=True)
    assert json.loads((tmp_path / "seen.json").read_text()) == [["socket.connect", "('127.0.0.2', 9)"]]


def test_a_key_for_a_host_that_is_not_allowed(place, capfd):
    with errant_server() as (address, served):
        declare(address, "answering")
        for name, *options in (("run", "--out"), ("check", "--out"), ("plan", "--pilot", "--pilot-out")):
            words = [name, "suite.json", *options, "run", "--allow-host", "api.openai.com"]
            assert run_command(words) == 2
            said = capfd.readouterr().err
            assert f"models.answering-0.base_url: '{address}' is not a host that keys may go to" in said
    assert served == []
    assert not (place / "run").exists()


def test_the_token_of_the_service(place):
    """Asked with its token, without and with a wrong one: it stands in no answer, file or line."""
    for name in ("stable", "canary"):
        rows = (f'{{"time": {1.7e9 + n}, "id": "{name}{n}"}}\n' for n in range(20))
        Path(f"{name}.jsonl").write_text("".join(rows))
    Path("canary.yaml").write_text(
        "traffic: {stable: stable.jsonl, canary: canary.jsonl}\ngates: [{metric: error_rate, margin: 0.05}]\n"
    )
    words = ["serve", "--config", "canary.yaml", "--port", "0", "--token", "file:../keys/key"]
    said = []
    with subprocess.Popen(command(*words), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said.append(process.stderr.readline())
            found = re.search(r"http://127\.0\.0\.1:\d+", said[0])
            assert found is not None, said
            with httpx.Client(base_url=found[0], timeout=60) as client:
                for token in (KEYS["file"], KEYS["file"][:-1], "wrong"):
                    for path in ("/v1/canary/verdict", "/metrics", "/v1/rows", f"/{quote(KEYS['file'], safe='')[:5]}"):
                        headers = {"authorization": f"Bearer {token}"}
                        answers = [client.get(path, headers=headers), client.post(path, headers=headers, content=b"{")]
                        said += [f"{answer.status_code} {answer.headers} {answer.text}" for answer in answers]
        finally:
            process.send_signal(signal.SIGTERM)
        said.append(process.stderr.read())
    assert {text[:3] for text in said[1:-1]} >= {"200", "401"}
    Path("said.txt").write_text("\n".join(said))
    assert in_folder(place) == set()
