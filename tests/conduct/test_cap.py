"""A cap over real runs: what is refused, where it ends, how it resumes, and what the rows and the manifest say."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest

import headgate as hg
from headgate.conduct.cap import cap_suite
from headgate.errors import ConfigError, Interrupted
from headgate.execute.budget import CostBound
from headgate.prices import declared_price, format_usd
from headgate.store.manifest import read_manifest
from headgate.suite.price import Price

PRICE = {"input_usd_per_million": 1000.0, "output_usd_per_million": 2000.0}
"""A thousand times what models cost: cents are easier to read."""


def suite(*, n=40, price=PRICE, params=None, gates=None, new=0.95, old=0.95, seeds=1, latency_s=0.001, **changes):
    simulate = {"accuracy": {"old": old, "new": new}, "latency_s": latency_s}
    model = {"id": "m", "provider": "simulated", "simulate": simulate, "price": price}
    fields = {
        "name": "sums",
        "items": [{"question": f"{i} + 1 = ?", "target": i + 1} for i in range(n)],
        "prompts": {"old": "{{ question }}", "new": "Sum: {{ question }}"},
        "models": [{**model, "params": {"max_tokens": 8} if params is None else params}],
        "seeds": seeds,
        "scorers": [{"name": "correct", "type": "exact_match"}],
        "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        "gates": gates or [{"metric": "correct", "margin": 0.05}],
    }
    return hg.Suite(**(fields | changes))


def spent(run):
    return hg.scan(run).select(pl.col("cost_usd").sum()).collect().item()


def whole_cost(tmp_path, **changes):
    return spent(hg.run(suite(**changes), out=tmp_path / "free"))


# What rows and the manifest say


def test_every_row_has_its_cost_and_the_manifest_how_it_was_computed(tmp_path):
    run = hg.run(suite(), out=tmp_path / "run")
    rows = hg.scan(run).collect()
    price = read_manifest(run.path / "manifest.json").prices["m"]
    assert price == declared_price(Price.model_validate(PRICE))
    again = [price.cost_usd(*tokens) for tokens in rows.select("input_tokens", "output_tokens").iter_rows()]
    assert rows["cost_usd"].to_list() == again
    assert min(again) > 0
    assert rows["settled_usd"].null_count() == 80
    assert (run.cost_usd, run.unpriced) == (pytest.approx(sum(again)), 0)


def test_what_has_no_price_has_no_cost(tmp_path):
    run = hg.run(suite(price=None), out=tmp_path / "run")
    assert hg.scan(run).collect()["cost_usd"].null_count() == 80
    assert (run.cost_usd, run.unpriced) == (None, 80)
    assert read_manifest(run.path / "manifest.json").prices == {"m": None}


def test_a_published_price_stands_in_the_manifest_with_its_source(tmp_path):
    import httpx

    def answer(_):
        usage = {"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 400}}
        choices = [{"message": {"content": "1"}, "finish_reason": "stop"}]
        return httpx.Response(200, json={"model": "served", "choices": choices, "usage": usage})

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    models = [
        {"id": "m", "provider": "openai-compatible", "model": "gpt-5-mini", "base_url": "https://api.openai.com/v1"}
    ]
    run = hg.run(suite(models=models, n=3), out=tmp_path / "run", client=client)
    price = read_manifest(run.path / "manifest.json").prices["m"]
    assert price.source.startswith("genai-prices ")
    (rates,) = price.rates
    expected = 600 * rates.input_usd_per_million + 400 * rates.cached_input_usd_per_million
    expected = (expected + 10 * rates.output_usd_per_million) / 1e6
    assert hg.scan(run).collect()["cost_usd"].to_list() == pytest.approx([expected] * 6)


def test_a_run_keeps_the_price_that_it_was_started_with(tmp_path):
    hg.run(suite(), out=tmp_path / "run", limit=5)
    dearer = {**PRICE, "output_usd_per_million": 3000.0}
    with pytest.raises(
        ConfigError, match=r"models\.0\.price: is not what the run was started with, when its price was"
    ):
        hg.run(suite(price=dearer), out=tmp_path / "run")
    assert hg.run(suite(price=None), out=tmp_path / "run").unpriced == 0  # what is not said anew holds on
    hg.run(suite(price=None), out=tmp_path / "other", limit=5)
    with pytest.raises(ConfigError, match="when no price was known; choose another --out"):
        hg.run(suite(), out=tmp_path / "other")


def test_a_price_is_no_part_of_what_is_asked(tmp_path):
    """The same jobs: a run with another price can be its baseline."""
    one, two = hg.run(suite(), out=tmp_path / "one"), hg.run(suite(price=None), out=tmp_path / "two")
    ids = [hg.scan(run).collect()["job_id"].sort() for run in (one, two)]
    assert ids[0].equals(ids[1])


# What is refused


def test_a_cap_that_nothing_can_hold_is_refused_before_anything_is_written(tmp_path):
    for changes, said in (
        ({"price": None}, r"models\.0\.price: the price of 'm' is not known.*; declare input_usd_per_million"),
        ({"params": {}}, r"models\.0\.params: nothing limits what 'm' brings for prompt 'old'.*; declare max_tokens"),
        ({"params": {"max_tokens": "8"}}, "nothing limits"),
    ):
        with pytest.raises(ConfigError, match=said):
            hg.run(suite(**changes), out=tmp_path / "run", max_cost_usd=1)
        assert not (tmp_path / "run").exists()


def test_a_cap_may_come_with_a_run_that_was_started_without_one(tmp_path):
    hg.run(suite(), out=tmp_path / "run", limit=5)
    before = spent(tmp_path / "run")
    with pytest.raises(Interrupted, match=r"10 of 80 jobs done, 70 left"):
        hg.run(suite(), out=tmp_path / "run", max_cost_usd=before)
    hg.run(suite(price=None), out=tmp_path / "other", limit=5)
    with pytest.raises(ConfigError, match="is not known"):
        hg.run(suite(price=None), out=tmp_path / "other", max_cost_usd=5)


@pytest.mark.parametrize("usd", [0, -1, float("nan"), float("inf")])
def test_a_cap_is_an_amount(usd):
    with pytest.raises(ConfigError, match=r"max_cost_usd: .* is no amount to spend"):
        cap_suite(suite(), max_cost_usd=usd)


# Where it ends


def test_the_run_ends_at_the_cap_and_resumes_with_a_higher_one(tmp_path):
    whole = whole_cost(tmp_path)
    cap = whole / 3
    with pytest.raises(Interrupted) as caught:
        hg.run(suite(), out=tmp_path / "run", max_cost_usd=cap)
    first = hg.scan(tmp_path / "run").collect()
    assert 0 < first.height < 80
    assert spent(tmp_path / "run") <= cap
    said = re.fullmatch(
        r"the cap of (.*) is reached, raise it to go on \((.*) spent, and the next request may cost (.*)\): "
        r"(\d+) of 80 jobs done, (\d+) left; the same call resumes",
        str(caught.value),
    )
    assert said is not None
    assert said.groups()[:2] == (format_usd(cap), format_usd(spent(tmp_path / "run")))
    assert float(said[3].removeprefix("$")) > 0
    assert (int(said[4]), int(said[5])) == (first.height, 80 - first.height)
    assert all(problem.unfinished for problem in hg.verify(tmp_path / "run"))
    assert not (tmp_path / "run" / "journal").exists()
    again = hg.run(suite(budget={"max_cost_usd": 2 * whole}), out=tmp_path / "run")
    assert (again.counts["ok"], again.cost_usd) == (80, pytest.approx(whole))
    rows = hg.scan(again).collect()
    assert dict(rows.group_by("generation").len().iter_rows()) == {1: first.height, 2: 80 - first.height}


def test_it_ends_with_less_left_than_the_next_request_might_cost(tmp_path):
    whole = whole_cost(tmp_path)
    cap = whole / 2
    with pytest.raises(Interrupted):
        hg.run(suite(), out=tmp_path / "run", max_cost_usd=cap)
    rows = hg.scan(tmp_path / "run").collect()
    bound = CostBound({"m": declared_price(Price.model_validate(PRICE))})
    from headgate.conduct.prepare import prepare

    prepared = prepare(suite(), tmp_path / "plan")
    most = max(bound.usd(job) for job in prepared.plan)
    prepared.store.close()
    assert cap - most < rows["cost_usd"].sum() <= cap
    assert rows["settled_usd"].to_list() == pytest.approx(rows["cost_usd"].to_list())


def test_every_call_counts_what_the_ones_before_it_spent(tmp_path):
    cap, done = whole_cost(tmp_path) / 4, []
    for _ in range(3):
        with pytest.raises(Interrupted):
            hg.run(suite(), out=tmp_path / "run", max_cost_usd=cap)
        done.append(hg.scan(tmp_path / "run").collect().height)
    assert done[0] == done[1] == done[2] > 0
    assert spent(tmp_path / "run") <= cap


class Silent(BaseHTTPRequestHandler):
    """A server that answers and does not say what it counted."""

    asked = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        type(self).asked += 1
        choices = [{"message": {"content": "1"}, "finish_reason": "stop"}]
        body = json.dumps({"model": "m", "choices": choices}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


def test_a_server_that_tells_no_usage_cannot_be_asked_for_more_by_resuming(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    models = [
        {"id": "m", "provider": "openai-compatible", "base_url": url, "price": PRICE, "params": {"max_tokens": 8}}
    ]
    try:
        for _ in range(3):
            with pytest.raises(Interrupted):
                hg.run(suite(models=models), out=tmp_path / "run", max_cost_usd=2.0)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    rows = hg.scan(tmp_path / "run").collect()
    assert rows.height == Silent.asked
    assert (rows["cost_usd"].null_count(), rows["settled_usd"].null_count()) == (rows.height, 0)
    assert 1.5 < rows["settled_usd"].sum() <= 2.0


def test_a_shard_has_its_share_of_the_cap(tmp_path):
    cap = whole_cost(tmp_path) / 2
    for shard in ("1/2", "2/2"):
        with pytest.raises(Interrupted, match=r"of 40 jobs done"):
            hg.run(suite(), out=tmp_path / shard[0], shard=shard, max_cost_usd=cap)
        assert spent(tmp_path / shard[0]) <= cap / 2


def test_shards_with_other_prices_merge_and_say_that_they_had(tmp_path):
    for shard, price in (("1/2", PRICE), ("2/2", {**PRICE, "output_usd_per_million": 1.0})):
        hg.run(suite(price=price), out=tmp_path / shard[0], shard=shard)
    merged = hg.merge([tmp_path / "1", tmp_path / "2"], out=tmp_path / "whole")
    assert read_manifest(merged.path / "manifest.json").prices == {"m": None}
    assert merged.cost_usd == pytest.approx(spent(merged))


def test_a_stream_ends_with_the_reason(tmp_path):
    cap, seen = whole_cost(tmp_path) / 2, []

    async def consume():
        async for result in hg.stream(suite(), out=tmp_path / "run", max_cost_usd=cap):
            seen.append(result.cost_usd)

    with pytest.raises(Interrupted, match="the cap of"):
        asyncio.run(consume())
    assert sum(seen) == pytest.approx(spent(tmp_path / "run"))


def test_statistics_tell_the_cap_from_the_first_look_on(tmp_path):
    running = []
    hg.run(suite(), out=tmp_path / "run", max_cost_usd=100, watch=running.append)
    statistics = running[0].statistics()
    assert (statistics.max_cost_usd, statistics.reserved_usd) == (100, 0.0)
    assert statistics.spent_usd == pytest.approx(statistics.cost_usd) == pytest.approx(spent(tmp_path / "run"))
    assert running[0].expiry == ""


# The gate in the loop


def test_a_check_that_runs_out_of_money_says_what_is_known(tmp_path):
    fields = {"n": 400, "new": 0.9, "old": 0.9}
    whole = spent(hg.run(suite(**fields), out=tmp_path / "free"))
    capped = hg.check(suite(**fields), out=tmp_path / "run", max_cost_usd=0.45 * whole)
    assert (capped.verdict.verdict, capped.verdict.exit_code) == ("inconclusive", 20)
    assert [look.n_items for look in capped.verdict.looks] == [80, 160]
    assert capped.verdict.metrics[0].needed_items is not None
    assert capped.expiry.startswith("the cap of")
    assert spent(tmp_path / "run") <= 0.45 * whole
    uncapped = hg.check(suite(**fields), out=tmp_path / "whole").verdict
    resumed = hg.check(suite(**fields), out=tmp_path / "run", max_cost_usd=2 * whole)
    assert resumed.expiry == ""
    assert resumed.verdict.metrics == uncapped.metrics
    assert resumed.verdict.looks == uncapped.looks
    with pytest.raises(Interrupted, match="the cap of"):  # no look was made
        hg.check(suite(**fields), out=tmp_path / "none", max_cost_usd=0.05 * whole)


# Gates on cost


def test_a_gate_on_cost_sees_that_a_prompt_costs_more(tmp_path):
    gates = [{"metric": "cost_usd", "max_ratio": 1.1}]
    long = {"old": "{{ question }}", "new": "Think about this long and well, then say it. " * 4 + "{{ question }}"}
    dearer = hg.gate(hg.run(suite(prompts=long, gates=gates), out=tmp_path / "dearer"))
    assert (dearer.verdict, dearer.exit_code) == ("fail", 1)
    (row,) = dearer.metrics
    assert row.estimate > 1.1
    assert row.candidate_mean > row.baseline_mean > 0
    same = {"old": "{{ question }} a", "new": "{{ question }} b"}
    assert hg.gate(hg.run(suite(prompts=same, gates=gates), out=tmp_path / "same")).verdict == "pass"
    bound = [{"metric": "cost_usd", "max": 1.0}]
    assert hg.gate(hg.run(suite(gates=bound), out=tmp_path / "bound")).verdict == "pass"


def test_a_gate_on_cost_without_a_price_passes_nothing(tmp_path):
    gates = [{"metric": "cost_usd", "max_ratio": 1.1}]
    verdict = hg.gate(hg.run(suite(price=None, gates=gates), out=tmp_path / "run"))
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)
    assert "cost_usd" in str(verdict)


# Tokens


def tokens_of(run):
    return hg.scan(run).select(pl.col("input_tokens").sum() + pl.col("output_tokens").sum()).collect().item()


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_cap_of_tokens_is_not_crossed_and_the_run_resumes(tmp_path, share):
    whole = tokens_of(hg.run(suite(price=None), out=tmp_path / "free"))
    cap = int(share * whole)
    with pytest.raises(Interrupted, match=r"the cap of [\d,]+ tokens is reached, raise it to go on") as caught:
        hg.run(suite(price=None, budget={"max_tokens": cap}), out=tmp_path / "run")
    assert f"{cap:,} tokens" in str(caught.value)
    assert 0 < tokens_of(tmp_path / "run") <= cap
    run = hg.run(suite(price=None, budget={"max_tokens": 10 * whole}), out=tmp_path / "run")
    assert (run.done, tokens_of(run)) == (80, whole)


def test_what_earlier_calls_took_counts_against_it(tmp_path):
    hg.run(suite(price=None), out=tmp_path / "run", limit=20)
    taken = tokens_of(tmp_path / "run")
    with pytest.raises(Interrupted, match=r"40 of 80 jobs done"):
        hg.run(suite(price=None, budget={"max_tokens": taken}), out=tmp_path / "run")


def test_money_and_tokens_hold_together(tmp_path):
    whole, tokens = whole_cost(tmp_path), tokens_of(tmp_path / "free")
    for name, budget in (
        ("money", {"max_cost_usd": 0.5 * whole, "max_tokens": 10 * tokens}),
        ("tokens", {"max_cost_usd": 10 * whole, "max_tokens": tokens // 2}),
    ):
        with pytest.raises(Interrupted, match=r"the cap of"):
            hg.run(suite(budget=budget), out=tmp_path / name)
        assert tokens_of(tmp_path / name) <= budget["max_tokens"]
        assert spent(tmp_path / name) <= budget["max_cost_usd"]


def test_a_cap_of_tokens_needs_a_limit_of_the_output(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing limits what 'm' brings .*max_tokens\)"):
        hg.run(suite(price=None, params={}, budget={"max_tokens": 100}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
