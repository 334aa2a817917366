"""When an endpoint is given up."""

from __future__ import annotations

import pytest

from headgate.execute import health as module
from headgate.execute.answer import Answer, Failure
from headgate.execute.health import Health
from headgate.execute.retry import ACTIONS

REFUSED = Failure(kind="connect", message="Connection refused")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("kind", "status", "mend"),
    [
        ("auth", 401, "check the key"),
        ("quota", 429, "pay the bill"),
        ("not_found", 404, "check `base_url` and the name"),
    ],
)
def test_dead_at_first_sight(kind, status, mend):
    error = Health("model small at http://x").note(Failure(kind=kind, message="why not", http_status=status))
    assert error is not None
    assert f"model small at http://x refuses to serve: why not (status {status})" in str(error)
    assert mend in str(error)
    assert error.exit_code == 3


def test_a_key_refused_in_the_middle_is_dead_too():
    health = Health("m")
    assert health.note(Answer(output="x")) is None
    assert health.note(Failure(kind="auth", message="revoked", http_status=401)) is not None


@pytest.mark.parametrize("kind", [kind for kind, action in ACTIONS.items() if not action.dead and kind != "connect"])
def test_other_failures_are_no_death(kind, clock):
    health = Health("m")
    for _ in range(1000):
        assert health.note(Failure(kind=kind, message="", http_status=500)) is None
        clock[0] += 60


def test_never_answered(clock):
    health = Health("model small at http://x")
    for _ in range(50):
        assert health.note(REFUSED) is None  # fifty at once are one event
    clock[0] += 1.9
    assert health.note(REFUSED) is None
    clock[0] += 0.2
    error = health.note(REFUSED)
    assert "model small at http://x cannot be reached: Connection refused; check `base_url`" in str(error)


def test_few_failures_over_a_long_time_are_no_death(clock):
    health = Health("m")
    for _ in range(4):
        assert health.note(REFUSED) is None
        clock[0] += 10
    assert health.note(REFUSED) is not None


def test_once_answered_it_gets_a_minute(clock):
    health = Health("m")
    health.note(Answer(output="x"))
    for _ in range(59):
        assert health.note(REFUSED) is None
        clock[0] += 1
    clock[0] += 2
    assert health.note(REFUSED) is not None


def test_an_answer_starts_the_count_anew(clock):
    health = Health("m")
    for _ in range(10):
        assert health.note(REFUSED) is None
        assert health.note(Failure(kind="overloaded", message="", http_status=503)) is None
        clock[0] += 59
