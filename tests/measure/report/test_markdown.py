from collections.abc import Callable

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.values import Verdict
from trt_nemotron.measure.report.markdown import render_markdown

MakeRun = Callable[..., Measurement]


def judged(run: Measurement, at_most: float) -> Verdict:
    bounds = (
        AbsoluteBound(metric="tpot_p50_ms", concurrency=1, at_most=at_most),
        AbsoluteBound(metric="tokens_per_s", concurrency=4, at_least=10.0),
    )
    return judge(Budget(target="cpu", bounds=bounds), run)


def test_the_first_line_is_the_decision_with_its_reason(make_measurement: MakeRun):
    first = render_markdown(judged(make_measurement(), 0.1)).splitlines()[0]
    assert first.startswith("**FAIL: tpot\\_p50\\_ms at concurrency 1 is 0.4")
    assert "at most 0.1 ms (lower is better)" in first
    assert render_markdown(judged(make_measurement(), 9)).startswith("**PASS: all 2 bounds")


def test_a_row_for_each_bound_of_as_many_cells_as_the_header(make_measurement: MakeRun):
    text = render_markdown(judged(make_measurement(), 9), notice="the notice")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert len({row.count("|") for row in rows}) == 1
    assert "≤ 9 ms" in rows[2]
    assert "≥ 10 tokens/s" in rows[3]
    assert "> the notice" in text


def test_text_of_a_file_can_neither_format_nor_mention(make_measurement: MakeRun):
    verdict = Verdict(
        budget="cpu", decision="invalid", results=(), confidence=0.99,
        invalid_reasons=("@team see #1 [x](y) <b> `c` | d\n# e",),
    )  # fmt: skip
    text = render_markdown(verdict)
    assert r"\@team see \#1 \[x\](y) \<b\> \`c\` \| d \# e" in text
    assert "\n# e" not in text
