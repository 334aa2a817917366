from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.shard import WHOLE, Shard, choose_shard
from headgate.suite.model import Lane

COUNTS = st.integers(1, 12)


@pytest.mark.parametrize(("text", "shard"), [("1/1", WHOLE), ("3/4", Shard(3, 4)), ("07/12", Shard(7, 12))])
def test_parse(text, shard):
    assert Shard.parse(text) == shard == choose_shard(text, environ={})


@pytest.mark.parametrize(
    "text", ["", "2", "1/", "/2", "a/2", "-1/2", "1/2/3", "1 / 2", "1/2\n", "1.0/2", "²/3", "Auto"]
)
def test_what_is_no_shard(text):
    with pytest.raises(ConfigError) as caught:
        Shard.parse(text)
    assert str(caught.value) == f"--shard: {text!r} is no shard; write i/n, such as 1/4, or auto"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "mend"), [("0/4", "count from 1/4 to 4/4"), ("5/4", "count from 1/4 to 4/4"), ("0/0", "at least one: 1/1")]
)
def test_a_number_out_of_range(text, mend):
    with pytest.raises(ConfigError, match=f"--shard: '{text}' is no shard; .*{mend}"):
        Shard.parse(text)


def test_nothing_asked_for():
    assert choose_shard(None, environ={"HEADGATE_SHARD": "1/2"}) is None


FIRST = {"HEADGATE_SHARD": "2/5"}
GITLAB = {"CI_NODE_INDEX": "3", "CI_NODE_TOTAL": "4"}
KUBERNETES = {"JOB_COMPLETION_INDEX": "0", "HEADGATE_SHARDS": "3"}


@pytest.mark.parametrize(
    ("environ", "shard"),
    [
        (FIRST, "2/5"),
        (GITLAB, "3/4"),
        (GITLAB | {"CI_NODE_INDEX": "1"}, "1/4"),
        (KUBERNETES, "1/3"),
        (KUBERNETES | {"JOB_COMPLETION_INDEX": "2"}, "3/3"),
        (FIRST | GITLAB | KUBERNETES, "2/5"),
        (GITLAB | KUBERNETES, "3/4"),
        (GITLAB | {"HEADGATE_SHARD": ""}, "3/4"),
    ],
)
def test_auto_reads_the_environment(environ, shard, monkeypatch):
    assert str(choose_shard("auto", environ=environ)) == shard
    for name in ("HEADGATE_SHARD", *GITLAB, *KUBERNETES):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert str(choose_shard("auto")) == shard


PAIRS = "CI_NODE_INDEX and CI_NODE_TOTAL, or JOB_COMPLETION_INDEX and HEADGATE_SHARDS"
ELSE = "or write --shard i/n"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {},
            f"--shard: 'auto' finds no shard in the environment; set HEADGATE_SHARD (i/n), or {PAIRS}; {ELSE}",
        ),
        ({"HEADGATE_SHARD": "0/2"}, "HEADGATE_SHARD: '0/2' is no shard; count from 1/2 to 2/2"),
        (
            {"CI_NODE_TOTAL": "1"},
            "--shard auto: CI_NODE_INDEX is not set; CI_NODE_TOTAL is set: set both, or write --shard i/n",
        ),
        (
            {"CI_NODE_INDEX": "1"} | KUBERNETES,
            "--shard auto: CI_NODE_TOTAL is not set; CI_NODE_INDEX is set: set both, or write --shard i/n",
        ),
        (
            {"JOB_COMPLETION_INDEX": "0"},
            "--shard auto: HEADGATE_SHARDS is not set; JOB_COMPLETION_INDEX is set: set both, or write --shard i/n",
        ),
        (
            {"HEADGATE_SHARDS": "4"},
            "--shard auto: JOB_COMPLETION_INDEX is not set; HEADGATE_SHARDS is set: set both, or write --shard i/n",
        ),
        (GITLAB | {"CI_NODE_INDEX": "0"}, "CI_NODE_INDEX: '0' is no shard; with CI_NODE_TOTAL=4 it is 1 to 4"),
        (GITLAB | {"CI_NODE_INDEX": "5"}, "CI_NODE_INDEX: '5' is no shard; with CI_NODE_TOTAL=4 it is 1 to 4"),
        (
            KUBERNETES | {"JOB_COMPLETION_INDEX": "3"},
            "JOB_COMPLETION_INDEX: '3' is no shard; with HEADGATE_SHARDS=3 it is 0 to 2",
        ),
        (
            KUBERNETES | {"HEADGATE_SHARDS": "0"},
            "JOB_COMPLETION_INDEX: '0' is no shard; HEADGATE_SHARDS must be at least 1",
        ),
        (GITLAB | {"CI_NODE_TOTAL": "four"}, "CI_NODE_TOTAL: 'four' is not a whole number"),
    ],
)
def test_auto_that_finds_none_says_what_to_set(environ, message):
    with pytest.raises(ConfigError) as caught:
        choose_shard("auto", environ=environ)
    assert str(caught.value) == message


