"""A closed loop over threads, each with a `requests.Session`, as many scripts have it."""

import argparse
import itertools
import json
import threading
import time
from collections import Counter
from pathlib import Path

import requests


def ask(
    session: requests.Session, url: str, prompt: str, tokens: int, timeout_s: float | None
) -> list[float]:
    """Milliseconds from sending to each token."""
    body = {
        "model": "truth", "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens, "stream": True, "ignore_eos": True,
    }  # fmt: skip
    times = []
    begun = time.perf_counter()
    address = f"{url}/v1/chat/completions"
    with session.post(address, json=body, stream=True, timeout=timeout_s) as reply:
        reply.raise_for_status()
        for line in reply.iter_lines(chunk_size=None):
            if not line.startswith(b"data: {"):
                continue
            choices = json.loads(line[6:]).get("choices")
            if choices and choices[0]["delta"].get("content"):
                times.append(1e3 * (time.perf_counter() - begun))
    return times


def main() -> None:
    """Run; keep the times of all but the first requests."""
    parser = argparse.ArgumentParser()
    for name in ("streams", "requests", "warmup", "tokens"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("url", "prompts", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--timeout", type=float)
    given = parser.parse_args()
    prompts = [json.loads(line)["prompt"] for line in Path(given.prompts).read_text().splitlines()]
    numbers = itertools.count()
    kept: list[list[float]] = []
    failed: list[str] = []

    def work() -> None:
        session = requests.Session()
        while (number := next(numbers)) < given.warmup + given.requests:
            try:
                prompt = prompts[number % len(prompts)]
                times = ask(session, given.url, prompt, given.tokens, given.timeout)
            except requests.RequestException as error:
                failed.append(type(error).__name__)
                continue
            if number >= given.warmup:
                kept.append(times)

    threads = [threading.Thread(target=work) for _ in range(given.streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Path(given.out).write_text(json.dumps({"times_ms": kept, "failed": Counter(failed)}))


if __name__ == "__main__":
    main()
