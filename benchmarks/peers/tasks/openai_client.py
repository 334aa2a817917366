"""The openai client with asyncio and a semaphore: what one writes by hand. ITEMS URL OUT CONCURRENCY httpx|aiohttp."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import openai


async def run(rows: list[dict[str, str]], *, url: str, concurrency: int, backend: str) -> list[dict[str, object]]:
    http = openai.DefaultAioHttpClient() if backend == "aiohttp" else None
    places = asyncio.Semaphore(concurrency)
    async with openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http) as client:

        async def ask(row: dict[str, str]) -> dict[str, object]:
            async with places:
                answer = await client.chat.completions.create(
                    model="bench",
                    messages=[{"role": "user", "content": row["question"]}],
                    temperature=0,
                    max_tokens=256,
                )
            text = answer.choices[0].message.content or ""
            return {"id": row["id"], "output": text, "right": row["target"] in text}

        return await asyncio.gather(*map(ask, rows))


def main(items: str, url: str, out: str, concurrency: str, backend: str) -> None:
    rows = [json.loads(line) for line in Path(items).read_text().splitlines()]
    results = asyncio.run(run(rows, url=url, concurrency=int(concurrency), backend=backend))
    Path(out).write_text("".join(json.dumps(result) + "\n" for result in results))


main(*sys.argv[1:])
