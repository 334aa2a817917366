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


async def main(items: str, url: str, out: str, concurrency: str) -> None:
    rows = [json.loads(line) for line in Path(items).read_text().splitlines()]
    cases = [Case(name=row["id"], inputs=row["question"], expected_output=row["target"]) for row in rows]
    dataset = Dataset(name="bench", cases=cases, evaluators=[Has()])
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:

        async def ask(question: str) -> str:
            answer = await client.chat.completions.create(
                model="bench", messages=[{"role": "user", "content": question}], temperature=0, max_tokens=256
            )
            return answer.choices[0].message.content or ""

        report = await dataset.evaluate(ask, max_concurrency=int(concurrency), progress=False)
    with Path(out).open("w") as lines:
        for case in report.cases:
            right = all(result.value for result in case.assertions.values())
            lines.write(json.dumps({"id": case.name, "output": case.output, "right": right}) + "\n")


asyncio.run(main(*sys.argv[1:]))
