"""All peers, and those that were left out, with the reason."""

from benchmarks.peers import aiperf, baselines, guidellm, ours, sglang, vllm
from benchmarks.peers.peer import Peer

PEERS: dict[str, Peer] = {
    "ours": ours.PEERS[0],
    "ours-stamps": ours.PEERS[1],
    "sglang": sglang.PEERS[0],
    "aiperf": aiperf.PEERS[0],
    "guidellm": guidellm.PEERS[0],
    "vllm": vllm.PEERS[0],
    "requests": baselines.PEERS[0],
    "openai": baselines.PEERS[1],
}
DEFAULT = ("ours", "ours-stamps", "sglang", "aiperf", "guidellm", "requests", "openai")
LEFT_OUT = {
    "vllm": (
        "`vllm bench serve` imports torch, transformers and the parsers of its server, and its "
        "package asks for the whole of vLLM with CUDA's libraries, some 8 GB, which `--peer vllm` "
        "would fetch. The client alone can be put together from its wheel, torch for CPUs and a "
        "dozen more packages by hand; so it ran here once at 8 streams, and its result is "
        "tests/benchmarks/recorded/vllm.json. In an earlier comparison of ours (2026-11-23, 0.33.0 "
        "put together so, another truth server, three rounds, rows not kept) its TTFT was off by "
        "+86 ms at p50 and +104 ms at p99 at 128 streams, ITL p99 by +14 ms, for 37 us of "
        "processor time a token"
    ),
    "genai-perf": (
        "its `perf_analyzer` needs glibc 2.38 and the package falls back to an older stub without "
        "saying so; succeeded by aiperf"
    ),
    "llmperf": (
        "Ray's is not packaged (https://github.com/ray-project/llmperf); the package of "
        "that name is another project"
    ),
}
"""Peers of which no figure is shown unless they are asked for by name."""
