"""Models with several endpoints in whole runs: lanes, keys, rows, prices, gateways, and how it ends."""

from __future__ import annotations

import json
from collections import Counter

import httpx
import polars as pl
import pytest

import headgate as hg
from headgate.conduct.lanes import declared_lanes
from headgate.conduct.prepare import prepare
from headgate.errors import ConfigError, EndpointError
from headgate.store.manifest import read_manifest

PRICE = {"input_usd_per_million": 1000.0, "output_usd_per_million": 2000.0}


def completion(model="served", **headers):
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    choices = [{"message": {"content": "1"}, "finish_reason": "stop"}]
    return httpx.Response(200, json={"model": model, "choices": choices, "usage": usage}, headers=headers)


class Net:
    """What answers by host; it keeps what was sent."""

    def __init__(self, **hosts):
        self.hosts, self.sent = hosts, []

    def __call__(self, request):
        self.sent.append(request)
        answer = self.hosts[request.url.host]
        return answer(request) if callable(answer) else answer

    def client(self):
        return httpx.AsyncClient(transport=httpx.MockTransport(self))

    @property
    def asked(self):
        return Counter(request.url.host for request in self.sent)


def at(*names, **fields):
    return {"name": names[0], "base_url": f"http://{names[0]}/v1", **fields}


def suite(endpoints, *, n=20, compare=True, lanes=(), items=None, **fields):
    arms = {"compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}}} if compare else {}
    return hg.Suite(
        name="sums",
        items=items or [{"question": f"{i} + 1 = ?", "target": i + 1} for i in range(n)],
        prompts={"old": "{{ question }}", "new": "Sum: {{ question }}"},
        models=[{"id": "m", "provider": "openai-compatible", "endpoints": endpoints, **fields}],
        lanes=list(lanes),
        **arms,
    )


def rows(run):
    return hg.scan(run).collect().sort("item_id", "prompt", "seed")


def test_both_arms_and_a_rerun_of_an_item_go_to_one_endpoint(tmp_path):
    net = Net(a=completion(), b=completion())
    declared = suite([at("a"), at("b", weight=3.0)], n=60, route="weighted")
    one, two = (hg.run(declared, out=tmp_path / name, client=net.client()) for name in ("one", "two"))
    assert rows(one)["endpoint"].equals(rows(two)["endpoint"])
    per_item = rows(one).group_by("item_id").agg(pl.col("endpoint").n_unique())
    assert per_item["endpoint"].to_list() == [1] * 60
    assert 20 < net.asked["a"] < 100 < net.asked["b"]
    assert not rows(one)["fallback"].any()


def test_endpoints_are_no_part_of_what_is_asked(tmp_path):
    net = Net(a=completion(), b=completion())
    one = hg.run(suite([at("a")]), out=tmp_path / "run", client=net.client())
    ids = rows(one)["job_id"]
    again = hg.run(suite([at("b"), at("a")], route="weighted"), out=tmp_path / "other", client=net.client())
    assert rows(again)["job_id"].equals(ids)
    plain = suite([at("a")]).models[0].model_copy(update={"endpoints": [], "base_url": "http://a/v1"})
    assert plain.identity == suite([at("a")]).models[0].identity


def test_each_endpoint_has_its_own_name_key_price_and_lane(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY_A", "sk-of-a")
    monkeypatch.setenv("KEY_B", "sk-of-b")
    net = Net(a=httpx.Response(401, json={"error": {"message": "revoked"}}), b=completion())
    endpoints = [at("a", api_key="env:KEY_A"), at("b", api_key="env:KEY_B", model="theirs", price=PRICE)]
    declared = suite(endpoints, model="ours")
    lanes = {tuple(lane.models): lane.concurrency for lane in declared_lanes(declared)}
    assert lanes == {("m@a",): 64, ("m@b",): 64}
    run = hg.run(declared, out=tmp_path / "run", client=net.client())
    told = {(r.url.host, r.headers["authorization"], json.loads(r.content)["model"]) for r in net.sent}
    assert told == {("a", "Bearer sk-of-a", "ours"), ("b", "Bearer sk-of-b", "theirs")}
    assert set(rows(run).select("endpoint", "fallback", "model").iter_rows()) == {("b", True, "m")}
    assert rows(run)["cost_usd"].to_list() == pytest.approx([0.12] * 40)
    assert set(read_manifest(run.path / "manifest.json").prices) == {"m@a", "m@b"}
    assert len(run.lost) == 1
    assert "revoked" in run.lost[0]


def test_a_declared_lane_names_one_endpoint_or_all_of_a_model():
    endpoints = [at("a"), at("b"), at("c")]
    lanes = [{"models": ["m"], "concurrency": 5}, {"models": ["m@b"], "requests_per_minute": 60}]
    made = [(lane.models, lane.concurrency) for lane in declared_lanes(suite(endpoints, lanes=lanes))]
    assert made == [(["m@a", "m@c"], 5), (["m@b"], 64)]
    with pytest.raises(ConfigError, match=r"lanes\[?\.?0.*m@x"):
        suite(endpoints, lanes=[{"models": ["m@x"]}])


def test_all_dead_ends_the_run_which_resumes_once_one_is_mended(tmp_path):
    refused = httpx.Response(401, json={"error": {"message": "revoked"}})
    declared = suite([at("a"), at("b")])
    with pytest.raises(EndpointError, match=r"(?s)m@a.*revoked.*m@b.*revoked"):
        hg.run(declared, out=tmp_path / "run", client=Net(a=refused, b=refused).client())
    run = hg.run(declared, out=tmp_path / "run", client=Net(a=refused, b=completion()).client())
    assert run.counts["ok"] == 40


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"endpoints": [at("a"), at("a")]}, "two endpoints are called 'a'"),
        ({"endpoints": [at("a"), at("b", substitute="tiny")]}, "allow_substitution"),
        ({"endpoints": [at("b", substitute="tiny")], "allow_substitution": True}, "all are substitutes"),
        ({"endpoints": [{"name": "a"}]}, "needs `base_url`"),
        ({"endpoints": [at("a", api_key="sk-real")]}, "by reference"),
        ({"endpoints": [at("a")], "base_url": "http://x/v1"}, "stand in each of them"),
        ({"endpoints": [at("a", provider="python")]}, "no endpoint"),
        ({"endpoints": [at("a")], "route": "random"}, "none of primary, fallback, weighted, cost_first"),
    ],
    ids=["twice", "substitute", "only substitutes", "no url", "key", "two places", "callable", "route"],
)
def test_what_makes_no_route_is_refused(fields, said):
    with pytest.raises(ConfigError, match=said) as caught:
        suite(fields["endpoints"], **{k: v for k, v in fields.items() if k != "endpoints"})
    assert "sk-real" not in str(caught.value)


