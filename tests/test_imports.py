"""What importing headgate costs: nothing heavy is loaded until it is used."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = [
    "aiohttp",
    "anyio",
    "genai_prices",
    "httptools",
    "httpx",
    "httpx2",
    "jinja2",
    "msgspec",
    "numpy",
    "obstore",
    "polars",
    "pyarrow",
    "pydantic",
    "pyreqwest",
    "rich",
    "scipy",
    "starlette",
    "typer",
    "uvicorn",
    "uvloop",
    "yaml",
]


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys, json\nsys.stderr.write(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stderr))


def test_importing_headgate_loads_no_third_party_package():
    assert loaded_by("import headgate") == set()


def test_help_loads_only_the_command_line():
    code = "from headgate.cli.main import run_command\nassert run_command(['run', '--help']) == 0"
    # typer loads pydantic by itself where it is installed.
    assert {"typer"} <= loaded_by(code) <= {"typer", "pydantic"}


def test_every_public_name_resolves():
    code = "import headgate as hg\nfor name in hg.__all__: getattr(hg, name)\nassert sorted(hg.__all__) == dir(hg)"
    assert "pydantic" in loaded_by(code)


COMMANDS = (["init"], ["run", "suite.yaml", "--out", "run", "--limit", "10"], ["run", "suite.yaml", "--out", "run"])
COMMANDS += tuple([command, "run"] for command in ("score", "gate", "show", "verify"))


def test_no_command_loads_pandas(tmp_path):
    """Where pandas is installed, as here, pyarrow and polars import it in passing: 60 MB."""
    import pandas as pd

    assert pd.__version__
    script = f"""
import sys
from headgate.cli.main import run_command
for words in {COMMANDS}:
    assert run_command(words) in (0, 20), words
    assert "pandas" not in sys.modules, words
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_run_does_not_load_the_statistics(tmp_path):
    """20 MB that only a verdict needs."""
    script = (
        "import sys\nfrom headgate.cli.main import run_command\n"
        "assert run_command(['init']) == 0\nassert run_command(['run', 'suite.yaml', '--limit', '10']) == 0\n"
        "assert 'scipy' not in sys.modules\nassert run_command(['gate', 'runs/support-bot']) == 20\n"
        "assert 'scipy' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
