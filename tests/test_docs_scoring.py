"""The page on scoring: every example is a scorer, every type has one and a place in the table of counterparts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter

from headgate.suite.documents import parse_yaml
from headgate.suite.scorers import Scorer

PAGE = (Path(__file__).parent.parent / "docs" / "scoring.md").read_text()
TYPES = {get_args(kind.model_fields["type"].annotation)[0] for kind in get_args(get_args(Scorer)[0])}


def test_every_example_is_a_scorer_and_every_type_has_one():
    blocks = re.findall(r"```yaml\n(- .*?)```", PAGE, re.DOTALL)
    declared = [entry for block in blocks for entry in parse_yaml(f"scorers:\n{block}", Path("x.yaml")).data["scorers"]]
    scorers = [TypeAdapter(Scorer).validate_python(entry) for entry in declared]
    assert {scorer.type for scorer in scorers} == TYPES


def test_every_type_has_a_row_of_counterparts():
    rows = re.findall(r"^\| (.+?) \|", PAGE.partition("| headgate | promptfoo | inspect |")[2], re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} >= TYPES
