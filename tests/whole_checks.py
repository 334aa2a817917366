"""Whole checks through the real engine, counted: ``python tests/whole_checks.py [--runs N]`` prints a Markdown table.

Each run is a `check` of 400 items over loopback HTTP, of other questions every time, against a simulated model whose
wrong answers take 1.6 times as long. The rest of the same items is then asked, and the whole run judged once: what a
fixed number of items and one gate would have said. From these come the habits that teams have. The control judges what
has been answered first, in place of a prefix that was fixed before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

import headgate as hg
from headgate.decide.paired import decide_paired

ITEMS, ACCURACY, MARGIN, ALPHA = 400, 0.7, 0.05, 0.05
DROPS: Final = (0.0, MARGIN, 0.10)
USD_PER_JOB: Final = 0.005  # a call of 1,000 tokens in and 250 out at 2 and 12 dollars a million
TRIES: Final = 3
FIRST: Final = 160  # items that the control waits for


def suite(number: int, drop: float, *, n: int = ITEMS, alpha: float = ALPHA, latency_s: float = 0.001) -> hg.Suite:
    accuracy = {"old": ACCURACY, "new": ACCURACY - drop}
    simulate = {"accuracy": accuracy, "latency_s": latency_s, "wrong_latency_ratio": 1.6, "spread": 1.6}
    questions = range(10_000 * number, 10_000 * number + n)
    return hg.Suite(
        name="sums",
        items=[{"id": str(q), "question": f"{q} + 1 = ?", "target": q + 1} for q in questions],
        prompts={"old": "{{ question }}", "new": "Sum: {{ question }}"},
        models=[{"id": "m", "provider": "simulated", "simulate": simulate}],
        lanes=[{"models": ["m"], "concurrency": 2 * ITEMS}],
        scorers=[{"name": "correct", "type": "exact_match"}],
        compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        gates=[{"metric": "correct", "margin": MARGIN}],
        policy={"alpha": alpha},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run said: the check with its jobs, and on all items the gate at two levels and the bare means."""

    check: str
    jobs: int
    fixed: str
    strict: str
    means: bool


def outcome(folder: Path, number: int, drop: float) -> Outcome:
    out = folder / f"{number}"
    done = hg.check(suite(number, drop), out=out)
    whole = hg.run(suite(number, drop), out=out)  # the rest of the same plan
    fixed, strict = (hg.gate(whole, suite=suite(number, drop, alpha=alpha)) for alpha in (ALPHA, ALPHA / TRIES))
    row = fixed.metrics[0]
    assert row.candidate_mean is not None
    assert row.baseline_mean is not None
    return Outcome(
        check=done.verdict.verdict,
        jobs=done.run.done,
        fixed=fixed.verdict,
        strict=strict.verdict,
        means=row.candidate_mean >= row.baseline_mean - MARGIN,
    )


def first_answered(folder: Path, number: int, drop: float) -> str:
    """Return what the items say that answer first in both arms, all of them asked at once (the control)."""
    out = folder / f"first-{number}"
    hg.run(suite(number, drop, latency_s=0.5), out=out)
    rows = hg.scan(out).select("item_id", "prompt", "latency_s").collect()
    scores = hg.scan_scores(out).select("item_id", "prompt", "value").collect()
    arms = rows.join(scores, on=["item_id", "prompt"]).pivot("prompt", index="item_id", values=["value", "latency_s"])
    first = arms.sort(pl.max_horizontal("latency_s_new", "latency_s_old")).head(FIRST)
    return decide_paired(first["value_new"].to_numpy(), first["value_old"].to_numpy(), margin=MARGIN).verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """A way to come to a verdict: how often it passes and fails, and the jobs it takes."""

    name: str
    passes: float
    fails: float
    jobs: float


