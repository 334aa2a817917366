"""Runs that share answers: what is asked, what rows and costs say, and verdicts on answers that were not drawn anew."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import polars as pl
import pytest

import headgate as hg
from command_line import call
from headgate.cli.commands import cache_options, timed
from headgate.errors import ConfigError, Interrupted
from headgate.execute.cache import CacheOptions
from headgate.execute.reuse import redraw_items

PRICE = {"input_usd_per_million": 1000.0, "output_usd_per_million": 2000.0}


class Net:
    """A server that says how often it was asked, and what it is told to say."""

    def __init__(self, text="1", status=200):
        self.text, self.status, self.asked = text, status, 0

    def __call__(self, request):
        self.asked += 1
        if self.status != 200:
            return httpx.Response(self.status, json={"error": {"message": "no"}})
        text = self.text(request) if callable(self.text) else self.text
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        choices = [{"message": {"content": text}, "finish_reason": "stop"}]
        return httpx.Response(200, json={"model": "served", "choices": choices, "usage": usage})

    def client(self):
        return httpx.AsyncClient(transport=httpx.MockTransport(self))


def suite(*, n=30, seeds=1, redraw=0.0, compare=True, gates=None, model=None, **changes):
    arms = {"compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}}} if compare else {}
    model = {"base_url": "http://one/v1", "params": {"max_tokens": 16}, "price": PRICE, **(model or {})}
    return hg.Suite(
        **{
            "name": "sums",
            "items": [{"question": f"q{i}", "target": "1"} for i in range(n)],
            "prompts": {"old": "{{ question }}", "new": "Sum: {{ question }}"},
            "models": [{"id": "m", "provider": "openai-compatible", **model}],
            "scorers": [{"name": "correct", "type": "exact_match"}],
            "gates": gates or [{"metric": "correct", "margin": 0.1}],
            "seeds": seeds,
            "policy": {"redraw": redraw},
            **arms,
            **changes,
        }
    )


@pytest.fixture
def cached(tmp_path):
    """Return what runs a suite with the cache of the test."""

    def run(declared, out, net, *, mode="write", **options):
        cache = CacheOptions(mode=mode, folder=tmp_path / "cache")
        return hg.run(declared, out=tmp_path / out, client=net.client(), cache=cache, **options)

    return run


def test_the_second_run_asks_nothing_and_says_so(cached):
    net = Net()
    one, two = cached(suite(), "one", net), cached(suite(), "two", net)
    assert net.asked == 60
    ours, theirs = (hg.scan(run).collect().sort("job_id") for run in (two, one))
    for name in ("job_id", "output", "served_model", "input_tokens", "output_tokens", "status", "cost_usd"):
        assert ours[name].equals(theirs[name])
    for name, values in {
        "cache_hit": [True], "latency_s": [None], "ttfb_s": [None], "attempts": [0], "settled_usd": [0.0],
    }.items():  # fmt: skip
        assert ours[name].unique().to_list() == values
    assert not theirs["cache_hit"].any()
    assert (two.cost_usd, two.unpriced) == (None, 0)
    assert one.cost_usd == pytest.approx(60 * 0.12)
    verdict = hg.gate(two)
    assert (verdict.verdict, verdict.candidate.cached, verdict.baseline.cached) == ("pass", 30, 30)
    assert "candidate: 30 answers came from the cache" in str(verdict)


def test_off_is_the_default_and_read_keeps_nothing(cached, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADGATE_CACHE", str(tmp_path / "elsewhere"))
    net = Net()
    hg.run(suite(), out=tmp_path / "plain", client=net.client())
    cached(suite(), "read", net, mode="read")
    assert not (tmp_path / "elsewhere").exists()
    assert list((tmp_path / "cache").iterdir()) == []
    assert net.asked == 120


def test_repeats_are_answers_of_their_own_within_a_run_and_across_runs(cached):
    count = iter(range(1000))
    net = Net(text=lambda request: str(next(count)))
    one = cached(suite(seeds=3, n=10), "one", net)
    assert hg.scan(one).collect()["output"].n_unique() == 60
    cached(suite(seeds=4, n=10), "two", net)
    assert net.asked == 80
    cached(suite(seeds=2, first_seed=3, n=10), "three", net)
    assert net.asked == 80


def test_errors_are_never_kept(cached):
    assert cached(suite(), "one", Net(status=400)).counts["error"] == 60
    net = Net()
    assert cached(suite(), "two", net).counts["ok"] == net.asked == 60


def test_what_the_cache_answers_takes_nothing_of_a_cap(cached):
    net = Net()
    cached(suite(), "one", net)
    assert cached(suite(), "two", net, max_cost_usd=0.001).counts["ok"] == 60
    with pytest.raises(Interrupted, match="the cap"):
        cached(suite(n=40), "three", net, max_cost_usd=0.001)
    assert net.asked == 60


def test_a_gate_on_latency_has_nothing_to_judge(cached):
    declared = suite(gates=[{"metric": "latency_s", "max_ratio": 1.5}])
    cached(declared, "one", Net())
    verdict = hg.gate(cached(declared, "two", Net()))
    assert (verdict.verdict, verdict.metrics[0].reason) == ("invalid", "no item has a value")


def test_a_share_of_the_items_is_asked_again_both_arms_and_all_seeds(cached):
    declared = suite(n=200, seeds=2, redraw=0.2)
    net = Net()
    cached(declared, "one", net)
    assert net.asked == 800
    run = cached(declared, "two", net)
    rows = hg.scan(run).collect()
    per_item = rows.group_by("item_id").agg(pl.col("cache_hit").sum())["cache_hit"].unique().sort().to_list()
    assert per_item == [0, 4]
    again = rows.filter(~pl.col("cache_hit"))
    assert 20 <= again["item_id"].n_unique() <= 60
    assert net.asked == 800 + again.height
    assert again["metadata_json"].unique().to_list() == ['{"redrawn":true}']
    verdict = hg.gate(run)
    assert verdict.verdict == "pass"
    assert [(row.cell["prompt"], row.drifted) for row in verdict.drift] == [("new", False), ("old", False)]


@pytest.mark.parametrize("how", ["gate", "check"])
def test_cached_answers_that_have_drifted_are_invalid(cached, tmp_path, how):
    declared = suite(n=200, redraw=0.2)
    cached(declared, "one", Net(text="1"))
    net = Net(text="0")  # the model has changed for the worse, and the cache does not know
    if how == "gate":
        verdict = hg.gate(cached(declared, "two", net))
    else:
        options = {"cache": CacheOptions(mode="read", folder=tmp_path / "cache")}
        verdict = hg.check(declared, out=tmp_path / "two", client=net.client(), **options).verdict
    assert verdict.verdict == "invalid"
    assert verdict.reason.startswith("cached answers have drifted: correct on new m is 0 on ")
    assert verdict.reason.endswith("and 1 in the cache; run with --cache off")


def test_other_items_are_asked_again_in_another_run():
    chosen = [
        {index for index in range(500) if redraw_items(0.2, lambda k: k.to_bytes(4, "big"), run_id=run)(index)}
        for run in ("a", "b")
    ]
    assert all(60 < len(some) < 140 for some in chosen)
    assert len(chosen[0] & chosen[1]) < 45


def test_an_unknown_mode_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match=r"cache: .*use off, read or write"):
        hg.run(suite(), out=tmp_path / "run", cache="always")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_the_command_takes_it(tmp_path):
    model = {"id": "m", "provider": "simulated", "simulate": {"latency_s": 0}}
    items = [{"q": f"{i} + 1 = ?", "target": i + 1} for i in range(10)]
    suite = {"name": "sums", "items": items, "prompts": {"p": "{{ q }}"}, "models": [model]}
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    options = ["--out", "run", "--cache", "write", "--cache-dir", "cache", "--cache-max-mb", "5", "--max-minutes", "5"]
    done = call("run", "suite.json", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cache" / "answers.sqlite").exists()


def test_options_that_make_no_sense_are_refused():
    assert cache_options(None, None, None) == CacheOptions()
    assert cache_options("read", None, 5) == CacheOptions(mode="read", max_mb=5)
    with pytest.raises(ConfigError, match="--cache: is missing"):
        cache_options(None, Path("cache"), None)
    for minutes in (0, -1, float("nan")):
        with pytest.raises(ConfigError, match="--max-minutes"):
            timed(suite(), minutes)
    assert timed(suite(), 3).budget.max_minutes == 3
