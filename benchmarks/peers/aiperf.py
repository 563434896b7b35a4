"""NVIDIA's aiperf (https://github.com/ai-dynamo/aiperf)."""

import json
from collections import Counter

from benchmarks.peers.peer import Peer, Said, Work


def command(work: Work) -> list[str]:
    """Prompts from the file, since it would draw its own from a corpus; nothing else is changed."""
    patience = (
        [] if work.patience_s is None else ["--request-timeout-seconds", f"{work.patience_s:g}"]
    )
    return [
        "aiperf", "profile", "--model", "truth", "--url", work.url, "--endpoint-type", "chat",
        "--streaming", "--tokenizer", str(work.tokenizer), "--input-file", str(work.texts),
        "--custom-dataset-type", "single_turn", "--concurrency", str(work.streams),
        "--request-count", str(work.requests), "--warmup-request-count", str(work.warmup),
        "--extra-inputs", f"max_tokens:{work.tokens}", "--extra-inputs", "ignore_eos:true",
        "--output-artifact-dir", str(work.folder), "--export-level", "summary", "--ui", "none",
        "--no-auto-plot", *patience,
    ]  # fmt: skip


def read(work: Work) -> Said:
    """ITL is its `inter_chunk_latency`; its `inter_token_latency` is a request's mean, so TPOT."""
    tree = json.loads((work.folder / "profile_export_aiperf.json").read_text())
    ttft = tree.get("time_to_first_token", {})
    return Said(
        ttft_p50=ttft.get("p50"),
        ttft_p99=ttft.get("p99"),
        itl_p99=tree.get("inter_chunk_latency", {}).get("p99"),
        tpot_p50=tree.get("inter_token_latency", {}).get("p50"),
        good=int(tree["request_count"]["avg"]),
        failed=int(tree.get("error_request_count", {}).get("avg", 0)),
        names=_names(tree.get("error_summary") or []),
    )


def _names(summary: list[dict]) -> dict[str, int]:
    """Its `type` of an error, or the status it came with."""
    names: Counter[str] = Counter()
    for one in summary:
        details = one["error_details"]
        code = details.get("code")
        kind = details.get("type") or "error"
        names[f"{kind} {code}" if code else kind] += one["count"]
    return dict(names)


PEERS = (Peer("aiperf 0.13.0", ("aiperf==0.13.0",), command, read),)
