"""The picture of a check's looks."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest

from headgate.decide.judge import decide
from headgate.decide.verdict import Look, LookRow
from headgate.errors import ConfigError
from headgate.report.looks import looks_svg
from headgate.suite.gate import Arm, Compare, Policy
from made_runs import SCORERS, arms, gate

SVG = "{http://www.w3.org/2000/svg}"


def made_verdict():
    pair = Compare(baseline=Arm(prompt="old"), candidate=Arm(prompt="new"))
    run = arms(np.ones(200), np.ones(200))
    return decide(run, None, gates=[gate(margin=0.05)], scorers=SCORERS, compare=pair, policy=Policy())


def look(number, low, high, word, *, name="correct"):
    row = LookRow(
        name=name, rule="margin", cell={"model": "m"}, against="baseline", estimate=(low + high) / 2, low=low,
        high=high, confidence=0.99, verdict=word,
    )  # fmt: skip
    return Look(look=number, n_items=100 * number, seeds=1, fraction=number / 5, rows=[row])


def drawn(**changes):
    looks = [look(1, -0.3, 0.2, "inconclusive"), look(2, -0.04, 0.03, "pass")]
    return msgspec.structs.replace(made_verdict(), looks=looks, **changes)


def test_a_look_is_an_interval():
    tree = ET.fromstring(looks_svg(drawn()))
    bars = [line for line in tree.iter(f"{SVG}line") if line.get("stroke-width") == "3"]
    assert len(bars) == 2
    heights = [float(bar.get("y1")) - float(bar.get("y2")) for bar in bars]
    assert heights[0] > heights[1] > 0
    zero, margin = [float(line.get("y1")) for line in tree.iter(f"{SVG}line") if line.get("stroke-width") == "1"]
    assert margin > zero  # below it on the page
    assert float(bars[1].get("y1")) < margin  # it passes: its lower end lies above the margin
    assert {bar.get("stroke") for bar in bars} == {"#57606a", "#1a7f37"}


def test_names_are_text():
    verdict = drawn()
    names = {"name": "<script>", "cell": {"model": "a & b"}}
    row = msgspec.structs.replace(verdict.metrics[0], **names)
    seen = msgspec.structs.replace(verdict.looks[0].rows[0], **names)
    looks = [msgspec.structs.replace(verdict.looks[0], rows=[seen])]
    tree = ET.fromstring(looks_svg(msgspec.structs.replace(verdict, metrics=[row], looks=looks)))
    assert any("<script>, a & b" in (text.text or "") for text in tree.iter(f"{SVG}text"))


def test_what_was_never_looked_at_cannot_be_drawn():
    with pytest.raises(ConfigError, match="was never looked at"):
        looks_svg(made_verdict())
    with pytest.raises(ConfigError, match="was never looked at"):
        looks_svg(drawn(), row=1)
