"""guidellm (https://github.com/vllm-project/guidellm)."""

import json

from benchmarks.peers.peer import Peer, Said, Work


def command(work: Work) -> list[str]:
    """A closed loop of a fixed number of requests; it has no requests before them."""
    patience = "" if work.patience_s is None else f",timeout={work.patience_s:g}"
    return [
        "guidellm", "run", "--backend",
        f"kind=openai_http,target={work.url},model=truth{patience}",
        "--profile", f"kind=concurrent,streams={work.streams}",
        "--constraint", f"kind=max_requests,count={work.requests}",
        "--tokenizer", f"kind=huggingface_auto,model={work.tokenizer}",
        "--data", f"kind=json_file,path={work.prompts}",
        "--output", f"kind=json,path={work.folder / 'said.json'}", "--disable-console",
    ]  # fmt: skip


def read(work: Work) -> Said:
    """Its `inter_token_latency_ms` is a mean per request: TPOT as others call it, and no ITL."""
    (one,) = json.loads((work.folder / "said.json").read_text())["benchmarks"]
    metrics = one["metrics"]
    totals = metrics["request_totals"]
    ttft = _good(metrics, "time_to_first_token_ms")
    return Said(
        ttft_p50=ttft.get("p50"),
        ttft_p99=ttft.get("p99"),
        itl_p99=None,
        tpot_p50=_good(metrics, "inter_token_latency_ms").get("p50"),
        good=totals["successful"],
        failed=totals["errored"] + totals["incomplete"],
    )


def _good(metrics: dict, name: str) -> dict[str, float]:
    found = (metrics[name] or {}).get("successful") or {}
    return found.get("percentiles") or {}


PEERS = (
    Peer(
        "guidellm 0.8.1", ("torch==2.13.0", "guidellm==0.8.1"), command, read, warms_up=False,
        note="leaves some of the first and last requests out of its figures, of its own accord",
    ),
)  # fmt: skip
