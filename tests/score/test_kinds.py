"""What holds of every type of scorer: any text gets a score or a reason, negation mirrors, versions follow the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from headgate.identity import digest
from headgate.score.kinds import KINDS
from headgate.score.scorer import direction, version
from headgate.suite.scorers import Scorer
from score_rows import scored

DECLARED = [
    {"type": "exact_match", "normalize": "squad"},
    {"type": "contains", "ignore_case": True},
    {"type": "starts_with"},
    {"type": "ends_with"},
    {"type": "regex", "pattern": "b+"},
    {"type": "string_similarity"},
    {"type": "length", "unit": "words", "max": 3},
    {"type": "language"},
    {"type": "refusal"},
    {"type": "numeric"},
    {"type": "multiple_choice"},
    {"type": "classification", "labels": ["spam", "ham"]},
    {"type": "json_valid", "extract": True},
    {"type": "json_schema", "schema": {"type": "object"}, "extract": True},
    {"type": "json_field", "path": "a"},
    {"type": "sql_valid", "extract": True},
    {"type": "xml_valid", "extract": True},
    {"type": "html_valid"},
    {"type": "tool_call", "measure": "f1"},
    {"type": "tool_call_valid", "tools": [{"name": "find", "parameters": {"required": ["q"]}}]},
    {"type": "bleu"},
    {"type": "chrf"},
    {"type": "gleu"},
    {"type": "rouge"},
    {"type": "token_f1"},
    {"type": "perplexity"},
    {"type": "limit", "column": "latency_s", "max": 1},
    {"type": "stop_reason"},
]
ROWLESS = {"embedding_similarity", "evaluator", "judge", "python", "weighted", "pass_at_k", "f1"}
ROWLESS |= {"matthews_correlation"}
SCORERS = {one["type"]: TypeAdapter(Scorer).validate_python({"name": one["type"], **one}) for one in DECLARED}
CALLS = '[{"function": {"name": "find", "arguments": "{\\"q\\": 1}"}}]'
LOGPROBS = '[{"token": "a", "logprob": -0.5}]'
BESIDE = {"latency_s": 0.5, "stop_reason": "stop"}
ROWS = [
    {"output": output, "target": target, "tool_calls_json": CALLS, "logprobs_json": LOGPROBS, **BESIDE}
    for output, target in [
        ("The answer is (B): 4 spam.", "B 4 spam"),
        ('{"a": 4}', "4"),
        ("```sql\nSELECT a FROM b\n```", "find"),
        ("<b>Das ist ein deutscher Satz.</b>", "de"),
        ("I'm sorry, but I can't help.", "ham"),
        ("the cat sat on the mat", "a cat sat there"),
        ("x", None),
    ]
]
GOLDEN = Path(__file__).parent / "kinds.json"


def test_every_type_has_a_kind_and_is_tried_here():
    types = {get_args(kind.model_fields["type"].annotation)[0] for kind in KINDS}
    assert types == {get_args(kind.model_fields["type"].annotation)[0] for kind in get_args(get_args(Scorer)[0])}
    assert set(SCORERS) | ROWLESS == types


TEXT = st.text(max_size=30) | st.text(st.sampled_from("{}[]()<>\"'`:,.-/=*_ab 01AB\n%$"), max_size=60)


@pytest.mark.parametrize("kind", SCORERS)
def test_any_text_at_all_gets_a_score_or_a_reason(kind):
    scorer = SCORERS[kind]

    @given(
        st.lists(
            st.fixed_dictionaries(
                {
                    "output": TEXT,
                    "target": TEXT | st.none(),
                    "tool_calls_json": st.none() | TEXT,
                    "logprobs_json": st.none() | TEXT,
                }
            ),
            min_size=1,
            max_size=4,
        )
    )
    @settings(max_examples=25, deadline=None)
    def check(rows):
        bounds = direction(scorer).bounds
        for value, _, reason in scored(scorer, rows).iter_rows():
            assert (value is None) <= (reason is not None)
            assert value is None or bounds is None or bounds[0] <= value <= bounds[1]

    check()


LONG = 100_000
HOSTILE = [
    "<a>",
    "<a ",
    '<a "',
    "<script>",
    "<!--",
    "```",
    "`",
    "{",
    "[",
    '{"a":',
    "(",
    "SELECT (",
    "&a",
    "a=",
    "1,",
    "1-",
    "answer ",
    "-",
    "*",
]


@pytest.mark.parametrize("kind", sorted(SCORERS.keys() - {"bleu", "chrf", "sql_valid"}))
def test_no_text_of_a_model_takes_for_ever(kind):
    """A pattern that tries again from every place would be at it for hours; the limit of a test is two minutes."""
    rows = [
        {"output": text * (LONG // len(text)), "target": "x", "tool_calls_json": CALLS, **BESIDE} for text in HOSTILE
    ]
    assert scored(SCORERS[kind], rows).height == len(HOSTILE)


@pytest.mark.parametrize("kind", sorted(SCORERS.keys() - {"perplexity"}))  # it has no bounds to mirror at
def test_negation_mirrors_the_scores_and_failures_stay_the_worst(kind):
    scorer = SCORERS[kind]
    negated = scorer.model_copy(update={"negate": True})
    rows = [*ROWS, {"output": None, "status": "refused", "target": "x"}]
    plain, mirrored = (scored(one, rows)["value"].to_list() for one in (scorer, negated))
    assert mirrored[:-1] == [None if value is None else 1 - value for value in plain[:-1]]
    if kind not in {"limit", "stop_reason"}:  # they score what is there in spite of a failure
        assert [plain[-1], mirrored[-1]] == [direction(one).worst for one in (scorer, negated)]


@pytest.mark.parametrize("kind", sorted(SCORERS.keys() - {"language"}))  # a model of another's, and its version counts
def test_other_scores_of_the_same_declaration_ask_for_another_revision(kind):
    """If this fails, the code scores otherwise than it did: raise the kind's `revision`, then renew kinds.json.

    Whoever scored before would otherwise compare scores of two meanings. `python tests/score/test_kinds.py` renews it.
    """
    stored = json.loads(GOLDEN.read_text())[kind]
    revision = KINDS[type(SCORERS[kind])].revision
    assert (stored["revision"], stored["scores"]) == (revision, scores_digest(kind))


def scores_digest(kind):
    rows = scored(SCORERS[kind], ROWS).select("value", "label")
    return digest([[None if value is None else round(value, 6), label] for value, label in rows.iter_rows()])


def test_defaults_are_no_part_of_a_version_and_weights_neither():
    def made(**options):
        return version(TypeAdapter(Scorer).validate_python({"name": "n", "type": "contains", **options}))

    assert made() == made(weight=2) == made(ignore_case=False) != made(ignore_case=True)


@pytest.mark.parametrize(
    ("kind", "library"), [("bleu", "sacrebleu"), ("sql_valid", "sqlglot"), ("language", "py3langid")]
)
def test_a_library_that_has_a_say_is_part_of_the_version(kind, library, monkeypatch):
    before = version(SCORERS[kind])
    monkeypatch.setattr("headgate.score.scorer.library_version", lambda name: f"{name} 99" if name == library else "")
    assert version(SCORERS[kind]) != before


if __name__ == "__main__":
    found = {kind: {"revision": KINDS[type(SCORERS[kind])].revision, "scores": scores_digest(kind)} for kind in SCORERS}
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
