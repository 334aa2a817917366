from __future__ import annotations

import io
from dataclasses import replace

from headgate.execute.statistics import EngineStatistics, LaneStatistics
from headgate.report.progress import Progress, describe

LANE = LaneStatistics(
    models=("small",), concurrency=64, allowed=64, in_flight=12, waiting=3, in_backoff=2, deferred=0, admitted=500,
    requests_per_minute=600.0, paused_s=4.2,
)  # fmt: skip
STATISTICS = EngineStatistics(
    elapsed_s=10.0, ok=480, refused=10, errors={"timeout": 10}, failures={"rate_limit": 7, "timeout": 40}, attempts=560,
    in_flight=12, in_backoff=2, input_tokens=50_000, output_tokens=1_200, lanes=(LANE,),
)  # fmt: skip


def test_the_cost_is_told_where_it_is_known():
    assert "cost" not in describe(STATISTICS, 1500)
    assert " | cost $1.25 | left" in describe(replace(STATISTICS, cost_usd=1.25), 1500)
    partly = describe(replace(STATISTICS, cost_usd=1.25, unpriced=2), 1500)
    assert " | cost $1.25 without 2 answers whose cost is not known | left" in partly
    capped = replace(STATISTICS, cost_usd=1.25, max_cost_usd=5.0, spent_usd=2.5)
    assert " | cost $2.50 of $5.00 | left" in describe(capped, 1500)


def test_one_line_says_it_all():
    assert describe(STATISTICS, 1500) == (
        "500/1,500 jobs | 50/s | errors timeout 10 | retried rate_limit 7, timeout 40"
        " | lanes small 12/64, 3 wait for the limit, paused 4 s | tokens 50,000 in, 1,200 out | left 20 s"
    )


def test_a_lane_that_may_do_less_than_declared_shows_both():
    lane = replace(LANE, allowed=20, waiting=0, deferred=3, paused_s=0.0)
    assert " | lanes small 12/20 of 64, 3 deferred | " in describe(replace(STATISTICS, lanes=(lane,)), 1500)


def test_a_late_event_loop_is_said_when_it_matters():
    assert "late" not in describe(replace(STATISTICS, lag_s=0.1), 1500)
    assert describe(replace(STATISTICS, lag_s=0.26), 1500).endswith(" | left 20 s | event loop 0.3 s late")


def test_a_model_cannot_act_on_the_terminal():
    lane = replace(LANE, models=("\x1b[2Jevil\n",))
    assert describe(replace(STATISTICS, lanes=(lane,)), 1500).isprintable()


def test_a_log_gets_plain_lines_and_no_control_characters():
    log = io.StringIO()
    with Progress(lambda: STATISTICS, total=lambda: 1500, stream=log) as progress:
        progress.tick()
        assert log.getvalue() == ""  # not due yet
    assert log.getvalue() == describe(STATISTICS, 1500) + "\n"


def test_a_terminal_gets_a_live_display():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    with Progress(lambda: STATISTICS, total=lambda: 1500, stream=terminal):
        pass
    assert "500/1,500 jobs" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()


def test_nothing_is_said_before_the_engine_starts():
    log = io.StringIO()
    with Progress(lambda: None, total=lambda: 10, stream=log):
        pass
    assert log.getvalue() == ""
