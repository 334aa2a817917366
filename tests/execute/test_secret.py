"""Keys are found by reference and never shown."""

from __future__ import annotations

import copy
import pickle
import sys
import traceback
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import NoKeyringError

from headgate.errors import ConfigError
from headgate.execute.secret import Secret, resolve_secret

KEY = "sk-canary-0123456789"


def resolve(reference: str, base: Path = Path()) -> Secret:
    return resolve_secret(reference, base=base, field="models.small.api_key", file=Path("suite.yaml"))


def test_it_is_never_shown():
    secret = Secret(KEY)
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r:>40}", repr([secret]), repr({"k": secret})]
    assert not any(KEY in text for text in shown)
    assert secret.reveal() == KEY


def test_it_is_not_in_a_traceback():
    def breaks(secret: Secret) -> None:
        raise ValueError(f"with {secret}")

    with pytest.raises(ValueError) as caught:
        breaks(Secret(KEY))
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert not any(KEY in line for line in shown.format() if "KEY" not in line)


def test_it_has_no_attributes_to_dump():
    assert not hasattr(Secret(KEY), "__dict__")


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy])
def test_it_is_not_pickled(leak):
    with pytest.raises(TypeError, match="key"):
        leak(Secret(KEY))


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADGATE_TEST_KEY", f" {KEY}\n")
    assert resolve("env:HEADGATE_TEST_KEY").reveal() == KEY


def test_from_a_file_next_to_the_suite(tmp_path: Path):
    (tmp_path / "key").write_text(KEY + "\n")
    assert resolve("file:key", tmp_path).reveal() == KEY
    assert resolve(f"file:{tmp_path}/key", Path("/elsewhere")).reveal() == KEY


def test_a_missing_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HEADGATE_TEST_KEY", raising=False)
    with pytest.raises(ConfigError) as caught:
        resolve("env:HEADGATE_TEST_KEY")
    assert str(caught.value) == (
        "suite.yaml: models.small.api_key: 'env:HEADGATE_TEST_KEY' names no key; "
        "set the environment variable HEADGATE_TEST_KEY"
    )


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory; write the key into key"):
        resolve("file:key", tmp_path)


def test_a_folder_is_no_file(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        resolve(f"file:{tmp_path}")


@pytest.mark.parametrize("text", ["", " ", "\n\n"])
def test_an_empty_key(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADGATE_TEST_KEY", text)
    (tmp_path / "key").write_text(text)
    for reference in ("env:HEADGATE_TEST_KEY", "file:key"):
        with pytest.raises(ConfigError, match="names no key"):
            resolve(reference, tmp_path)


@pytest.mark.parametrize("text", ["sk-“quoted”", "sk-a\nsk-b", "sk-\x07", "Ключ"])
def test_a_key_that_no_header_can_carry(text: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADGATE_TEST_KEY", text)
    with pytest.raises(ConfigError, match="characters that no HTTP header can carry") as caught:
        resolve("env:HEADGATE_TEST_KEY")
    assert text not in str(caught.value)


def test_a_key_file_that_is_no_text(tmp_path: Path):
    (tmp_path / "key").write_bytes(b"\xff\xfes\x00k\x00")
    with pytest.raises(ConfigError, match="characters that no HTTP header can carry"):
        resolve("file:key", tmp_path)


class Ring(KeyringBackend):
    priority = 1

    def __init__(self, entries=None, error=None):
        super().__init__()
        self._entries, self._error = entries or {}, error

    def get_password(self, service, username):
        if self._error is not None:
            raise self._error
        return self._entries.get((service, username))

    def set_password(self, service, username, password):
        raise NotImplementedError


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch):
    def use(backend):
        monkeypatch.setattr(keyring.core, "_keyring_backend", backend)

    return use


def test_from_the_keyring(ring):
    ring(Ring({("evals/openai", "me"): f"{KEY}\n"}))
    assert resolve("keyring:evals/openai/me").reveal() == KEY


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        (Ring(), "names no key; run: keyring set evals me"),
        (Ring({("evals", "me"): " "}), "names no key; run: keyring set evals me"),
        (Ring(error=NoKeyringError("no backend")), "cannot be read from the keyring: no backend; unlock it, or use"),
    ],
    ids=["no entry", "empty", "no backend"],
)
def test_a_keyring_without_the_key(ring, backend, said):
    ring(backend)
    with pytest.raises(ConfigError, match="suite.yaml: models.small.api_key: 'keyring:evals/me' " + said):
        resolve("keyring:evals/me")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match=r"not installed; run: pip install 'headgate\[keyring\]'"):
        resolve("keyring:evals/me")
