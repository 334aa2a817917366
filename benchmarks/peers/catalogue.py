"""The peers: what to install, how each is run on the same items, and where it says how many answers were right."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

import install

TASKS: Final = Path(__file__).resolve().parent / "tasks"
OPENAI: Final = "openai==3.54.0"

QUIET: Final = {
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LOGFIRE_SEND_TO_LOGFIRE": "false",
    "NO_COLOR": "1",
    "OPENAI_API_KEY": "none",
    "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
}
"""Telemetry, update checks and hubs are off: everything stays on the loopback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One measurement: where it happens, what is asked, of whom."""

    folder: Path
    items: Path
    jobs: int
    url: str
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Something that can do the job.

    Attributes
    ----------
    install : callable
        Takes the home of all peers; returns the folder that its command is found from.
    command : callable
        Takes that folder and a job, writes what configuration it needs, and returns the command.
    right : callable
        Takes that folder and a finished job, and reads there how many answers were right.
    version : str
        As the table says it.
    more : str
        What it does that the others do not.
    """

    install: Callable[[Path], Path]
    command: Callable[[Path, Job], list[str]]
    right: Callable[[Path, Job], int]
    version: str
    more: str
    env: Mapping[str, str] = field(default_factory=dict)


def headgate_peer(transport: str | None) -> Peer:
    """Run the command as a user does, from a venv of its own."""
    from support import write_suite

    def command(venv: Path, job: Job) -> list[str]:
        suite = write_suite(job.folder, items=job.jobs, url=job.url, concurrency=job.concurrency)
        chosen = [] if transport is None else ["--transport", transport]
        return [str(venv / "bin/headgate"), "run", str(suite), "--out", str(job.folder / "run"), "--quiet", *chosen]

    def right(_: Path, job: Job) -> int:
        import headgate as hg

        return int(hg.scan_scores(job.folder / "run").select("value").collect().sum().item())

    more = "durable rows in Parquet, checksums, resume, limits, retries, scores with intervals"
    return Peer(install=install.headgate, command=command, right=right, version="this checkout", more=more)


def openai_peer(backend: str) -> Peer:
    def command(venv: Path, job: Job) -> list[str]:
        script = str(TASKS / "openai_client.py")
        out = str(job.folder / "out.jsonl")
        return [str(venv / "bin/python"), script, str(job.items), job.url, out, str(job.concurrency), backend]

    return Peer(
        install=install.venv("openai", OPENAI, "aiohttp==3.14.5", "httpx-aiohttp==0.2.0"),
        command=command,
        right=lines_right,
        version="3.54.0",
        more="typed models of the whole API; nothing else: results in memory, one file at the end",
    )


def pydantic_evals_peer() -> Peer:
    def command(venv: Path, job: Job) -> list[str]:
        script = str(TASKS / "pydantic_evals_task.py")
        out = str(job.folder / "out.jsonl")
        return [str(venv / "bin/python"), script, str(job.items), job.url, out, str(job.concurrency)]

    return Peer(
        install=install.venv("pydantic-evals", "pydantic-evals==2.62.0", OPENAI),
        command=command,
        right=lines_right,
        version="2.62.0",
        more="spans of every case, a report; results in memory",
    )


def lines_right(_: Path, job: Job) -> int:
    lines = (job.folder / "out.jsonl").read_text().splitlines()
    return sum(json.loads(line)["right"] for line in lines)


def inspect_peer(*flags: str) -> Peer:
    def command(venv: Path, job: Job) -> list[str]:
        shutil.copy(TASKS / "inspect_task.py", job.folder)  # it takes relative paths only
        task = [str(venv / "bin/inspect"), "eval", "inspect_task.py", "--model", "openai-api/bench/bench"]
        sampling = ["--temperature", "0", "--max-tokens", "256", "--max-connections", str(job.concurrency)]
        return [*task, *sampling, "--display", "none", "--log-dir", str(job.folder / "logs"), *flags]

    def right(venv: Path, job: Job) -> int:
        [log] = (job.folder / "logs").glob("*.eval")
        dump = [venv / "bin/inspect", "log", "dump", "--header-only", log]
        results = json.loads(subprocess.run(dump, capture_output=True, check=True).stdout)["results"]
        return round(results["scores"][0]["metrics"]["accuracy"]["value"] * job.jobs)

    return Peer(
        install=install.venv("inspect-ai", "inspect-ai==0.3.285", OPENAI),
        command=command,
        right=right,
        version="0.3.285",
        more="a log with every event and API call of each sample, usage accounting, agents, sandboxes, a viewer",
        env={"BENCH_API_KEY": "none", "BENCH_BASE_URL": "{url}", "BENCH_ITEMS": "{items}"},
    )


