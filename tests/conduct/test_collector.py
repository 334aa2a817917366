"""The collector is quiet inside a run, and as it was outside."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

import headgate as hg
from headgate.conduct.collector import quiet_collector

IMPORT = """
import gc
before = gc.get_threshold()
import headgate.api
print(gc.get_threshold() == before, gc.get_freeze_count())
"""


@pytest.fixture(autouse=True)
def _restored():
    """Begin as a program does that has frozen nothing; the tests around have (``conftest.py``)."""
    gc.unfreeze()
    before = gc.get_threshold()
    yield
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
    gc.freeze()


def test_runs_inside_runs():
    with quiet_collector():
        frozen = gc.get_freeze_count()
        assert frozen > 1000
        later = [[] for _ in range(1000)]
        with quiet_collector():
            assert gc.get_freeze_count() <= frozen  # what is freed counts no more, and these are not frozen
        assert len(later) == 1000
        assert gc.get_threshold() == (100_000, 20, 100)


def test_an_error_ends_it_too():
    with pytest.raises(KeyError), quiet_collector():
        raise KeyError


def test_what_a_program_froze_stays_frozen():
    gc.freeze()
    try:
        with quiet_collector():
            pass
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()


def test_a_run_is_quiet_and_an_import_changes_nothing(tmp_path):
    seen = []
    suite = hg.Suite(
        name="echo",
        items=[{"q": "a"}],
        prompts={"p": "{{ q }}"},
        models=[{"id": "m", "provider": "python", "call": lambda messages: str(seen.append(gc.get_threshold()))}],
    )
    hg.run(suite, out=tmp_path / "run")
    assert seen == [(100_000, 20, 100)]
    assert subprocess.check_output([sys.executable, "-c", IMPORT], text=True) == "True 0\n"
