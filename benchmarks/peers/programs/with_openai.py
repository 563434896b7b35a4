"""A closed loop over asyncio tasks with one `openai.AsyncOpenAI`, as its documentation has it."""

import argparse
import asyncio
import itertools
import json
import time
from collections import Counter
from pathlib import Path

import httpx2
import openai


async def ask(client: openai.AsyncOpenAI, prompt: str, tokens: int) -> list[float]:
    """Milliseconds from sending to each token."""
    times = []
    begun = time.perf_counter()
    stream = await client.chat.completions.create(
        model="truth", messages=[{"role": "user", "content": prompt}], max_tokens=tokens,
        stream=True, extra_body={"ignore_eos": True},
    )  # fmt: skip
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            times.append(1e3 * (time.perf_counter() - begun))  # noqa: PERF401 - a stamp for each
    return times


async def run(given: argparse.Namespace, prompts: list[str]) -> dict[str, object]:
    """The times of all but the first requests."""
    numbers = itertools.count()
    kept: list[list[float]] = []
    failed: list[str] = []
    limit = openai.DefaultAsyncHttpxClient(timeout=given.timeout)
    client = openai.AsyncOpenAI(
        base_url=f"{given.url}/v1", api_key="none", max_retries=0, http_client=limit
    )

    async def work() -> None:
        while (number := next(numbers)) < given.warmup + given.requests:
            try:
                times = await ask(client, prompts[number % len(prompts)], given.tokens)
            except (openai.OpenAIError, httpx2.HTTPError) as error:
                failed.append(type(error).__name__)
                continue
            if number >= given.warmup:
                kept.append(times)

    await asyncio.gather(*(work() for _ in range(given.streams)))
    return {"times_ms": kept, "failed": Counter(failed)}


def main() -> None:
    """Run and keep."""
    parser = argparse.ArgumentParser()
    for name in ("streams", "requests", "warmup", "tokens"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("url", "prompts", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--timeout", type=float, default=600.0)
    given = parser.parse_args()
    prompts = [json.loads(line)["prompt"] for line in Path(given.prompts).read_text().splitlines()]
    Path(given.out).write_text(json.dumps(asyncio.run(run(given, prompts))))


if __name__ == "__main__":
    main()
