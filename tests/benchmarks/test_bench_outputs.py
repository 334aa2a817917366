"""The replays on stored outputs: on a few splits of the real ones, where they are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from foreign_results import SHARED, needs_data

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_outputs.py"


@needs_data
@pytest.mark.slow
def test_nothing_new_is_blocked_as_rarely_as_declared_and_the_worse_model_always():
    """300 splits of each data set: all halves together, and all swaps, within 3 standard errors of 5 %."""
    command = [sys.executable, SCRIPT, SHARED / "outputs", "--splits", "300"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    totals = {
        label: (float(share), int(sets))
        for label, sets, share in re.findall(r"^\| (\w+) \| all (\d+) \| \| ([\d.]+)", ran.stdout, re.MULTILINE)
    }
    assert {label: sets for label, (_, sets) in totals.items()} == {"seeds": 1, "halves": 20, "swaps": 13}
    for share, sets in totals.values():
        assert share < 0.05 + 3 * (0.05 * 0.95 / (300 * sets)) ** 0.5
    verdicts = re.findall(r"\| [+-][\d.]+ \| (\w+) \| (\w+) \|$", ran.stdout, re.MULTILINE)
    assert verdicts == [("pass", "fail")] * 13
