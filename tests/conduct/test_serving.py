"""Verdicts on arms that were not served alike: what is invalid, what warns, and what a substitute's rows are."""

from __future__ import annotations

import httpx
import pytest

import headgate as hg
from headgate.conduct.judging import read_facts


def net(answer):
    def respond(request):
        said = answer(request)
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        choices = [{"message": {"content": said.pop("text", "1")}, "finish_reason": "stop"}]
        status = said.pop("status", 200)
        headers = said.pop("headers", {})
        if status != 200:
            return httpx.Response(status, json={"error": {"message": "revoked"}})
        body = {"model": "served", "choices": choices, "usage": usage, **said}
        return httpx.Response(200, json=body, headers=headers)

    return httpx.AsyncClient(transport=httpx.MockTransport(respond))


def suite(*, n=150, compare=True, gates=None, model=None, **changes):
    arms = {"compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}}} if compare else {}
    model = model or {"base_url": "http://one/v1"}
    return hg.Suite(
        **{
            "name": "sums",
            "items": [{"question": f"q{i}", "target": "1"} for i in range(n)],
            "prompts": {"old": "{{ question }}", "new": "Sum: {{ question }}"},
            "models": [{"id": "m", "provider": "openai-compatible", **model}],
            "scorers": [{"name": "correct", "type": "exact_match"}],
            "gates": gates or [{"metric": "correct", "margin": 0.1}],
            **arms,
            **changes,
        }
    )


def is_new(request):
    return b"Sum:" in request.content


def test_arms_that_were_served_alike_are_not_mentioned(tmp_path):
    run = hg.run(suite(), out=tmp_path / "run", client=net(lambda request: {}))
    verdict = hg.gate(run)
    assert (verdict.verdict, verdict.serving) == ("pass", [])


def test_another_model_in_one_arm_alone_is_invalid(tmp_path):
    client = net(lambda request: {"model": "newer" if is_new(request) else "older"})
    verdict = hg.gate(hg.run(suite(), out=tmp_path / "run", client=client))
    assert verdict.verdict == "invalid"
    assert verdict.reason.startswith("different models answered in the two arms on m: newer 100% against older 100%")
    (row,) = verdict.serving
    assert (row.name, row.candidate, row.baseline, row.invalid) == ("served_model", {"newer": 1}, {"older": 1}, True)
    assert "invalid: served_model on m" in str(verdict)


def test_a_few_answers_of_another_model_are_within_the_error_rate(tmp_path):
    client = net(lambda request: {"model": "newer" if is_new(request) and b"q7" in request.content else "older"})
    declared = suite(policy={"max_error_rate": 0.1})
    verdict = hg.gate(hg.run(declared, out=tmp_path / "run", client=client))  # 11 of 150: 7 %
    assert (verdict.verdict, verdict.serving) == ("pass", [])
    strict = hg.gate(tmp_path / "run", suite=suite())
    assert (strict.verdict, strict.serving[0].distance) == ("invalid", pytest.approx(11 / 150))


def test_a_mix_that_is_the_same_in_both_arms_is_no_difference(tmp_path):
    client = net(lambda request: {"model": "newer" if request.content[-9:-6] < b"q50" else "older"})
    assert hg.gate(hg.run(suite(), out=tmp_path / "run", client=client)).verdict == "pass"


@pytest.mark.parametrize("what", ["system_fingerprint", "endpoint", "deployment"])
def test_what_is_declared_to_be_the_same_only_warns(tmp_path, what):
    """The baseline is another run, of another day."""

    def answer(day):
        if what == "system_fingerprint":
            return net(lambda request: {"system_fingerprint": f"fp_{day}"})
        return net(lambda request: {"headers": {"x-litellm-model-id": f"id_{day}"}} if what == "deployment" else {})

    places = {day: {"base_url": f"http://{day if what == 'endpoint' else 'one'}/v1"} for day in ("mon", "tue")}
    runs = {day: hg.run(suite(model=place), out=tmp_path / day, client=answer(day)) for day, place in places.items()}
    verdict = hg.gate(runs["tue"], baseline=runs["mon"])
    assert verdict.verdict == "pass"
    (row,) = verdict.serving
    assert (row.name, row.invalid, row.distance) == (what, False, 1.0)
    assert f"warning: {what} on m" in str(verdict)


def test_two_models_that_are_compared_are_served_by_two(tmp_path):
    declared = suite(
        models=[
            {"id": name, "provider": "openai-compatible", "base_url": f"http://{name}/v1"} for name in ("one", "two")
        ],
        compare={"baseline": {"model": "one"}, "candidate": {"model": "two"}},
    )
    client = net(lambda request: {"model": request.url.host, "system_fingerprint": request.url.host})
    verdict = hg.gate(hg.run(declared, out=tmp_path / "run", client=client))
    assert (verdict.verdict, verdict.serving) == ("pass", [])


def test_fallbacks_in_one_arm_alone_warn_and_are_counted(tmp_path):
    said = {True: "1", False: "0"}
    names = ("x-litellm-model-id", "x-litellm-attempted-fallbacks")
    client = net(lambda request: {"headers": dict(zip(names, ("eu", said[is_new(request)]), strict=True))})
    verdict = hg.gate(hg.run(suite(), out=tmp_path / "run", client=client))
    assert [(row.name, row.candidate) for row in verdict.serving] == [("fallback", {"true": 1.0})]
    assert (verdict.verdict, verdict.candidate.fallback, verdict.baseline.fallback) == ("pass", 150, 0)


SUBSTITUTED = {
    "allow_substitution": True,
    "endpoints": [
        {"name": "a", "base_url": "http://a/v1"},
        {"name": "other", "base_url": "http://other/v1", "substitute": "tiny"},
    ],
}


def test_what_a_substitute_answered_is_not_scored_as_the_models(tmp_path):
    """The substitute is always right, the model never: not one of its answers counts."""
    count = iter(range(10_000))

    def answer(request):
        if request.url.host == "other":
            return {"text": "1", "model": "tiny"}
        return {"status": 401} if next(count) >= 100 else {"text": "0"}

    declared = suite(model=SUBSTITUTED, policy={"max_error_rate": 0.9}, gates=[{"metric": "correct", "min": 0.5}])
    run = hg.run(declared, out=tmp_path / "run", client=net(answer))
    stored = hg.scan(run).collect()
    left = stored["substitute"].is_not_null().sum()
    assert 150 < left < 201
    assert stored.filter(stored["substitute"].is_not_null())["output"].unique().to_list() == ["1"]
    verdict = hg.gate(run)
    told = [verdict.errors.candidate, verdict.errors.baseline]
    assert sum(arm.errored for arm in told) == left
    assert {kind for arm in told for kind in arm.kinds} == {"substitute"}
    assert verdict.metrics[0].candidate_mean == 0
    assert verdict.candidate.served_models == ["served"]
    assert "substitute" in str(verdict)
    assert hg.gate(run, suite=suite(model=SUBSTITUTED)).verdict == "invalid"


def test_a_check_leaves_them_out_too(tmp_path):
    client = net(lambda request: {"text": "1"} if request.url.host == "other" else {"status": 401})
    done = hg.check(suite(model=SUBSTITUTED), out=tmp_path / "run", client=client)
    assert done.verdict.verdict == "invalid"
    assert done.verdict.errors.candidate.kinds["substitute"] == done.verdict.errors.candidate.errored > 0


def test_serving_is_counted_over_answers_alone(tmp_path):
    client = net(lambda request: {"status": 400} if b"q1" in request.content else {})
    run = hg.run(suite(n=20, compare=False), out=tmp_path / "run", client=client)
    serving = read_facts(run.path, None).serving
    assert serving["len"].sum() == run.counts["ok"] < run.done
