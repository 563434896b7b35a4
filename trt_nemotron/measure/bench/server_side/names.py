"""How servers call their own figures, newest name first, with where that is written.

vLLM: https://docs.vllm.ai/en/latest/design/metrics.html (`time_per_output_token_seconds` is the
older name, one observation a token). TensorRT-LLM: `tensorrt_llm/metrics/collector.py` in
https://github.com/NVIDIA/TensorRT-LLM, served under `/prometheus/metrics`
(https://nvidia.github.io/TensorRT-LLM/latest/examples/prometheus_metrics.html), while its
`/metrics` is JSON that is gone once it is read. llama.cpp: `tools/server/README.md` in
https://github.com/ggml-org/llama.cpp, served when it was started with `--metrics`; its counter of
tokens has the first one of each request too, so its TPOT is a little short: by 1/40 for 40 tokens.
"""

from dataclasses import dataclass
from typing import Literal

Quantity = Literal["ttft", "tpot", "queue", "e2e"]

METRICS_PATHS = ("/prometheus/metrics", "/metrics")
"""Asked for in this order: TensorRT-LLM's second one is not text, and reading it empties it."""
PERF_METRICS_PATH = "/perf_metrics"
"""TensorRT-LLM's times of each request, kept with `return_perf_metrics` and
`perf_metrics_max_requests` (`tests/unittest/llmapi/apps/_test_openai_perf_metrics.py` there)."""


@dataclass(frozen=True, slots=True)
class Family:
    """One server's names.

    Attributes:
        histograms: of each quantity in seconds, without `_sum` and `_count`; the first that is
            there counts.
        quotients: of each quantity, a counter of seconds and one of what they are shared by.
    """

    name: str
    histograms: dict[Quantity, tuple[str, ...]]
    quotients: dict[Quantity, tuple[str, str]]


FAMILIES = (
    Family(
        name="vllm",
        histograms={
            "ttft": ("vllm:time_to_first_token_seconds",),
            "tpot": (
                "vllm:request_time_per_output_token_seconds",
                "vllm:inter_token_latency_seconds",
                "vllm:time_per_output_token_seconds",
            ),
            "queue": ("vllm:request_queue_time_seconds",),
            "e2e": ("vllm:e2e_request_latency_seconds",),
        },
        quotients={},
    ),
    Family(
        name="tensorrt-llm",
        histograms={
            "ttft": ("trtllm_time_to_first_token_seconds",),
            "tpot": ("trtllm_time_per_output_token_seconds",),
            "queue": ("trtllm_request_queue_time_seconds",),
            "e2e": ("trtllm_e2e_request_latency_seconds",),
        },
        quotients={},
    ),
    Family(
        name="llama.cpp",
        histograms={},
        quotients={
            "tpot": (
                "llamacpp:tokens_predicted_seconds_total",
                "llamacpp:tokens_predicted_total",
            )
        },
    ),
)
