"""The client of this project, asked as everybody can ask it: by its command.

Its command refuses a p99 of fewer than 459 requests. So that it can be compared where the others
print one, its figures are read here from the records that it kept, by the percentiles it uses.
"""

from collections import Counter

from benchmarks.peers.peer import PROMPT_WORDS, Peer, Said, Work, percentile


def command(work: Work, clock: str) -> list[str]:
    """`trt-nemotron bench` with nothing but the work in it."""
    patience = [] if work.patience_s is None else ["--timeout", f"{work.patience_s:g}"]
    return [
        "python", "-m", "trt_nemotron", "bench", "--url", work.url, "--model", "truth",
        "--dialect", "openai", "--concurrency", str(work.streams), "--requests", str(work.requests),
        "--warmup", str(work.warmup), "--input-tokens", str(PROMPT_WORDS),
        "--output-tokens", str(work.tokens), "--clock", clock, "--json",
        "--out", str(work.folder / "measurement.json"), *patience,
    ]  # fmt: skip


def read(work: Work) -> Said:
    """Of the measured requests that may be timed."""
    from trt_nemotron.measure.bench.figures.request_figures import measure_request
    from trt_nemotron.measure.bench.replay import read_measurement

    path = work.folder / "measurement.json"
    path.stat()  # an `OSError` when it kept nothing
    records = read_measurement(path).records
    measured = [record for record in records if not record.is_warmup]
    good = [record for record in measured if record.outcome == "ok"]
    figures = [measure_request(record) for record in good if not record.void]
    return Said(
        ttft_p50=percentile([one.ttft_ms for one in figures], 0.50),
        ttft_p99=percentile([one.ttft_ms for one in figures], 0.99),
        itl_p99=percentile([gap for one in figures for gap in one.gaps_ms], 0.99),
        tpot_p50=percentile([one.tpot_ms for one in figures if one.tpot_ms is not None], 0.50),
        good=len(good),
        failed=len(measured) - len(good),
        names=Counter(record.outcome for record in measured if record.outcome != "ok"),
    )


def _ours(name: str, clock: str, note: str) -> Peer:
    return Peer(name, (), lambda work: command(work, clock), read, note=note)


PEERS = (
    _ours("ours, packets", "packet", "`trt-nemotron bench`; needs CAP_NET_RAW"),
    _ours("ours, stamps", "kernel", "`trt-nemotron bench --clock kernel`; needs no privilege"),
)
