"""When attempts go out, and when they do not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headgate.execute.circuit import Circuit


def made(concurrency: int = 8, *, first_s: float = 1.0) -> tuple[Circuit, list[float]]:
    """Return a circuit that waits the longest that it may, and its clock."""
    now, rng = [100.0], random.Random(0)
    rng.uniform = lambda low, high: high  # type: ignore[method-assign]
    return Circuit(concurrency, first_s=first_s, clock=lambda: now[0], rng=rng), now


def opened(concurrency: int = 8, **options: float) -> tuple[Circuit, list[float]]:
    circuit, now = made(concurrency, **options)
    for number in range(max(20, concurrency)):
        circuit.failed(number)
    assert not circuit.closed
    return circuit, now


@pytest.mark.parametrize(("concurrency", "needed"), [(1, 16), (20, 16), (64, 52), (1000, 800)])
def test_it_opens_at_four_of_five(concurrency: int, needed: int):
    circuit, _ = made(concurrency)
    for number in range(needed - 1):
        circuit.failed(number)
    assert circuit.closed
    assert circuit.admit("one more")
    circuit.failed("one more")
    assert not circuit.closed
    assert not circuit.admit("another")


@given(outcomes=st.lists(st.booleans(), max_size=200), concurrency=st.integers(1, 40))
def test_it_opens_exactly_when_a_slow_twin_does(outcomes: list[bool], concurrency: int):
    circuit, _ = made(concurrency)
    window = max(20, concurrency)
    for number, failed in enumerate(outcomes):
        (circuit.failed if failed else circuit.succeeded)(number)
        recent = outcomes[max(0, number + 1 - window) : number + 1]
        if 5 * sum(recent) >= 4 * window:
            assert not circuit.closed
            return
        assert circuit.closed


def test_half_of_the_replicas_gone_leaves_it_closed():
    circuit, _ = made(64)
    rng = random.Random(1)
    for number in range(20_000):
        (circuit.failed if rng.random() < 0.5 else circuit.succeeded)(number)
        assert circuit.closed


def test_while_it_is_open_nothing_goes_out_and_then_one_does():
    circuit, now = opened()
    assert circuit.wait_s == 1.0
    now[0] += 0.999
    assert not circuit.admit("a")
    now[0] += 0.001
    assert circuit.wait_s == 0.0
    assert circuit.admit("a")
    assert not circuit.admit("b")
    assert circuit.admit("a")  # still the probe, when it has waited for its turn
    assert not circuit.admit("b")
    assert circuit.wait_s == 1.0  # not at once again: the probe takes its time


def test_only_the_probe_closes_it():
    circuit, now = opened()
    circuit.succeeded("late")
    now[0] += 1
    assert circuit.admit("probe")
    circuit.succeeded("late")
    assert not circuit.closed
    circuit.succeeded("probe")
    assert circuit.closed
    assert all(circuit.admit(number) for number in range(100))


def test_a_late_failure_does_not_open_it_for_longer():
    circuit, now = opened()
    for number in range(100):
        circuit.failed(f"late {number}")
    assert circuit.wait_s == 1.0
    now[0] += 1
    assert circuit.admit("probe")
    circuit.failed("late")  # one of those from before is not the probe
    assert not circuit.admit("second")
    circuit.succeeded("probe")
    assert circuit.closed


def test_it_opens_for_twice_as_long_up_to_a_minute():
    circuit, now = opened()
    waits = [circuit.wait_s]
    for number in range(12):
        now[0] += circuit.wait_s
        probe = f"probe {number}"
        assert circuit.admit(probe)
        circuit.failed(probe)
        waits.append(circuit.wait_s)
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32] + [60] * 7)


def test_after_it_has_closed_it_starts_from_the_beginning():
    circuit, now = opened()
    for probe in ("one", "two"):
        now[0] += circuit.wait_s
        assert circuit.admit(probe)
        circuit.failed(probe)
    now[0] += circuit.wait_s
    assert circuit.admit("three")
    circuit.succeeded("three")
    for number in range(15):
        circuit.failed(number)
    assert circuit.closed  # what was before is forgotten
    circuit.failed(16)
    assert circuit.wait_s == 1.0


def test_an_abandoned_probe_makes_room_for_another():
    circuit, now = opened()
    now[0] += 1
    assert circuit.admit("probe")
    circuit.abandoned("somebody else")
    assert not circuit.admit("other")
    circuit.abandoned("probe")
    assert not circuit.closed
    assert circuit.admit("other")
    circuit.succeeded("probe")
    assert not circuit.closed
    circuit.succeeded("other")
    assert circuit.closed


def test_the_time_is_jittered_down_to_its_half():
    waits = []
    for seed in range(400):
        circuit = Circuit(8, clock=lambda: 0.0, rng=random.Random(seed))
        for number in range(16):
            circuit.failed(number)
        waits.append(circuit.wait_s)
    assert 0.5 <= min(waits) < 0.51
    assert 0.99 < max(waits) <= 1.0


class Circuits(RuleBasedStateMachine):
    """Attempts go out, end in any order and are cancelled, while a clock runs."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.circuit = Circuit(8, clock=lambda: self.now, rng=random.Random(1))
        self.under_way: list[int] = []
        self.probe: int | None = None
        self.opened_at: float | None = None
        self.count = 0

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        self.count += 1
        was_open = not self.circuit.closed
        if self.circuit.admit(self.count):
            self.under_way.append(self.count)
            if was_open:
                assert self.probe is None, "a second probe"
                assert self.opened_at is not None
                assert self.now - self.opened_at >= 0.5, "before its time"
                self.probe = self.count
        else:
            assert was_open

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        attempt = data.draw(st.sampled_from(self.under_way))
        if self.circuit.closed:
            assert self.circuit.admit(attempt)
        elif self.probe is not None:
            assert self.circuit.admit(attempt) == (attempt == self.probe)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), how=st.sampled_from(["failed", "failed", "failed", "succeeded", "abandoned"]))
    def end(self, data: st.DataObject, how: str) -> None:
        attempt = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        was_open, wait_s = not self.circuit.closed, self.circuit.wait_s
        getattr(self.circuit, how)(attempt)
        if attempt == self.probe:
            assert self.circuit.closed == (how == "succeeded")
            self.probe = None
            self.opened_at = self.now if how == "failed" else self.opened_at
        elif was_open:
            assert not self.circuit.closed, "only the probe closes it"
            assert self.circuit.wait_s == wait_s, "only the probe opens it for longer"
        elif not self.circuit.closed:
            assert how == "failed"
            self.opened_at = self.now

    @rule(count=st.integers(1, 16))
    def many_fail(self, count: int) -> None:
        for _ in range(count):
            self.ask()
            if self.circuit.closed and self.under_way:
                attempt = self.under_way.pop()
                self.circuit.failed(attempt)
                if not self.circuit.closed:
                    self.opened_at = self.now

    @invariant()
    def the_wait_is_bounded(self) -> None:
        assert 0 <= self.circuit.wait_s <= 60
        if self.circuit.closed:
            assert self.circuit.wait_s == 0


TestCircuits = Circuits.TestCase
