"""One leg as `vllm bench serve --save-result` writes it.

Names, units (seconds in lists, milliseconds in statistics) and formulas as in
https://github.com/vllm-project/vllm/blob/009e6d4a1cd6ba3fb2a9fc00f4ec06f5297232a1/vllm/benchmarks/serve.py
(`benchmark`, `calculate_metrics`, `main_async`). Where our events and its differ stands in
docs/exporting.md; the file says so itself under keys that begin with `trt_nemotron_`, as its
`--metadata` would add them.
"""

import datetime as dt
from collections import Counter
from collections.abc import Sequence

from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.exports.statistics import deviation, mean, percentiles
from trt_nemotron.measure.exports.streams import Stream, duration_s, streams_of
from trt_nemotron.measure.gate.baseline import time_of

SOURCE = "vllm-project/vllm@009e6d4a1cd6ba3fb2a9fc00f4ec06f5297232a1:vllm/benchmarks/serve.py"
PERCENTILES = (50, 90, 95, 99)
"""`--metric-percentiles`; vLLM's own default is 99 alone."""
EVEN_BURSTINESS = 1e9
"""Shape of its gamma arrivals at which they are even to 0.003 %: it has no word for constant."""

_MS_PER_S = 1e3


def vllm_result(
    measurement: Measurement, leg: Leg, *, is_detailed: bool, is_complete: bool
) -> dict[str, object]:
    """The result of one leg.

    Args:
        measurement: as `bench` kept it.
        leg: one of its legs.
        is_detailed: with the lists of `--save-detailed`.
        is_complete: with every percentile, from however few samples.
    """
    streams = streams_of(measurement, leg)
    good = [stream for stream in streams if stream.is_good]
    return {
        **_setup(measurement, len(streams)),
        **_metadata(measurement, leg),
        **_traffic(measurement, leg),
        **_totals(streams, good),
        **(_detailed_lists(streams) if is_detailed else {}),
        "latencies": [stream.latency_s for stream in streams],
        "queue_times": [stream.queue_s for stream in streams],
        **_statistics(leg, good, is_complete=is_complete),
    }


def _setup(measurement: Measurement, requests: int) -> dict[str, object]:
    begun = time_of(measurement.started_at) or dt.datetime.fromtimestamp(0, dt.timezone.utc)
    return {
        "date": begun.strftime("%Y%m%d-%H%M%S"),
        "endpoint_type": "openai-chat",
        "backend": "openai-chat",
        "label": "trt-nemotron",
        "model_id": measurement.environment.model,
        "tokenizer_id": None,
        "num_prompts": requests,
    }


def _metadata(measurement: Measurement, leg: Leg) -> dict[str, object]:
    return {
        "trt_nemotron_version": measurement.environment.client_version,
        "trt_nemotron_leg": leg.title,
        "trt_nemotron_arrivals": measurement.workload.arrivals,
        "trt_nemotron_clock": measurement.client.clock,
        "trt_nemotron_definitions": (
            "formulas of vLLM over our events: a stream begins when the request's last byte is "
            "sent; only chunks that carry a token count; a stream that ended in an error, "
            "truncated, of wrong length or void is failed"
        ),
        "trt_nemotron_source": SOURCE,
    }


def _traffic(measurement: Measurement, leg: Leg) -> dict[str, object]:
    """In a closed loop as with `--max-concurrency` alone: all at once, so many under way.

    A recorded trace is its `--self-timed`, which leaves both figures at their defaults.
    """
    arrivals = measurement.workload.arrivals
    is_paced = leg.rate_rps > 0 and arrivals != "trace"
    return {
        "request_rate": leg.rate_rps if is_paced else "inf",
        "burstiness": EVEN_BURSTINESS if is_paced and arrivals == "constant" else 1.0,
        "max_concurrency": leg.concurrency,
    }


def _totals(streams: Sequence[Stream], good: Sequence[Stream]) -> dict[str, object]:
    seconds = duration_s(streams)
    tokens_in = sum(stream.input_tokens for stream in good)
    tokens_out = sum(stream.output_tokens for stream in good)
    return {
        "duration": seconds,
        "completed": len(good),
        "failed": len(streams) - len(good),
        "total_input_tokens": tokens_in,
        "total_output_tokens": tokens_out,
        "request_throughput": _rate(len(good), seconds),
        "request_goodput": None,
        "output_throughput": _rate(tokens_out, seconds),
        "total_token_throughput": _rate(tokens_in + tokens_out, seconds),
        "max_output_tokens_per_s": _busiest_second(good),
        "max_concurrent_requests": _most_at_once(good),
        "rtfx": 0.0,
    }


def _detailed_lists(streams: Sequence[Stream]) -> dict[str, object]:
    return {
        "input_lens": [stream.input_tokens for stream in streams],
        "output_lens": [stream.output_tokens for stream in streams],
        "ttfts": [stream.ttft_s for stream in streams],
        "itls": [list(stream.gaps_s) for stream in streams],
        "start_times": [stream.sent_s for stream in streams],
        "generated_texts": ["" for _ in streams],
        "errors": [stream.fault for stream in streams],
    }


def _statistics(leg: Leg, good: Sequence[Stream], *, is_complete: bool) -> dict[str, float]:
    """`--percentile-metrics ttft,tpot,itl,e2el`, for an open loop with the client's queue."""
    values = {
        "ttft": [stream.ttft_s for stream in good],
        "tpot": [_tpot_s(stream) for stream in good if stream.output_tokens > 1],
        "itl": [gap for stream in good for gap in stream.gaps_s],
        "e2el": [stream.latency_s for stream in good],
    }
    if leg.rate_rps:
        values["client_queue_time"] = [stream.queue_s for stream in good]
        values["e2el_including_client_queue"] = [s.latency_s + s.queue_s for s in good]
    found: dict[str, float] = {}
    for name, seconds in values.items():
        found |= _statistics_of(name, [_MS_PER_S * s for s in seconds], is_complete=is_complete)
    return found


def _statistics_of(name: str, values: Sequence[float], *, is_complete: bool) -> dict[str, float]:
    found = percentiles(values, PERCENTILES, is_complete=is_complete)
    median = percentiles(values, (50,), is_complete=True).get(50, 0.0)
    return {
        f"mean_{name}_ms": mean(values),
        f"median_{name}_ms": median,
        f"std_{name}_ms": deviation(values),
        **{f"p{percent}_{name}_ms": value for percent, value in found.items()},
    }


def _tpot_s(stream: Stream) -> float:
    return (stream.latency_s - stream.ttft_s) / (stream.output_tokens - 1)


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def _busiest_second(good: Sequence[Stream]) -> float:
    """Token chunks, not tokens, in the busiest second since the first sending."""
    if not good:
        return 0.0
    begin = min(stream.sent_s for stream in good)
    seconds: Counter[int] = Counter()
    for stream in good:
        at = stream.sent_s + stream.ttft_s - begin
        seconds[int(at)] += 1
        for gap in stream.gaps_s:
            at += gap
            seconds[int(at)] += 1
    return float(max(seconds.values()))


def _most_at_once(good: Sequence[Stream]) -> int:
    """Requests under way at once at most; one that ends as another begins makes room for it."""
    events = sorted(
        event
        for stream in good
        for event in ((stream.sent_s, 1), (stream.sent_s + stream.latency_s, -1))
    )
    most = now = 0
    for _, step in events:
        now += step
        most = max(most, now)
    return most
