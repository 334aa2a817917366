"""What the benchmarks share: a server in another process, a suite of 1 kB prompts, cores, CPU seconds and tables."""

from __future__ import annotations

import json
import os
import re
import resource
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from server import COMPLETION, HEAD, LENGTH_WITHOUT, NUMBER

HERE: Final = Path(__file__).resolve().parent
CLIENT_CORE, SERVER_CORE = (0, 1) if (os.cpu_count() or 1) > 1 else (None, None)
BODY_BYTES: Final = 1050
WORDS: Final = (
    "the canal keeper writes down how high the water stood at the gate, and who came by, with what and when; "
)


class Served:
    """A server that runs in another process."""

    def __init__(self, url: str) -> None:
        self.url = url

    def statistics(self) -> dict[str, Any]:
        """Return what clients have done so far; see ``server.Statistics``."""
        with urllib.request.urlopen(f"{self.url}/stats") as response:
            return dict(json.load(response))


@contextmanager
def running_server(*, delay_ms: float) -> Iterator[Served]:
    """Run ``server.py`` on the server's core."""
    command = [sys.executable, str(HERE / "server.py"), "--delay-ms", str(delay_ms)]
    if SERVER_CORE is not None:
        command += ["--core", str(SERVER_CORE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Served(process.stdout.readline().strip())
        finally:
            process.terminate()


def pin_client() -> None:
    """Keep this process, and those that it starts, on the client's core (Linux only)."""
    if CLIENT_CORE is not None and sys.platform == "linux":
        os.sched_setaffinity(0, {CLIENT_CORE})


def cpu_s() -> float:
    """Return the CPU seconds of this process: user and system, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_rss_mb() -> float:
    """Return the most memory that this process has had, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def question(number: int) -> str:
    """Return a prompt that makes a request body of about 1 kB; the answer is the number behind the ``#``."""
    head = f"Case #{number:07d}. Repeat the number of this case.\n"
    filler = WORDS * (BODY_BYTES // len(WORDS))
    return head + filler[: BODY_BYTES - 90 - len(head)]


def write_items(path: Path, count: int) -> Path:
    """Write items as JSON lines: id, question, target."""
    with path.open("w") as lines:
        for number in range(1, count + 1):
            row = {"id": f"case-{number:07d}", "question": question(number), "target": f"{number:07d}"}
            lines.write(json.dumps(row) + "\n")
    return path


def write_suite(folder: Path, *, items: int, url: str, concurrency: int, prompts: int = 1, seeds: int = 1) -> Path:
    """Write a suite of items x prompts x seeds jobs, scored by ``contains``; return the path of its file."""
    write_items(folder / "items.jsonl", items)
    suite = {
        "name": "bench",
        "items": "items.jsonl",
        "prompts": {f"prompt-{n}": {"text": f"{'.' * n}{{{{ question }}}}"} for n in range(1, prompts + 1)},
        "models": [
            {
                "id": "bench",
                "provider": "openai-compatible",
                "base_url": url,
                "params": {"temperature": 0, "max_tokens": 256},
            }
        ],
        "lanes": [{"models": ["bench"], "concurrency": concurrency}],
        "seeds": seeds,
        "scorers": [{"name": "correct", "type": "contains", "target": "{{ target }}"}],
    }
    path = folder / "suite.json"
    path.write_text(json.dumps(suite))
    return path


def completion(body: bytes) -> bytes:
    """Return the body that the server would answer a request with."""
    found = NUMBER.match(body, body.find(b"#") + 1)
    return COMPLETION % (1, b"none" if found is None else found[0])


def headers() -> dict[str, str]:
    """Return the headers that the server would answer with, names in lower case."""
    text = (HEAD % (1, LENGTH_WITHOUT + 7)).decode()
    return dict(re.findall(r"(?m)^([a-z-]+): (.*?)\r$", text))


def medians(rounds: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of every number over rounds."""
    rows = list(rounds)
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a Markdown table: the first column to the left, numbers to the right."""
    lines = [list(heads), *(list(row) for row in rows)]
    first, *others = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def laid(line: Sequence[str]) -> str:
        cells = (cell.rjust(width) for cell, width in zip(line[1:], others, strict=True))
        return f"| {' | '.join([line[0].ljust(first), *cells])} |"

    rule = "|".join(["-" * (first + 2), *("-" * (width + 1) + ":" for width in others)])
    return "\n".join([laid(heads), f"|{rule}|", *map(laid, lines[1:])])
