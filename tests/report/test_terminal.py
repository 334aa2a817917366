from __future__ import annotations

from headgate.report.terminal import estimate_cells, format_counts, format_table
from headgate.stats import mean_interval


def test_a_table_keeps_each_cell_on_its_line():
    text = format_table(["name", "n"], [["a\nb\x1b[31m", "1"], ["x" * 100, "2"]])
    lines = text.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("a\\nb\\x1b[31m")
    assert lines[2].startswith("x" * 57 + "...")


def test_what_is_not_run_is_counted():
    assert format_counts({"ok": 5, "error": 1, "refused": 2}, 10) == "10 jobs: 5 ok, 2 refused, 1 errors, 2 not run"


def test_no_estimate_is_a_dash():
    assert estimate_cells(None) == ("-", "-", "0")
    assert estimate_cells(mean_interval([0, 1, 1, 1]))[0::2] == ("0.75", "4")
