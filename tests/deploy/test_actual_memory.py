import pytest

from trt_nemotron.deploy.actual_memory import compare_memory, in_words
from trt_nemotron.deploy.plan import Ledger, LedgerLine, LineStatus
from trt_nemotron.deploy.runtimes.protocol import ReportedBuffer


def ledger(status: LineStatus = "exact", **sizes: int) -> Ledger:
    lines = tuple(
        LedgerLine(name=name, size_bytes=size, formula="test", status=status)
        for name, size in sizes.items()
    )
    return Ledger(lines=lines, memory_total_bytes=10**12)


def buffer(size_bytes: int, resolution_bytes: int = 0, name: str = "kv_cache") -> ReportedBuffer:
    return ReportedBuffer(name=name, size_bytes=size_bytes, resolution_bytes=resolution_bytes)


def test_report_that_agrees_has_no_gap():
    (gap,) = compare_memory(ledger(kv_cache=1000), [buffer(1000)])
    assert gap.gap == 0.0
    assert not gap.is_wrong


@pytest.mark.parametrize(("reported", "is_wrong"), [(1015, False), (1030, True), (970, True)])
def test_exact_line_may_differ_by_two_percent(reported: int, is_wrong: bool):
    (gap,) = compare_memory(ledger(kv_cache=1000), [buffer(reported)])
    assert gap.is_wrong is is_wrong
    assert gap.gap == pytest.approx((reported - 1000) / reported)


def test_rounding_of_the_report_is_no_gap():
    (gap,) = compare_memory(ledger(kv_cache=1000), [buffer(1100, resolution_bytes=100)])
    assert gap.gap == 0.0


def test_estimate_is_never_wrong():
    (gap,) = compare_memory(ledger("assumed", compute=1000), [buffer(5000, name="compute")])
    assert gap.gap == pytest.approx(0.8)
    assert not gap.is_wrong


def test_repacked_copy_counts_to_the_weights():
    planned = ledger(weights=1000, repacked_weights=900)
    (gap,) = compare_memory(planned, [buffer(1900, name="weights")])
    assert gap.planned_bytes == 1900
    assert gap.gap == 0.0


def test_cache_beyond_what_the_sequences_need_is_no_contradiction():
    """A limit that is a share of the memory lets the pool take more; how much is an estimate."""
    lines = (*ledger(kv_cache=1000).lines, *ledger("assumed", kv_spare=3000).lines)
    planned = Ledger(lines=lines, memory_total_bytes=10**12)
    (gap,) = compare_memory(planned, [buffer(5000)])
    assert gap.planned_bytes == 4000
    assert not gap.is_wrong


def test_buffer_that_the_ledger_does_not_know_is_left_out():
    assert compare_memory(ledger(weights=1), [buffer(1, name="output")]) == ()


def test_sum_with_an_estimate_in_it_is_an_estimate():
    lines = (*ledger(weights=1000).lines, *ledger("assumed", repacked_weights=900).lines)
    planned = Ledger(lines=lines, memory_total_bytes=10**12)
    (gap,) = compare_memory(planned, [buffer(1900, name="weights")])
    assert not gap.is_exact


def test_words_name_the_exact_lines_and_the_worst_of_them():
    sizes = {"kv_cache": 1000, "ssm_state": 1000}
    exact = compare_memory(ledger(**sizes), [buffer(1000), buffer(1000, name="ssm_state")])
    assert in_words(exact) == "kv cache, ssm state as planned"
    off = compare_memory(ledger(**sizes), [buffer(1000), buffer(1010, name="ssm_state")])
    assert in_words(off) == "kv cache, ssm state within 1.0% of the plan"
    guess = compare_memory(ledger("assumed", compute=1), [buffer(9, name="compute")])
    assert in_words([*exact, *guess]) == "kv cache, ssm state as planned"
    assert in_words(guess) == in_words([]) == ""
