"""Far below what the device allows: no decision, and told."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import Budget
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.values import PhysicalLimit, Verdict
from trt_nemotron.measure.report.contents import ReportContents
from trt_nemotron.measure.report.html import render_report
from trt_nemotron.measure.report.markdown import render_markdown
from trt_nemotron.measure.report.terminal import verdict_view

MakeRun = Callable[..., Measurement]
MakeBudget = Callable[..., Budget]


def limit(metric: str, best: float, share: float = 0.28, concurrency: int = 1) -> PhysicalLimit:
    return PhysicalLimit(
        metric=metric, concurrency=concurrency, best=best, source="s", usual_share=share
    )


@pytest.fixture
def judged(make_measurement: MakeRun, make_budget: MakeBudget) -> Callable[..., Verdict]:
    """A run of 10 ms a token, and its verdict under the limits given."""

    def judge_it(*limits: PhysicalLimit) -> Verdict:
        run = make_measurement(tpot_ms=10.0, spread=0.0)
        return judge(make_budget(tpot_p50_ms=100), run, limits=limits)

    return judge_it


@pytest.mark.parametrize(
    ("metric", "best", "share", "is_told"),
    [
        ("tpot_p50_ms", 2.7, 0.28, True),
        ("tpot_p50_ms", 2.9, 0.28, False),
        ("tpot_p50_ms", 2.7, 0.0, False),
        ("tpot_p50_ms", 10.0, 1.0, False),
        ("tokens_per_s_per_user", 400.0, 0.28, True),
        ("tokens_per_s_per_user", 300.0, 0.28, False),
    ],
)
def test_a_small_share_of_the_roofline_is_remarked_on_and_decides_nothing(
    judged: Callable[..., Verdict], metric: str, best: float, share: float, is_told: bool
):
    verdict = judged(limit(metric, best, share))
    assert verdict.decision == "pass"
    assert len(verdict.remarks) == int(is_told)


def test_a_remark_names_figure_share_and_what_to_look_at(judged: Callable[..., Verdict]):
    (remark,) = judged(limit("tpot_p50_ms", 1.0)).remarks
    for word in ("tpot_p50_ms of 10 ms", "10% of", "28% is usual", "precision", "power mode"):
        assert word in remark


def test_better_than_the_device_is_invalid_and_no_remark(judged: Callable[..., Verdict]):
    verdict = judged(limit("tpot_p50_ms", 90.0))
    assert verdict.decision == "invalid"
    assert verdict.remarks == ()


def test_a_concurrency_that_was_not_measured_is_not_remarked_on(judged: Callable[..., Verdict]):
    assert judged(limit("tpot_p50_ms", 1.0, concurrency=64)).remarks == ()


def test_every_report_shows_it(judged: Callable[..., Verdict]):
    verdict = judged(limit("tpot_p50_ms", 1.0))
    console = Console(width=400, record=True, file=io.StringIO())
    console.print(verdict_view(verdict))
    contents = ReportContents(tool_version="0", verdict=verdict)
    for text in (console.export_text(), render_markdown(verdict), render_report(contents)):
        assert "Look at this" in text
