"""The canary file: what it may say, and every mistake by name."""

from __future__ import annotations

import pytest

from headgate.errors import ConfigError
from headgate.suite.canary import COLUMNS, Canary
from headgate.suite.files import load_canary
from headgate.traffic.row import FIELDS

WHOLE = """\
name: bot
traffic: {path: logs, arm: k8s.pod.label.rollouts-pod-template-hash, stable: abc, canary: def}
format: otlp
columns: {target: expected}
cluster: user.id
window_s: 600
lateness_s: 30
sample: 0.1
min_units: 200
scorers:
  - {name: correct, type: exact_match}
  - {name: kind, type: judge, kind: closed_qa, model: grader}
judges: {models: [{id: grader, provider: simulated, role: judge}], share: 0.5}
gates:
  - {metric: correct, margin: 0.02}
  - {metric: refusal_rate, margin: 0.01}
policy: {alpha: 0.05, on_inconclusive: keep, fail_rule: beyond_margin, max_error_rate: 0.02}
"""


def load(folder, text):
    (folder / "canary.yaml").write_text(text)
    return load_canary(folder / "canary.yaml")


def test_a_whole_file(tmp_path):
    canary = load(tmp_path, WHOLE)
    assert set(canary.model_fields_set) == set(Canary.model_fields)
    assert (canary.base, canary.file) == (tmp_path, tmp_path / "canary.yaml")


def test_an_empty_declaration_watches_errors_refusals_and_latency():
    gates = Canary().gates
    assert [(gate.metric, gate.tier) for gate in gates] == [
        ("error_rate", "blocking"),
        ("refusal_rate", "blocking"),
        ("latency_s", "warning"),
    ]


def test_columns_are_the_fields_of_a_row():
    assert set(COLUMNS) == set(FIELDS) - {"arm", "cluster"} | {"latency_ms"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trafic: {}", "canary.yaml:1: trafic: there is no such field; did you mean 'traffic'?"),
        ("traffic: {path: a}", "canary.yaml:1: traffic: `path` holds both arms: name the column"),
        ("traffic: {stable: a, canary: a}", "canary.yaml:1: traffic: stable and canary are both 'a'"),
        ("format: csv", "canary.yaml:1: format: 'csv' is none of the choices"),
        ("columns: {latency: x}", "canary.yaml:1: columns.latency: is no field of a row; did you mean 'latency_s'?"),
        ("sample: 0", "canary.yaml:1: sample: 0 is not greater than 0"),
        ("gates: []", "canary.yaml:1: gates: is empty"),
        ("gates:\n  - {metric: good, margin: 0.1}", "canary.yaml:2: gates.0.metric: 'good' is not declared"),
        (
            "gates:\n  - {metric: cost_usd, max: 1, slices: [a]}",
            "canary.yaml:2: gates.0.slices: 'cost_usd' cannot be asked of live traffic",
        ),
        (
            "gates:\n  - {metric: cost_usd, max_ratio: 2, against: anchor}",
            "canary.yaml:2: gates.0.against: 'anchor' cannot be asked of live traffic",
        ),
        ("policy: {max_seeds: 3}", "canary.yaml:1: policy.max_seeds: cannot be asked of live traffic"),
        ("scorers:\n  - {name: cost_usd, type: json_valid}", "is the name of a built-in metric"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert message in str(caught.value)
