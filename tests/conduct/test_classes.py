"""F1 and Matthews' correlation as metrics of a run: shown, compared, gated, checked look by look, foreseen, refused."""

from __future__ import annotations

import json
import random

import pytest
from sklearn.metrics import f1_score, matthews_corrcoef

import headgate as hg
from headgate.conduct.estimates import compare_cells, summarize_run
from headgate.conduct.foreign import Rules, Scores, gate_scores
from headgate.conduct.planning import forecast_suite
from headgate.errors import ConfigError
from headgate.store.importers.row import Columns
from headgate.suite.gate import Policy

LABELS = ["spam", "ham", "eggs"]
N, SEEDS = 300, 2


def answer(messages, seed):
    """Say the label that is asked for, or another one; `new` errs more."""
    prompt, n, true = messages[-1]["content"].split()
    rng = random.Random(f"{n} {seed}")
    shift = 0.05 if prompt == "new" else 0.0
    draw, other = rng.random() + shift, rng.choice([*LABELS, "no idea"])
    return true if draw < 0.85 else other


def suite(**changes):
    rng = random.Random(1)
    fields = {
        "name": "kinds",
        "items": [{"id": f"{n:03}", "n": n, "target": rng.choice(LABELS)} for n in range(N)],
        "prompts": {"old": "old {{ n }} {{ target }}", "new": "new {{ n }} {{ target }}"},
        "models": [{"id": "m", "provider": "python", "call": answer}],
        "seeds": SEEDS,
        "scorers": [
            {"name": "kind", "type": "classification", "labels": LABELS},
            {"name": "macro", "type": "f1", "of": "kind"},
            {"name": "spam", "type": "f1", "of": "kind", "label": "spam"},
            {"name": "mcc", "type": "matthews_correlation", "of": "kind"},
        ],
        "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        "gates": [
            {"metric": "macro", "margin": 0.2},
            {"metric": "mcc", "margin": 0.3},
            {"metric": "spam", "min": 0.6},
            {"metric": "mcc", "max": 0.95},
        ],
    }
    return hg.Suite(**(fields | changes))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return hg.run(suite(), out=tmp_path_factory.mktemp("kinds") / "run")


def by_hand(run, prompt):
    """What scikit-learn says of all seeds together: each item has as many."""
    rows = hg.scan_scores(run).filter(scorer="kind", prompt=prompt).select("item_id", "label").collect()
    true = {item["id"]: item["target"] for item in suite().items.rows}
    wanted, said = [true[item] for item in rows["item_id"]], rows["label"].fill_null("none").to_list()
    return {
        "macro": f1_score(wanted, said, labels=LABELS, average="macro"),
        "spam": f1_score(wanted, said, labels=["spam"], average=None)[0],
        "mcc": matthews_corrcoef(wanted, said),
    }


def test_a_run_shows_what_scikit_learn_finds(run):
    found = {(one.metric, one.prompt): one.estimate for one in summarize_run(run.path)}
    for prompt in ("old", "new"):
        for name, value in by_hand(run, prompt).items():
            estimate = found[name, prompt]
            assert estimate.value == pytest.approx(value)
            assert estimate.low < value < estimate.high
            assert estimate.n_items == N


def test_runs_are_compared_in_it(run):
    (old, new) = compare_cells(run.path, run.path, "macro")
    assert (old.estimate.value, new.estimate.value) == (0, 0)
    assert new.estimate.high > 0


def test_gates_judge_it(run):
    verdict = hg.gate(run)
    old, new = by_hand(run, "old"), by_hand(run, "new")
    macro, mcc, spam, most = verdict.metrics
    for row, name in ((macro, "macro"), (mcc, "mcc")):
        assert (row.candidate_mean, row.baseline_mean) == pytest.approx((new[name], old[name]))
        assert row.estimate == pytest.approx(new[name] - old[name])
        assert row.low < row.estimate < row.high
        assert (row.verdict, row.method, row.n_items) == ("pass", "linearised t + unseen", N)
        assert 0 < row.seed_share <= 1
    assert (spam.verdict, spam.candidate_mean) == ("pass", pytest.approx(new["spam"]))
    assert most.verdict == "pass"
    assert verdict.verdict == "pass"


def test_an_absolute_drop_fails(run):
    verdict = hg.gate(run, suite=suite(gates=[{"metric": "macro", "min": 0.97}]))
    assert verdict.verdict == "fail"
    assert "surely below 0.97" in verdict.reason


def test_another_run_is_a_baseline(run):
    verdict = hg.gate(run, baseline=run, suite=suite(compare=None, gates=[{"metric": "macro", "margin": 0.1}]))
    assert [row.estimate for row in verdict.metrics] == [0, 0]
    assert verdict.verdict == "pass"


def test_the_suites_own_items_have_the_noise_of_their_seeds(run):
    gates = [{"metric": "macro", "min": 0.5}]
    items, own = (
        hg.gate(run, suite=suite(gates=gates, policy={"target": target})).metrics[0]
        for target in ("population", "suite")
    )
    assert own.estimate == items.estimate
    assert own.high - own.low == pytest.approx(items.high - items.low, rel=0.15)  # items differ by nothing else
    assert own.high != items.high


