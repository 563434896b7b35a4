"""`vllm bench serve` (https://github.com/vllm-project/vllm)."""

import json

from benchmarks.peers.peer import Peer, Said, Work


def command(work: Work) -> list[str]:
    """Prompts from the file, without a chat template; one test request is left away."""
    return [
        "vllm", "bench", "serve", "--backend", "openai-chat", "--endpoint", "/v1/chat/completions",
        "--base-url", work.url, "--model", "truth", "--tokenizer", str(work.tokenizer),
        "--dataset-name", "custom", "--dataset-path", str(work.prompts),
        "--custom-output-len", str(work.tokens), "--skip-chat-template", "--disable-shuffle",
        "--num-prompts", str(work.requests), "--max-concurrency", str(work.streams),
        "--num-warmups", str(work.warmup), "--ready-check-timeout-sec", "0", "--ignore-eos",
        "--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,99",
        "--save-result", "--result-filename", str(work.folder / "said.json"), "--disable-tqdm",
    ]  # fmt: skip


def read(work: Work) -> Said:
    """Its own file."""
    tree = json.loads((work.folder / "said.json").read_text())
    return Said(
        ttft_p50=tree["median_ttft_ms"],
        ttft_p99=tree["p99_ttft_ms"],
        itl_p99=tree["p99_itl_ms"],
        tpot_p50=tree["median_tpot_ms"],
        good=tree["completed"],
        failed=tree.get("failed", work.requests - tree["completed"]),
    )


PEERS = (
    Peer(
        "vllm 0.33.0", ("vllm==0.33.0",), command, read,
        note="needs the whole of vLLM, some 8 GB; its environment is made only where there is room",
    ),
)  # fmt: skip
