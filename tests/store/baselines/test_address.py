"""Which place an address names."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.errors import ConfigError
from headgate.store.baselines.address import open_bundles
from headgate.store.baselines.directory import Directory
from headgate.store.baselines.git import GitRefs
from headgate.store.baselines.objects import Objects
from stored_baselines import repository


def test_each_form_opens_its_kind(tmp_path, monkeypatch):
    repository(tmp_path / "r")
    monkeypatch.chdir(tmp_path / "r")
    forms = {
        "baselines": Directory,
        "./git": Directory,
        f"file://{tmp_path}/a%20b": Directory,
        "git:": GitRefs,
        f"git:{tmp_path}/r": GitRefs,
        "memory:///": Objects,
    }
    assert {form: type(open_bundles(form)) for form in forms} == forms
    assert open_bundles(f"file://{tmp_path}/a%20b").address == f"{tmp_path}/a b"
    assert open_bundles(tmp_path).address == str(tmp_path)


def test_the_environment_names_the_default(monkeypatch):
    monkeypatch.delenv("HEADGATE_BASELINES", raising=False)
    assert open_bundles().address == ".headgate/baselines"
    monkeypatch.setenv("HEADGATE_BASELINES", "elsewhere")
    assert open_bundles().address == "elsewhere"
    assert open_bundles("given").address == "given"
    monkeypatch.setenv("HEADGATE_BASELINES", "")  # as CI systems leave variables that are not set
    assert open_bundles().address == ".headgate/baselines"


@pytest.mark.parametrize(
    ("address", "problem"),
    [("", "is empty"), ("file://host/a", "names another host"), ("git:/", "is no git repository")],
)
def test_what_is_no_address_is_refused(address, problem):
    with pytest.raises(ConfigError, match=problem):
        open_bundles(address)
    assert not Path("file:").exists()
