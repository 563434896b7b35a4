import io
from collections.abc import Callable

from rich.console import Console, RenderableType

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.values import Verdict
from trt_nemotron.measure.report.terminal import verdict_view

MakeRun = Callable[..., Measurement]


def printed(view: RenderableType, width: int = 100) -> str:
    file = io.StringIO()
    Console(file=file, width=width, no_color=True).print(view)
    return file.getvalue()


def judged(run: Measurement, at_most: float) -> Verdict:
    bounds = (AbsoluteBound(metric="tpot_p50_ms", concurrency=1, at_most=at_most),)
    return judge(Budget(target="cpu", bounds=bounds), run)


def test_the_first_line_is_the_decision(make_measurement: MakeRun):
    assert printed(verdict_view(judged(make_measurement(), 9))).startswith(
        "PASS: the one bound is kept"
    )
    assert printed(verdict_view(judged(make_measurement(), 0.1))).startswith("FAIL: tpot_p50_ms")


def test_bounds_figures_and_notice_are_shown(make_measurement: MakeRun):
    text = printed(verdict_view(judged(make_measurement(), 9), "the notice"))
    for part in ("the notice", "tpot_p50_ms", "≤ 9 ms", "✓"):
        assert part in text


def test_reasons_are_text_and_never_markup():
    verdict = Verdict(
        budget="cpu", decision="invalid", results=(), confidence=0.99,
        invalid_reasons=("[red]a[/red] [/]",),
    )  # fmt: skip
    assert "INVALID: [red]a[/red] [/]" in printed(verdict_view(verdict))


def test_every_reason_is_said_once():
    verdict = Verdict(
        budget="cpu", decision="invalid", results=(), confidence=0.99,
        invalid_reasons=("first", "second"),
    )  # fmt: skip
    text = printed(verdict_view(verdict))
    assert text.count("first") == text.count("second") == 1
