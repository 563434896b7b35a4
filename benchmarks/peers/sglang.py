"""sglang's benchmark client in Rust (https://github.com/sgl-project/sglang), out of its wheel.

The extension is loaded from where the wheel has it, without `import sglang`, which would need torch
and takes seconds: so its start-up here is better than that of sglang's own command.
"""

import json
from collections import Counter
from pathlib import Path

from benchmarks.peers.peer import PROMPT_WORDS, Peer, Said, Work

VERSION = "0.5.23"
LAUNCHER = Path(__file__).with_name("sglang_launcher.py")


def command(work: Work) -> list[str]:
    """Token ids of its own choice as prompts: its other data sets are downloads."""
    details = [] if work.patience_s is None else ["--output-details"]
    return [
        "python", str(LAUNCHER), "--backend", "vllm-chat", "--base-url", work.url,
        "--model", "truth", "--dataset-name", "random-ids", "--tokenizer", str(work.tokenizer),
        "--random-input-len", str(PROMPT_WORDS), "--random-output-len", str(work.tokens),
        "--random-range-ratio", "1", "--num-prompts", str(work.requests),
        "--max-concurrency", str(work.streams), "--warmup-requests", str(work.warmup),
        "--disable-retokenize", "--disable-tqdm", "--output-file", str(work.folder / "said.jsonl"),
        *details,
    ]  # fmt: skip


def read(work: Work) -> Said:
    """The last line of its file."""
    tree = json.loads((work.folder / "said.jsonl").read_text().splitlines()[-1])
    return Said(
        ttft_p50=tree["median_ttft_ms"],
        ttft_p99=tree["p99_ttft_ms"],
        itl_p99=tree["p99_itl_ms"],
        tpot_p50=tree["median_tpot_ms"],
        good=tree["completed"],
        failed=work.requests - tree["completed"],
        names=Counter(error.partition(":")[0] for error in tree.get("errors") or () if error),
    )


PEERS = (
    Peer(
        f"sglang {VERSION} (Rust)", (), command, read, bare=(f"sglang=={VERSION}",),
        note="the client alone, without importing sglang, whose own command takes seconds more",
    ),
)  # fmt: skip
