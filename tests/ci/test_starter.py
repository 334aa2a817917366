from __future__ import annotations

import pytest

import headgate as hg
from headgate import __version__
from headgate.ci.starter import SYSTEMS, write_pipeline, write_suite
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


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_pipeline_comes_with_a_suite_where_there_is_none(tmp_path, system):
    paths = write_pipeline(system, tmp_path)
    assert tmp_path / "suite.yaml" in paths
    assert sorted(paths) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    texts = [path.read_text() for path in paths]
    assert not any("@VERSION@" in text for text in texts)
    assert any(__version__ in text for text in texts)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_pipeline_leaves_a_suite_alone_and_overwrites_nothing(tmp_path, system):
    (tmp_path / "suite.yaml").write_text("mine")
    paths = write_pipeline(system, tmp_path)
    assert (tmp_path / "suite.yaml").read_text() == "mine"
    assert not (tmp_path / "scorers.py").exists()
    before = {path: path.read_bytes() for path in paths}
    with pytest.raises(ConfigError, match="exists already"):
        write_pipeline(system, tmp_path)
    paths[-1].unlink()
    with pytest.raises(ConfigError, match="exists already"):
        write_pipeline(system, tmp_path)
    assert not paths[-1].exists()
    assert {path: path.read_bytes() for path in paths[:-1]} == {path: before[path] for path in paths[:-1]}
