"""Long prefixes: one request ahead of the others, against servers that count what their caches hold."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter

import httpx
import pytest

import headgate as hg
from headgate.conduct.prepare import planned
from headgate.conduct.work import long_prefixes

LONG = "Follow the rules of the house. " * 150


class PrefixCache:
    """A server whose cache holds a prefix once the first request with it was answered."""

    def __init__(self, *, fails=0):
        self.held, self.hits, self.order, self.fails = set(), Counter(), [], fails

    async def __call__(self, request):
        text = json.loads(request.content)["messages"][0]["content"]
        prefix = hashlib.sha256(text[:2000].encode()).hexdigest()
        hit = prefix in self.held
        self.hits[prefix, hit] += 1
        self.order.append(text[0])
        await asyncio.sleep(0.03)
        if self.fails:
            self.fails -= 1
            return httpx.Response(500)
        self.held.add(prefix)
        usage = {"prompt_tokens": 1200, "completion_tokens": 1}
        usage["prompt_tokens_details"] = {"cached_tokens": 1100 if hit else 0}
        choices = [{"message": {"content": "1"}, "finish_reason": "stop"}]
        return httpx.Response(200, json={"model": "served", "choices": choices, "usage": usage})

    @property
    def misses(self):
        return sum(count for (_, hit), count in self.hits.items() if not hit)

    def client(self):
        return httpx.AsyncClient(transport=httpx.MockTransport(self))


def suite(*, n=60, order="auto", prefix=LONG, **changes):
    return hg.Suite(
        **{
            "name": "sums",
            "items": [{"question": f"q{i}", "target": "1"} for i in range(n)],
            "prompts": {"old": f"A {prefix} {{{{ question }}}}", "new": f"B {prefix} {{{{ question }}}}"},
            "models": [
                {"id": "m", "provider": "openai-compatible", "base_url": "http://one/v1", "prefix_order": order}
            ],
            "lanes": [{"models": ["m"], "concurrency": 20}],
            "scorers": [{"name": "correct", "type": "exact_match"}],
            "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
            "gates": [{"metric": "correct", "margin": 0.1}],
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("order", "prefix", "misses"),
    [("auto", LONG, 2), ("off", LONG, 20), ("auto", "Short.", 120)],
    ids=["auto", "off", "short"],
)
def test_one_request_for_each_prefix_goes_ahead(tmp_path, order, prefix, misses):
    server = PrefixCache()
    run = hg.run(suite(order=order, prefix=prefix), out=tmp_path / "run", client=server.client())
    assert run.counts["ok"] == 120
    assert server.misses == misses
    rows = hg.scan(run).collect()
    assert (rows["cached_tokens"] == 0).sum() == misses


def test_arms_stay_interleaved(tmp_path):
    server = PrefixCache()
    hg.run(suite(), out=tmp_path / "run", client=server.client())
    assert set(server.order[:2]) == {"A", "B"}
    leads = [abs(server.order[:n].count("A") - server.order[:n].count("B")) for n in range(121)]
    assert max(leads) <= 20  # those that are under way at once


def test_a_leader_that_fails_hands_over_and_after_three_nobody_waits(tmp_path):
    server = PrefixCache(fails=6)
    run = hg.run(suite(), out=tmp_path / "run", client=server.client())
    assert run.counts["ok"] == 120
    assert server.misses > 6


def test_a_check_makes_the_same_looks_with_it_and_without(tmp_path):
    looks = []
    for order in ("auto", "off"):
        server = PrefixCache()
        done = hg.check(suite(n=400, order=order), out=tmp_path / order, client=server.client())
        looks.append([(look.n_items, look.rows) for look in done.verdict.looks])
        assert server.misses == (2 if order == "auto" else 20)
    assert looks[0] == looks[1]


def test_what_is_in_common_is_seen_in_any_language(tmp_path):
    with planned(suite(n=3)) as plan:
        assert long_prefixes(plan) == ["old", "new"]
    with planned(suite(n=1)) as plan:
        assert long_prefixes(plan) == []
    with planned(suite(n=3, prompts={"late": "{{ question }} " + LONG, "new": f"{LONG} {{{{ question }}}}"},
                       compare=None, gates=[])) as plan:  # fmt: skip
        assert long_prefixes(plan) == ["new"]
