"""The seam."""

from __future__ import annotations

import pytest

from headgate.execute.transport import Request, Target, TransportError


@pytest.mark.parametrize(
    ("url", "near"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://LOCALHOST/v1", True),
        ("http://u:p@[::1]:8000/v1", True),
        ("http://127.0.0.1.example.com/v1", False),
        ("http://localhost@example.com/v1", False),
        ("https://api.example.com/127.0.0.1", False),
    ],
)
def test_what_is_this_machine(url: str, near: bool):
    assert Target(url, {}).is_loopback is near


def test_a_target_shows_nothing():
    target = Target("http://u:hunter2@h/v1", {"authorization": "Bearer sk-canary"})
    shown = f"{target} {target!r} {Request(target, b'')!r}"
    assert "hunter2" not in shown
    assert "sk-canary" not in shown


def test_targets_are_equal_only_to_themselves():
    assert Target("http://h", {}) != Target("http://h", {})


@pytest.mark.parametrize(
    "message", ["no http://u:hunter2@h/x?y for you", "at HTTPS://u:hunter2@h", "(socks5://hunter2@h)"]
)
def test_an_error_shows_no_url(message: str):
    assert "hunter2" not in str(TransportError("connect", message))
