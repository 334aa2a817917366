"""When an endpoint is given up."""

from __future__ import annotations

import pytest

from headgate.execute import health as module
from headgate.execute.answer import Answer, Failure, FailureKind
from headgate.execute.circuit import Circuit
from headgate.execute.health import Health
from headgate.execute.retry import ACTIONS

REFUSED = Failure(kind="connect", message="Connection refused")
BROKEN = Failure(kind="transient", message="boom", http_status=500)
BREAKS = {"connect", "dropped", "timeout", "transient", "overloaded"}
RETRIED = [kind for kind, action in ACTIONS.items() if action.retry]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def healthy(name: str = "m", *, concurrency: int = 8) -> Health:
    return Health(name, concurrency=concurrency)


def broken(kind: FailureKind) -> Failure:
    return Failure(kind=kind, message="boom", http_status=500)


@pytest.mark.parametrize(
    ("kind", "status", "mend"),
    [
        ("auth", 401, "check the key"),
        ("quota", 429, "pay the bill"),
        ("not_found", 404, "check `base_url` and the name"),
    ],
)
def test_dead_at_first_sight(kind, status, mend):
    failure = Failure(kind=kind, message="why not", http_status=status)
    error = healthy("model small at http://x").note(1, failure)
    assert error is not None
    assert f"model small at http://x refuses to serve: why not (status {status})" in str(error)
    assert mend in str(error)
    assert "the same command resumes" in str(error)
    assert error.exit_code == 3


def test_a_key_refused_in_the_middle_is_dead_too():
    health = healthy()
    assert health.note(1, Answer(output="x")) is None
    assert health.note(2, Failure(kind="auth", message="revoked", http_status=401)) is not None


WORKS = [kind for kind, action in ACTIONS.items() if not action.dead and kind not in BREAKS]


@pytest.mark.parametrize("kind", WORKS)
def test_a_server_that_refuses_requests_works(kind, clock):
    health = healthy()
    for number in range(1000):
        assert health.note(number, broken(kind)) is None
        assert health.circuit.closed
        clock[0] += 60


def test_never_answered(clock):
    health = healthy("model small at http://x")
    for number in range(50):
        assert health.note(number, REFUSED) is None  # fifty at once are one event
    clock[0] += 1.4
    assert health.note(51, REFUSED) is None
    clock[0] += 0.1
    error = health.note(52, REFUSED)
    assert "model small at http://x cannot be reached: Connection refused; check `base_url`" in str(error)


def test_few_failures_over_a_long_time_are_no_death(clock):
    health = healthy()
    for number in range(4):
        assert health.note(number, REFUSED) is None
        clock[0] += 10
    assert health.note(5, REFUSED) is not None


def test_once_answered_it_gets_a_minute(clock):
    health = healthy()
    health.note(0, Answer(output="x"))
    for number in range(59):
        assert health.note(number, REFUSED) is None
        clock[0] += 1
    clock[0] += 2
    assert health.note(60, REFUSED) is not None


def test_an_answer_starts_the_count_anew(clock):
    health = healthy()
    for number in range(10):
        assert health.note(number, REFUSED) is None
        assert health.note(number, Answer(output="x")) is None
        clock[0] += 59


def test_a_server_that_breaks_is_there(clock):
    """Silence is counted anew, but not what is broken."""
    health = healthy()
    for number in range(19):
        assert health.note(number, REFUSED if number % 2 else BROKEN) is None
        clock[0] += 10
    error = health.note(19, BROKEN)
    assert "m has given nothing but errors for 120 s: boom; look at the server's log." in str(error)


@pytest.mark.parametrize("kind", sorted(BREAKS - {"connect"}))
def test_twenty_errors_over_two_minutes_and_nothing_else(kind, clock):
    health = healthy()
    for number in range(100):
        assert health.note(number, broken(kind)) is None  # a hundred at once are one event
    clock[0] += 119.9
    assert health.note(100, broken(kind)) is None
    clock[0] += 0.2
    error = health.note(101, broken(kind))
    assert error is not None
    assert error.exit_code == 3
    assert "has given nothing but errors" in str(error)


def test_nineteen_errors_are_too_few(clock):
    health = healthy()
    for number in range(19):
        assert health.note(number, BROKEN) is None
        clock[0] += 60
    assert health.note(20, BROKEN) is not None


@pytest.mark.parametrize("sign", [Answer(output="x"), broken("invalid_request"), broken("rate_limit")])
def test_one_sign_of_work_is_enough(sign, clock):
    health = healthy()
    for _ in range(5):
        for number in range(60):
            assert health.note(number, BROKEN) is None
            clock[0] += 1.9
        assert health.note(61, sign) is None


@pytest.mark.parametrize("kind", sorted(BREAKS))
def test_failures_of_the_server_open_the_circuit(kind):
    health = healthy(concurrency=8)
    for number in range(15):
        health.note(number, broken(kind))
    assert health.circuit.closed
    health.note(16, broken(kind))
    assert not health.circuit.closed


def test_a_job_that_breaks_the_server_counts_once(clock):
    health = healthy(concurrency=8)
    for number in range(12):
        for again in range(6):
            assert health.note(number, BROKEN, first=again == 0) is None
        clock[0] += 20
    assert health.circuit.closed


@pytest.mark.parametrize("kind", ["connect", "overloaded"])
def test_what_no_job_causes_counts_at_each_attempt(kind):
    health = healthy(concurrency=8)
    for _ in range(16):
        assert health.circuit.closed
        health.note("the same", broken(kind), first=False)
    assert not health.circuit.closed


def test_the_probe_counts_whatever_its_attempt():
    now = [0.0]
    health = Health("m", concurrency=8, circuit=Circuit(8, clock=lambda: now[0]))
    for number in range(16):
        health.note(number, BROKEN)
    now[0] = 1.0
    assert health.circuit.admit("retry")
    health.note("retry", BROKEN, first=False)
    assert not health.circuit.admit("next")
    assert health.circuit.wait_s >= 1.0


def test_the_probe_closes_it():
    now = [0.0]
    health = Health("m", concurrency=8, circuit=Circuit(8, clock=lambda: now[0]))
    for number in range(16):
        health.note(number, broken("transient"))
    now[0] = 2.0
    assert health.circuit.admit("probe")
    health.note("probe", broken("invalid_request"))  # the request is wrong, so the server works
    assert health.circuit.closed


@pytest.mark.parametrize("kind", RETRIED)
def test_what_a_retry_costs(kind, clock):
    health = healthy(concurrency=0)
    paid = sum(health.may_retry(broken(kind)) for _ in range(60))
    assert paid == {"rate_limit": 60, "timeout": 25}.get(kind, 50)


def test_answers_fill_the_budget_again(clock):
    health = healthy(concurrency=0)
    while health.may_retry(BROKEN):
        pass
    for number in range(10):
        health.note(number, Answer(output="x"))
    assert [health.may_retry(BROKEN) for _ in range(3)] == [True, True, False]
