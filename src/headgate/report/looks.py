"""The looks of a check as a picture: one interval per look, against no change and against the margin."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from headgate.decide.verdict import Look, LookRow, MetricRow, Verdict
from headgate.errors import ConfigError

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 50
_GREY = "#8c959f"
_COLOURS = {"pass": "#1a7f37", "fail": "#cf222e", "inconclusive": "#57606a", "invalid": "#57606a"}


def looks_svg(verdict: Verdict, *, row: int = 0) -> str:
    """Draw the looks at one margin of a check.

    Parameters
    ----------
    verdict : Verdict
        Of a check.
    row : int
        Which of its rows of rule ``margin`` that were looked at.

    Returns
    -------
    str
        An SVG document. Each look is an interval at its own level: above the margin it passes, below zero it fails.

    Raises
    ------
    ConfigError
        If there is no such row.
    """
    margins = [one for one in verdict.metrics if one.rule == "margin" and one.tier == "blocking"]
    if not verdict.looks or not 0 <= row < len(margins):
        raise ConfigError(
            "was never looked at", field="row", value=row, mend="draw a check with a gate of rule `margin`"
        )
    wanted = margins[row]
    seen = [(look, found) for look in verdict.looks for found in look.rows if _is(found, wanted)]
    return _drawn(wanted, seen)


def _is(found: LookRow, wanted: MetricRow) -> bool:
    return (found.name, found.rule, found.cell, found.against) == (
        wanted.name,
        wanted.rule,
        wanted.cell,
        wanted.against,
    )


def _drawn(wanted: MetricRow, seen: Sequence[tuple[Look, LookRow]]) -> str:
    margin = wanted.margin or 0.0
    reach = max(3 * margin, 0.05)
    last = max(look.n_items / look.fraction for look, _ in seen)

    def x(items: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * items / last

    def y(value: float) -> float:
        inside = min(max(value, -reach), reach)
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (reach - inside) / (2 * reach)

    marks = [
        _line(x(0), y(0.0), x(last), y(0.0), "#8c959f"),
        _line(x(0), y(-margin), x(last), y(-margin), "#8c959f", dash=True),
    ]
    marks += [_text(_LEFT - 8, y(0.0) + 4, "0", end=True), _text(_LEFT - 8, y(-margin) + 4, f"-{margin:g}", end=True)]
    for look, found in seen:
        low, high = (-reach if found.low is None else found.low), (reach if found.high is None else found.high)
        middle = found.estimate or 0.0
        colour = _COLOURS[found.verdict]
        marks.append(_line(x(look.n_items), y(low), x(look.n_items), y(high), colour, width=3))
        marks.append(f'<circle cx="{x(look.n_items):.1f}" cy="{y(middle):.1f}" r="4" fill="{colour}"/>')
        marks.append(_text(x(look.n_items), _HEIGHT - _BOTTOM + 18, f"{look.n_items}"))
    title = f"{wanted.name}, {' '.join(wanted.cell.values())}: {wanted.verdict}"
    marks += [_text(_WIDTH / 2, 20, title), _text(_WIDTH / 2, _HEIGHT - 10, f"items seen, of {last:.0f}")]
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>', *marks, "</svg>\n"])


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, width: int = 1, dash: bool = False) -> str:
    dashed = ' stroke-dasharray="5 4"' if dash else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"{dashed}/>'


def _text(x: float, y: float, text: str, *, end: bool = False) -> str:
    anchor = "end" if end else "middle"
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#24292f">{escape(text)}</text>'