def test_a_need_that_no_endpoint_meets_is_refused_before_anything_is_written(tmp_path):
    declared = suite([at("a", capabilities=[])], params={"tools": [{"type": "function"}]})
    with pytest.raises(ConfigError, match="needs: tools"):
        prepare(declared, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_router_beside_the_suite(tmp_path):
    (tmp_path / "routers.py").write_text("def odd(job, candidates):\n    return job.key[0] % 2\n")
    (tmp_path / "suite.json").write_text(
        suite([at("a"), at("b")], n=40, route="routers:odd").model_dump_json(exclude_defaults=True)
    )
    net = Net(a=completion(), b=completion())
    run = hg.run(hg.load_suite(tmp_path / "suite.json"), out=tmp_path / "run", client=net.client())
    assert run.counts["ok"] == 80
    assert rows(run).group_by("item_id").agg(pl.col("endpoint").n_unique())["endpoint"].to_list() == [1] * 40
    assert min(net.asked.values()) >= 10


def test_no_login_of_an_endpoint_stands_in_the_manifest(tmp_path):
    places = [{"name": "a", "base_url": "http://user:hunter2@a/v1"}]
    run = hg.run(suite(places), out=tmp_path / "run", client=Net(a=completion()).client())
    assert "hunter2" not in (run.path / "manifest.json").read_text()


# Gateways


def test_what_a_gateway_says_of_the_server_behind_it_stands_in_the_rows(tmp_path):
    """LiteLLM's proxy names its deployment, and how often it fell back, in headers alone."""
    count = iter(range(1000))

    def gateway(request):
        fell_back = next(count) % 4 == 0
        told = {"x-litellm-model-id": "us-1" if fell_back else "eu-1"}
        return completion(**told, **({"x-litellm-attempted-fallbacks": "1"} if fell_back else {}))

    found = rows(hg.run(suite([at("gateway")]), out=tmp_path / "run", client=Net(gateway=gateway).client()))
    told = Counter(found.select("fallback", "metadata_json").iter_rows())
    assert told == {(False, '{"x-litellm-model-id":"eu-1"}'): 30, (True, '{"x-litellm-model-id":"us-1"}'): 10}
