"""Units do not hang on the order in which rows arrive, on batches, or on restarts; clusters are one unit each."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.traffic.units import Flow, FlowState

LATE, WINDOW = 20.0, 30.0

rows = st.lists(
    st.tuples(
        st.integers(0, 300), st.booleans(), st.sampled_from([None, 1, 2, 3, 4]), st.sampled_from([0.0, 1.0, math.nan])
    ),
    min_size=1,
    max_size=60,
)


def flow(state=None):
    return Flow(["x"], window_s=WINDOW, lateness_s=LATE, state=state)


def events(drawn):
    return [(float(time), key, canary, cluster, [value]) for key, (time, canary, cluster, value) in enumerate(drawn)]


def told(made):
    return [
        (bool(canary), repr(value))
        for units in made
        for canary, value in zip(units.canary, units.values["x"], strict=True)
    ]


def fed(arriving, cuts, *, restarts):
    running, made = flow(), []
    for index, event in enumerate(arriving):
        if running.expects(event[0], event[1], canary=event[2]):
            running.add(event)
        if index in cuts:
            made.append(running.release())
            if restarts:
                running = flow(msgspec.msgpack.decode(msgspec.msgpack.encode(running.state), type=FlowState))
    made.append(running.release())
    return told(made), running


def expected(drawn):
    """Say it again, slowly: sort all rows, and walk."""
    watermark = max(time for time, *_ in drawn) - LATE
    known = sorted(event for event in events(drawn) if event[0] < watermark)
    starts, units = {}, []
    for time, _, canary, cluster, _ in known:
        if cluster is not None and cluster not in starts:
            starts[cluster] = (time, canary)
    for time, key, canary, cluster, (value,) in known:
        if cluster is None:
            units.append((time, 1, key, canary, value))
    for cluster, (start, arm) in starts.items():
        inside = [e[4][0] for e in known if e[3] == cluster and e[0] <= start + WINDOW and e[2] == arm]
        there = [value for value in inside if not math.isnan(value)]
        if start + WINDOW < watermark:
            units.append((start + WINDOW, 0.5, cluster, arm, sum(there) / len(there) if there else math.nan))
    # A window that ends at the time of a row is still open for it: it closes after.
    ordered = sorted(units, key=lambda u: (u[0], 0 if u[1] == 1 else 1, u[2]))
    return [(canary, repr(np.float64(value))) for _, _, _, canary, value in ordered]


@settings(max_examples=150, deadline=None)
@given(rows, st.data())
def test_arrival_batches_and_restarts_change_nothing(drawn, data):
    # Any order in which no row comes later than the lateness allows: sort by time plus a delay of less than it.
    delays = data.draw(st.lists(st.floats(0, LATE - 0.01), min_size=len(drawn), max_size=len(drawn)))
    arriving = [e for _, _, e in sorted((e[0] + d, e[1], e) for e, d in zip(events(drawn), delays, strict=True))]
    cuts = data.draw(st.sets(st.integers(0, len(drawn) - 1)))
    units, running = fed(arriving, cuts, restarts=data.draw(st.booleans()))
    assert units == expected(drawn)
    assert sum(p.late + p.duplicate for p in running.state.passed) == 0
    assert sum(p.units for p in running.state.passed) == len(units)


def test_what_is_late_or_came_twice_is_counted_and_left_out():
    running = flow()
    for time, key in ((100, 1), (100, 1), (130, 2), (100, 3), (110, 4), (109, 5)):
        if running.expects(float(time), key, canary=True):
            running.add((float(time), key, True, None, [1.0]))
    assert running.release().canary.tolist() == [True]
    passed = running.state.passed[1]
    assert (passed.units, passed.late, passed.duplicate) == (1, 2, 1)
    assert len(running.state.waiting) == 2


def test_a_cluster_is_one_unit_of_the_arm_that_it_met_first():
    running = flow()
    drawn = [(0, True, 7, 1.0), (10, True, 7, 0.0), (20, False, 7, 1.0), (40, True, 7, 1.0), (500, False, None, 1.0)]
    units, running = fed(events(drawn), set(), restarts=False)
    assert units == [(True, repr(np.float64(0.5)))]
    assert [(p.crossed, p.repeated) for p in running.state.passed] == [(1, 0), (0, 1)]


def test_the_state_holds_no_text_of_users():
    from headgate.traffic.units import key_of

    running = flow()
    running.add((1.0, key_of("row of alice"), True, key_of("alice"), [1.0]))
    assert b"alice" not in msgspec.msgpack.encode(running.state)
