from __future__ import annotations

from hypothesis import given

from hand_made_verdicts import hostile, make_row
from headgate.report.rows import named_rows


def test_a_name_is_what_is_declared():
    ((gate, cell, row),) = named_rows([make_row(cell={"prompt": "a", "model": "small"})])
    assert (gate, cell) == ("correct margin 0.1", "prompt=a model=small")
    assert row.estimate == -0.012345678


def test_two_rows_of_one_name_are_told_apart():
    names = [
        (gate, cell) for gate, cell, _ in named_rows([make_row(), make_row("fail"), make_row(cell={"model": "b"})])
    ]
    assert names == [
        ("correct margin 0.1", "model=small"), ("correct margin 0.1 (2)", "model=small"),
        ("correct margin 0.1", "model=b"),
    ]  # fmt: skip


@given(hostile)
def test_a_name_is_one_short_printable_line(text):
    ((gate, cell, _),) = named_rows([make_row(name=text, cell={text: text})])
    assert gate.isprintable()
    assert cell.isprintable()
    assert max(len(gate), len(cell)) <= 130
