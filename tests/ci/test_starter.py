from __future__ import annotations

import pytest

import headgate as hg
from headgate.ci.starter import write_suite
from headgate.errors import ConfigError


def test_what_init_writes_runs_and_passes(tmp_path):
    suite = hg.load_suite(write_suite(tmp_path)[0])
    run = hg.run(suite, out=tmp_path / "run")
    assert run.counts == {"ok": 60 * 2 * 3, "error": 0, "refused": 0}
    verdict = hg.gate(run)
    assert {row.name for row in verdict.metrics} == {"correct", "brief", "latency_s"}
    assert verdict.verdict in {"pass", "inconclusive"}


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path):
    (tmp_path / "scorers.py").write_text("mine")
    with pytest.raises(ConfigError, match=r"scorers\.py: exists already; choose another folder, or move it away"):
        write_suite(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["scorers.py"]
