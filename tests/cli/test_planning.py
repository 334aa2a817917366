"""`headgate plan` as a user runs it: tables, facts, warnings, and a pilot."""

from __future__ import annotations

import json

import pytest

from headgate.cli.main import run_command

PRICE = {"input_usd_per_million": 1000.0, "output_usd_per_million": 2000.0}


def priced(n_items):
    """A suite whose jobs cost cents."""
    model = {"id": "small", "provider": "simulated", "params": {"max_tokens": 8}, "price": PRICE}
    return {
        "name": "sums",
        "items": {"rows": [{"question": f"{n} + 1", "target": n + 1} for n in range(n_items)]},
        "prompts": {"old": "{{ question }}", "new": "Sum: {{ question }}"},
        "models": [{**model, "simulate": {"accuracy": 0.9, "latency_s": 0.001}}],
        "scorers": [{"name": "correct", "type": "numeric"}],
        "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        "gates": [{"metric": "correct", "margin": 0.1}],
    }


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in a folder of their own: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def said(*words):
        code = run_command([str(word) for word in words])
        return code, *capsys.readouterr()

    return said


def test_plan_says_what_it_costs_and_warns_of_a_cap(tmp_path, here):
    (tmp_path / "suite.json").write_text(json.dumps(priced(8)))
    code, out, err = here("plan", "suite.json", "--max-cost", "0.01")
    assert code == 20
    assert "8 items, 1 seeds, 16 jobs, about $0." in out
    assert " items cost about $" in out
    assert "headgate: the cap of $0.0100 is below the forecast of $0." in err
    unknown = priced(8)
    del unknown["models"][0]["price"]
    (tmp_path / "unknown.json").write_text(json.dumps(unknown))
    out = here("plan", "unknown.json")[1]
    assert "16 jobs, cost not known: 100% of the requests are on models without a known price\n" in out


def test_plan_counts_what_judges_ask_and_its_exit_code_says_that_a_cap_cannot_be_held(tmp_path, here):
    suite = priced(8)
    judge = {"id": "judge-small", "provider": "simulated", "role": "judge", "simulate": {"judge": {}}}
    suite["models"].append({**judge, "params": {"max_tokens": 8}, "price": PRICE})
    suite["scorers"].append({"name": "right", "type": "judge", "kind": "closed_qa", "model": "judge-small"})
    suite |= {"gates": [], "budget": {"max_cost_usd": 100.0}}
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    code, out, err = here("plan", "suite.json")
    assert (code, err) == (0, "")
    assert "8 items, 1 seeds, 16 jobs and 16 of judges, about $" in out
    assert [line.split()[:3] for line in out.splitlines() if line.startswith("right")] == [
        ["right", "judge-small", "16"]
    ]
    facts = json.loads(here("plan", "suite.json", "--json")[1])
    assert (facts["jobs"], facts["requests"], facts["judges"][0]["requests"], facts["refused"]) == (16, 32, 16, None)
    del suite["models"][1]["price"]
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    code, out, err = here("plan", "suite.json")
    assert code == 2
    assert "50% of the requests are on models without a known price" in out
    assert "headgate: a run will be refused: " in err


def test_plan_asks_a_pilot_and_takes_the_last_run(tmp_path, here):
    (tmp_path / "suite.json").write_text(json.dumps(priced(200)))
    code, out, err = here("plan", "suite.json", "--pilot", "--pilot-items", "20")
    assert code in {0, 20}, err
    assert out.startswith("pilot: 40 jobs: 40 ok, 0 refused, 0 errors, 0 not run, cost $")
    assert "in runs/sums-pilot; it is for planning only, and no check or gate counts its rows\n" in out
    assert "as in runs/sums-pilot" in out
    facts = json.loads(here("plan", "suite.json", "--pilot", "--pilot-items", "20", "--json")[1])
    assert (facts["pilot"]["path"], facts["pilot"]["counts"]["ok"]) == ("runs/sums-pilot", 40)
    assert facts["cost_usd"] == pytest.approx(facts["pilot"]["cost_usd"] * 10)
    assert facts["lanes"][0]["measured"] == facts["jobs"] == 400
    assert facts["unpriced"] == 0
    code, _, err = here("plan", "suite.json", "--pilot", "--from", "runs/sums-pilot")
    assert (code, "--from: 'runs/sums-pilot' goes without --pilot" in err) == (2, True)
    assert "as in" not in here("plan", "suite.json")[1]  # a pilot is not the last run
    assert here("run", "suite.json", "--quiet")[0] == 0
    assert "spread and tokens as in runs/sums, where it has them\n" in here("plan", "suite.json")[1]
    code, _, err = here("plan", "suite.json", "--pilot", "--pilot-out", "p", "--max-cost", "0.2")
    assert code == 130
    assert "To resume: headgate plan suite.json --pilot --pilot-items 30 --pilot-out p" in err
