from __future__ import annotations

from dataclasses import replace

from headgate.execute.statistics import EngineStatistics, LaneStatistics
from headgate.report.stall import describe_stall

LANE = LaneStatistics(
    models=("small", "large"), concurrency=64, allowed=20, in_flight=12, waiting=3, in_backoff=2, deferred=1,
    admitted=500, waits_for="answers, the oldest for 61 s",
)  # fmt: skip
DONE = replace(
    LANE, models=("done",), in_flight=0, waiting=0, in_backoff=0, deferred=0, waits_for="",
)  # fmt: skip
STATISTICS = EngineStatistics(
    elapsed_s=100.0, ok=480, refused=10, errors={}, failures={}, attempts=560, in_flight=12, in_backoff=2,
    input_tokens=0, output_tokens=0, lanes=(LANE, DONE),
)  # fmt: skip


def stall(statistics, **changes):
    return describe_stall(statistics, **{"idle_s": 61.2, "jobs_left": 1500, "rows_pending": 0, **changes})


def test_it_says_what_every_lane_with_work_waits_for():
    assert stall(STATISTICS) == (
        "nothing moved for 61 s, and 1,500 jobs have no result; small+large waits for answers, the oldest for 61 s"
        " (12 in flight, 3 at the limit, 2 in backoff, 1 deferred)"
    )


def test_a_disk_that_is_stuck_is_named():
    assert stall(replace(STATISTICS, lanes=()), jobs_left=0, rows_pending=4096) == (
        "nothing moved for 61 s, and 0 jobs have no result; 4,096 rows wait for the disk"
    )


def test_a_late_event_loop_is_named():
    assert stall(replace(STATISTICS, lag_s=2.5)).endswith("; the event loop is 2.5 s late")
    assert "late" not in stall(replace(STATISTICS, lag_s=0.05))


def test_names_and_words_of_others_are_inert_and_short():
    lane = replace(LANE, models=("\x1b]0;owned\x07" * 50,), waits_for="a\nb\r\u202ec" * 500)
    text = stall(replace(STATISTICS, lanes=(lane,)))
    assert text.isprintable()
    assert len(text) < 500


def test_many_lanes_are_counted():
    lanes = tuple(replace(LANE, models=(f"m{n}",)) for n in range(40))
    text = stall(replace(STATISTICS, lanes=lanes))
    assert "m9 waits" in text
    assert "m10 waits" not in text
    assert text.endswith("; 30 more lanes wait")
