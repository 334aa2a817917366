"""Draw the picture of docs/check.md from a real check: ``python docs/generate_check.py``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import headgate as hg
from headgate.report.looks import looks_svg

HERE = Path(__file__).parent


def main() -> None:
    suite = hg.Suite(
        name="support-bot",
        items=[{"question": f"{n} + 1 = ?", "target": n + 1} for n in range(1000)],
        prompts={"old": "{{ question }}", "new": "Answer briefly: {{ question }}"},
        models=[
            {
                "id": "small",
                "provider": "simulated",
                "simulate": {"accuracy": {"old": 0.92, "new": 0.92}, "latency_s": 0},
            }
        ],
        scorers=[{"name": "correct", "type": "exact_match"}],
        compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        gates=[{"metric": "correct", "margin": 0.04}],
    )
    with tempfile.TemporaryDirectory() as folder:
        done = hg.check(suite, out=f"{folder}/run")
    (HERE / "check.svg").write_text(looks_svg(done.verdict))
    print(done.verdict, f"\n{done.run.done} of {done.planned} jobs")


if __name__ == "__main__":
    main()