def habits(found: Sequence[Outcome]) -> list[Habit]:
    whole = 2.0 * ITEMS
    fixed = [one.fixed for one in found]
    return [
        Habit(
            name="`headgate check`",
            passes=share([one.check == "pass" for one in found]),
            fails=share([one.check == "fail" for one in found]),
            jobs=sum(one.jobs for one in found) / len(found),
        ),
        Habit(
            name="all items, then `gate`",
            passes=share([word == "pass" for word in fixed]),
            fails=share([word == "fail" for word in fixed]),
            jobs=whole,
        ),
        rerun(f"the same, up to {TRIES} times until it passes", [word == "pass" for word in fixed]),
        rerun(f"the same at a level of {ALPHA / TRIES:.3f} each", [one.strict == "pass" for one in found]),
        rerun(f"bare means within the margin, up to {TRIES} times", [one.means for one in found]),
    ]


def rerun(name: str, passed: Sequence[bool]) -> Habit:
    """Return what comes of trying again until it passes; independent runs are the tries of one another."""
    tries = [passed[start : start + TRIES] for start in range(0, len(passed) - TRIES + 1, TRIES)]
    used = [next((place + 1 for place, green in enumerate(one) if green), TRIES) for one in tries]
    passes = share([any(one) for one in tries])
    return Habit(name=name, passes=passes, fails=1 - passes, jobs=2.0 * ITEMS * sum(used) / len(used))


def share(said: Sequence[bool]) -> float:
    return sum(said) / len(said)


def table(found: dict[float, list[Outcome]]) -> list[str]:
    """Return a line for each habit: what it says and takes at each drop, `fails` where nothing has changed."""
    rows = {drop: habits(outcomes) for drop, outcomes in found.items()}
    heads = "".join(f" {100 * drop:.0f} points: passes |{'' if drop else ' fails |'} jobs | USD |" for drop in rows)
    lines = [f"| |{heads}", "|" + "---|" * (heads.count("|") + 1)]
    for ways in zip(*rows.values(), strict=True):
        cells = "".join(
            f" {100 * way.passes:.0f} % |{'' if drop else f' {100 * way.fails:.0f} % |'} "
            f"{way.jobs:.0f} | {way.jobs * USD_PER_JOB:.2f} |"
            for drop, way in zip(rows, ways, strict=True)
        )
        lines.append(f"| {ways[0].name} |{cells}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=300, help="whole checks of each drop")
    parser.add_argument("--controls", type=int, default=60, help="runs of the control")
    options = parser.parse_args()
    if options.runs < TRIES:
        parser.error(f"--runs {options.runs} is less than the {TRIES} tries of one verdict")
    found: dict[float, list[Outcome]] = {}
    for place, drop in enumerate(DROPS):
        with tempfile.TemporaryDirectory() as folder:
            numbers = range(place * options.runs, (place + 1) * options.runs)
            found[drop] = [outcome(Path(folder), number, drop) for number in numbers]
        print(f"{100 * drop:.0f} points: {options.runs} checks", file=sys.stderr)
    print("\n".join(table(found)))
    shares = {drop: sum(one.jobs for one in outcomes) / len(outcomes) / (2 * ITEMS) for drop, outcomes in found.items()}
    used = ", ".join(f"{share:.2f} at {100 * drop:.0f} points" for drop, share in shares.items())
    print(f"\nshare of the jobs: {used}")
    with tempfile.TemporaryDirectory() as folder:
        said = [first_answered(Path(folder), 9_000 + number, 0.10) for number in range(options.controls)]
    wrong = share([word == "pass" for word in said])
    print(f"control, 10 points, judged on what was answered first: {100 * wrong:.0f} % pass")
    _expect(found, shares, control=wrong)


def _expect(found: dict[float, list[Outcome]], shares: dict[float, float], *, control: float) -> None:
    """Hold the promises, at the declared rates plus Monte Carlo error; the control must break them."""
    for drop, word in ((0.0, "fail"), (MARGIN, "pass")):
        runs = len(found[drop])
        wrong = share([one.check == word for one in found[drop]])
        most = ALPHA + 3 * (ALPHA * (1 - ALPHA) / runs) ** 0.5
        if wrong > most:
            sys.exit(f"{100 * wrong:.1f} % said {word} at {100 * drop:.0f} points, more than {100 * most:.1f} %")
    if shares[0.10] > 0.62:
        sys.exit(f"{shares[0.10]:.2f} of the jobs at 10 points, more than 0.62")
    if control < 0.2:
        sys.exit(f"the control passes {100 * control:.0f} % only: nothing here could have shown the bias")


if __name__ == "__main__":
    main()