def test_negated_it_is_the_rest_to_one(run):
    scorers = [*suite().scorers[:1], {"name": "lost", "type": "f1", "of": "kind", "negate": True}]
    (row,) = hg.gate(run, suite=suite(scorers=scorers, gates=[{"metric": "lost", "max": 0.5}])).metrics
    assert row.candidate_mean == pytest.approx(1 - by_hand(run, "new")["macro"])


def test_a_check_judges_it_look_by_look(tmp_path):
    gates = [{"metric": "macro", "margin": 0.5}, {"metric": "mcc", "margin": 0.0}]
    done = hg.check(suite(gates=gates, seeds=1), out=tmp_path / "run")
    words = [[row.verdict for row in look.rows] for look in done.verdict.looks]
    assert words[-2] == ["pass", "inconclusive"]
    first, last = done.verdict.metrics
    assert first.n_items < last.n_items == N
    assert last.candidate_mean == pytest.approx(by_hand(done.run.path, "new")["mcc"])


def test_a_plan_foresees_it_from_a_run(run):
    nothing = forecast_suite(suite()).gates[0]
    assert (nothing.passes, nothing.known, nothing.can_pass) == (None, False, True)
    wide, narrow = (
        forecast_suite(suite(gates=[{"metric": "macro", "margin": margin}]), stored=run.path).gates[0]
        for margin in (0.3, 0.01)
    )
    assert wide.passes > 0.95
    assert narrow.passes < 0.5
    assert wide.known
    assert wide.mde == narrow.mde
    assert narrow.needed_items > N
    assert f"ask about {narrow.needed_items} items" in narrow.advice


def test_items_whose_target_is_no_label_are_left_out(tmp_path):
    items = suite().items.rows
    strange = [{**item, "target": "toast"} if item["n"] < 20 else item for item in items]
    declared = suite(items=strange, gates=[{"metric": "macro", "margin": 0.3}])
    (row,) = hg.gate(hg.run(declared, out=tmp_path / "run")).metrics
    assert (row.verdict, row.n_items) == ("pass", N - 20)


def test_too_few_items_of_a_label_decide_nothing(tmp_path):
    items = [{"id": str(n), "n": n, "target": "spam" if n < 4 else "ham"} for n in range(100)]
    scorers = [{"name": "kind", "type": "classification", "labels": ["spam", "ham"]}, *suite().scorers[1:]]
    gates = [{"metric": "macro", "margin": 0.9}, {"metric": "mcc", "min": -0.9}, {"metric": "kind", "margin": 0.3}]
    verdict = hg.gate(hg.run(suite(items=items, scorers=scorers, gates=gates), out=tmp_path / "run"))
    macro, mcc, accuracy = verdict.metrics
    for row in (macro, mcc):
        assert (row.verdict, "few_of_a_label" in row.flags) == ("inconclusive", True)
        assert row.needed_items == 125
    assert "4 items are 'spam'" in macro.reason
    assert accuracy.verdict == "pass"
    found = {one.metric: one.estimate for one in summarize_run(tmp_path / "run")}
    assert found["macro"] is None


@pytest.mark.parametrize(
    ("scorers", "said"),
    [
        ([{"name": "f", "type": "f1", "of": "json"}, {"name": "json", "type": "json_valid"}], "gives no labels"),
        ([{"name": "f", "type": "f1", "of": "kind"}], "is not declared"),
        (
            [
                {"name": "f", "type": "f1", "of": "kind", "label": "spm"},
                {"name": "kind", "type": "classification", "labels": LABELS},
            ],
            "'spm' is no label; did you mean 'spam'",
        ),
        (
            [
                {"name": "f", "type": "weighted", "of": ["g"]},
                {"name": "g", "type": "f1", "of": "kind"},
                {"name": "kind", "type": "classification", "labels": LABELS},
            ],
            "has no score of each answer",
        ),
    ],
)
def test_what_it_cannot_be_made_of_is_refused(scorers, said):
    with pytest.raises(ConfigError, match=said):
        suite(scorers=scorers, gates=[])


@pytest.mark.parametrize("rule", [{"max_ratio": 1.1}, {"zero_tolerance": True}])
def test_rules_of_single_items_are_refused(rule):
    with pytest.raises(ConfigError, match="one of all of them together"):
        suite(gates=[{"metric": "macro", **rule}])


def test_live_traffic_and_other_tools_have_no_labels(tmp_path):
    with pytest.raises(ConfigError, match="cannot be asked of live traffic"):
        hg.Canary(traffic={"stable": "a", "canary": "b"}, scorers=[s.model_dump() for s in suite().scorers[:2]])
    file = tmp_path / "scores.jsonl"
    file.write_text("\n".join(json.dumps({"id": str(n), "macro": 1}) for n in range(9)))
    declared = suite(compare=None)
    rules = Rules(gates=declared.gates[2:3], policy=Policy(), scorers=declared.scorers)
    with pytest.raises(ConfigError, match="made of labels, which scores of another tool lack"):
        gate_scores(Scores(path=file, columns=Columns()), None, rules=rules)
