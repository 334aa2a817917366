from __future__ import annotations

import pytest

import headgate as hg
from headgate.ci.starter import write_suite
from headgate.cli.main import run_command
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


@pytest.mark.parametrize("system", ["tekton", "argo"])
def test_init_writes_the_files_of_a_system(system, tmp_path, capsys):
    assert run_command(["init", system, str(tmp_path / "bot")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == f"next: build the image of {system}/Dockerfile, then kubectl apply -f {system}/"
    assert {path.name for path in (tmp_path / "bot").iterdir()} >= {"suite.yaml", system}
    assert all((tmp_path / line.removeprefix("wrote ")).exists() for line in told[:-1])
    assert run_command(["init", system, str(tmp_path / "bot")]) == 2
    assert "exists already" in capsys.readouterr().err


def test_init_knows_a_folder_from_a_system(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(["init", "bot", "--quiet"]) == 0
    assert run_command(["init", "./tekton", "--quiet"]) == 0
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["bot", "tekton"]
    assert (tmp_path / "tekton" / "suite.yaml").exists()
    assert run_command(["init", "jenkins", "bot"]) == 2
    assert "init: 'bot' is one word too many; write DIR, or one of argo, tekton and DIR" in capsys.readouterr().err
