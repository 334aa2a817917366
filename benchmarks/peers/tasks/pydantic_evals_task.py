"""pydantic-evals: a dataset of cases, the openai client as task. ITEMS URL OUT CONCURRENCY."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import openai
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import Evaluator, EvaluatorContext


@dataclass
class Has(Evaluator):
    def evaluate(self, ctx: EvaluatorContext) -> bool:
        return ctx.expected_output in ctx.output


async def run(rows: list[dict[str, str]], *, url: str, concurrency: int) -> list[dict[str, object]]:
    cases = [Case(name=row["id"], inputs=row["question"], expected_output=row["target"]) for row in rows]
    dataset = Dataset(name="bench", cases=cases, evaluators=[Has()])
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:

        async def ask(question: str) -> str:
            answer = await client.chat.completions.create(
                model="bench", messages=[{"role": "user", "content": question}], temperature=0, max_tokens=256
            )
            return answer.choices[0].message.content or ""

        report = await dataset.evaluate(ask, max_concurrency=concurrency, progress=False)
    return [
        {"id": case.name, "output": case.output, "right": all(found.value for found in case.assertions.values())}
        for case in report.cases
    ]


def main(items: str, url: str, out: str, concurrency: str) -> None:
    rows = [json.loads(line) for line in Path(items).read_text().splitlines()]
    results = asyncio.run(run(rows, url=url, concurrency=int(concurrency)))
    Path(out).write_text("".join(json.dumps(result) + "\n" for result in results))


main(*sys.argv[1:])
