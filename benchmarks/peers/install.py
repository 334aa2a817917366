"""Installs peers, each into a folder of its own under one home, once for each list of requirements."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
UV: Final = shutil.which("uv")


def venv(name: str, *requirements: str) -> Callable[[Path], Path]:
    """Return a function that installs Python packages and returns the venv."""

    def install(home: Path) -> Path:
        return _once(home / name, requirements, lambda folder: _pip(folder, requirements))

    return install


def npm(name: str, *packages: str) -> Callable[[Path], Path]:
    """Return a function that installs packages for Node.js; their install scripts are not needed."""

    def install(home: Path) -> Path:
        folder = home / name
        command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", *packages]
        return _once(folder, packages, lambda _: _run(command))

    return install


@functools.cache
def headgate(home: Path) -> Path:
    """Install headgate from this checkout, anew each time."""
    folder = home / "headgate"
    _pip(folder, [str(ROOT)])
    return folder


def _once(folder: Path, requirements: Sequence[str], install: Callable[[Path], None]) -> Path:
    done = folder / "requirements.txt"
    wanted = "\n".join(requirements) + "\n"
    if not done.exists() or done.read_text() != wanted:
        print(f"installing {' '.join(requirements)}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        install(folder)
        done.write_text(wanted)
    return folder


def _pip(folder: Path, requirements: Sequence[str]) -> None:
    python = folder / "bin/python"
    if not python.exists():
        maker = [UV, "venv", "--quiet", "--clear", "--python", sys.executable] if UV else [sys.executable, "-m", "venv"]
        _run([*maker, str(folder)])
    if UV:
        again = ["--reinstall-package", "headgate"]
        _run([UV, "pip", "install", "--quiet", *again, "--python", str(python), *requirements])
    else:
        _run([str(python), "-m", "pip", "install", "--quiet", "--upgrade", *requirements])


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