def promptfoo_peer() -> Peer:
    def command(home: Path, job: Job) -> list[str]:
        config = {
            "prompts": ["{{question}}"],
            "providers": [
                {
                    "id": "openai:chat:bench",
                    "config": {"apiBaseUrl": job.url, "apiKey": "none", "temperature": 0, "max_tokens": 256},
                }
            ],
            "tests": [
                {"vars": {"question": row["question"]}, "assert": [{"type": "contains", "value": row["target"]}]}
                for row in map(json.loads, job.items.read_text().splitlines())
            ],
        }
        path = job.folder / "promptfooconfig.json"
        path.write_text(json.dumps(config))
        program = [str(home / "node_modules/.bin/promptfoo"), "eval", "-c", str(path), "-j", str(job.concurrency)]
        return [*program, "--no-cache", "--no-table", "--no-progress-bar", "-o", str(job.folder / "out.json")]

    def right(_: Path, job: Job) -> int:
        return int(json.loads((job.folder / "out.json").read_text())["results"]["stats"]["successes"])

    return Peer(
        install=install.npm("promptfoo", "promptfoo@0.121.20"),
        command=command,
        right=right,
        version="0.121.20",
        more="a database and a JSON file of all results, a viewer, red teaming, many assertions",
        env={"PROMPTFOO_CONFIG_DIR": "{folder}/promptfoo"},
    )


def lm_eval_peer() -> Peer:
    def command(venv: Path, job: Job) -> list[str]:
        task = {
            "task": "bench",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": str(job.items)},
            "test_split": "train",
            "output_type": "generate_until",
            "doc_to_text": "{{question}}",
            "doc_to_target": "{{target}}",
            "generation_kwargs": {"until": ["\n\n\n"], "max_gen_toks": 256, "temperature": 0, "do_sample": False},
            "filter_list": [
                {
                    "name": "number",
                    "filter": [{"function": "regex", "regex_pattern": r"(\d{7})"}, {"function": "take_first"}],
                }
            ],
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        }
        (job.folder / "bench.yaml").write_text(json.dumps(task))
        model = {
            "model": "bench",
            "base_url": f"{job.url}/chat/completions",
            "num_concurrent": job.concurrency,
            "tokenizer_backend": None,
            "tokenized_requests": False,
        }
        arguments = ",".join(f"{name}={value}" for name, value in model.items())
        program = [str(venv / "bin/lm_eval"), "run", "--model", "local-chat-completions", "--model_args", arguments]
        where = ["--tasks", "bench", "--include_path", str(job.folder), "--output_path", str(job.folder / "out")]
        return [*program, *where, "--apply_chat_template", "--log_samples"]

    def right(_: Path, job: Job) -> int:
        [results] = (job.folder / "out").rglob("results_*.json")
        return round(json.loads(results.read_text())["results"]["bench"]["exact_match,number"] * job.jobs)

    return Peer(
        install=install.venv("lm-eval", "lm-eval[api]==0.4.13"),
        command=command,
        right=right,
        version="0.4.13",
        more="hundreds of academic tasks, log-likelihoods; results in memory, files at the end",
        env={"HF_HOME": "{folder}/huggingface"},
    )


def peers(home: Path) -> dict[str, Peer]:
    """Return all peers by name, headgate first, once for every transport that its command can choose."""
    found: dict[str, Peer] = {"headgate": headgate_peer(None)}
    found |= {f"headgate {name}": headgate_peer(name) for name in transports(home)}
    return found | {
        "openai aiohttp": openai_peer("aiohttp"),
        "openai": openai_peer("httpx"),
        "lm-eval": lm_eval_peer(),
        "pydantic-evals": pydantic_evals_peer(),
        "promptfoo": promptfoo_peer(),
        "inspect-ai lean": inspect_peer("--no-log-realtime"),
        "inspect-ai": inspect_peer(),
    }


def transports(home: Path) -> list[str]:
    """Return what ``headgate run --transport`` takes; nothing where it has no such option."""
    program = install.headgate(home) / "bin/headgate"
    told: Any = subprocess.run([program, "run", "--help"], capture_output=True, text=True, check=True).stdout
    if "--transport" not in told:
        return []
    from headgate.execute.transports import TransportName

    return list(get_args(TransportName))