def test_no_shard_that_is_none_can_be_made():
    for index, count in ((0, 1), (2, 1), (1, 0)):
        with pytest.raises(ValueError, match="is no shard"):
            Shard(index, count)


@given(st.integers(0, 60), st.integers(1, 6), COUNTS)
def test_shards_are_a_partition_of_jobs_by_whole_items(n_items, cells, count):
    shards = [Shard(index, count) for index in range(1, count + 1)]
    marks = [list(shard.mark_jobs(n_items, cells=cells)) for shard in shards]
    assert [sum(column) for column in zip(*marks, strict=True)] == [1] * (n_items * cells)
    for shard, own in zip(shards, marks, strict=True):
        assert own == [int(job // cells % count == shard.index - 1) for job in range(n_items * cells)]
        assert sum(own) == shard.n_items(n_items) * cells
    sizes = [shard.n_items(n_items) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 60), COUNTS, st.integers(0, 60))
def test_a_limit_takes_the_same_items_from_every_shard(n_items, count, limit):
    limited = min(n_items, limit)
    for index in range(1, count + 1):
        whole = list(range(n_items))[Shard(index, count).items]
        assert list(range(limited))[Shard(index, count).items] == [item for item in whole if item < limited]


def test_ten_million_jobs_take_a_byte_each():
    tracemalloc.start()
    try:
        marks = Shard(2, 4).mark_jobs(1_000_000, cells=10)
        assert tracemalloc.get_traced_memory()[1] < 11_000_000
    finally:
        tracemalloc.stop()
    assert (len(marks), marks.count(1), marks.find(1)) == (10_000_000, 2_500_000, 10)


class LaterLane(Lane):
    """A lane with a limit that this version may not know."""

    images_per_minute: float | None = None


@given(st.floats(0.1, 1e9), st.floats(0.1, 1e9), st.integers(1, 10_000), COUNTS)
def test_declared_limits_are_split(requests, images, concurrency, count):
    lane = LaterLane(models=["m"], requests_per_minute=requests, images_per_minute=images, concurrency=concurrency)
    part = Shard(1, count).split_lane(lane)
    assert (part.requests_per_minute, part.images_per_minute) == (requests / count, images / count)
    assert part.tokens_per_minute is None
    assert concurrency <= part.concurrency * count < concurrency + count
    assert part.models == ["m"]
    assert Shard(count, count).split_lane(lane) == part
    assert WHOLE.split_lane(lane) == lane


def test_what_is_not_declared_stays_so():
    lane = Lane(models=["m"], tokens_per_minute=900)
    assert Shard(1, 3).split_lane(lane) == Lane(models=["m"], tokens_per_minute=300, concurrency=lane.concurrency)
    assert Shard(1, 3).split_lane(Lane(models=["m"])) == Lane(models=["m"])
