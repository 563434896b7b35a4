import re

import msgspec
import pytest

from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.values import BoundResult, Verdict
from trt_nemotron.measure.report.openmetrics import render_openmetrics

SAMPLE = re.compile(
    r'(?P<name>[a-z_]+)\{(?P<labels>(?:[a-z_]+="(?:[^"\\\n]|\\["n\\])*",?)+)\} (?P<value>\S+)'
)


@pytest.fixture
def verdict(make_measurement) -> Verdict:
    from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget

    bounds = (
        AbsoluteBound(metric="tpot_p50_ms", concurrency=1, at_most=0.1),
        AbsoluteBound(metric="ttft_p50_ms", concurrency=4, at_most=100.0),
        AbsoluteBound(metric="ttft_p99_ms", concurrency=4, at_most=100.0),
    )
    return judge(Budget(target="cpu", bounds=bounds), make_measurement())


def samples(text: str) -> list[tuple[str, dict[str, str], float]]:
    found = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        labels = dict(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match["labels"]))
        found.append((match["name"], labels, float(match["value"])))
    return found


def test_it_ends_as_the_format_asks_and_types_come_first(verdict: Verdict):
    lines = render_openmetrics(verdict).split("\n")
    assert lines[-2:] == ["# EOF", ""]
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    order = [name for name, _, _ in samples(render_openmetrics(verdict))]
    assert list(dict.fromkeys(order)) == [name for name in families if name in order]


def test_exactly_the_decision_is_set(verdict: Verdict):
    states = {
        labels["trt_nemotron_gate_verdict"]: value
        for name, labels, value in samples(render_openmetrics(verdict))
        if name == "trt_nemotron_gate_verdict"
    }
    assert states == {
        "pass": 0, "fail": 1, "no_baseline": 0, "invalid": 0, "inconclusive": 0,
    }  # fmt: skip


def test_figures_come_with_their_unit_and_missing_ones_are_left_out(verdict: Verdict):
    figures = {
        labels["metric"]: (labels["unit"], value)
        for name, labels, value in samples(render_openmetrics(verdict))
        if name == "trt_nemotron_gate_figure"
    }
    assert figures["tpot_p50_ms"] == ("ms", pytest.approx(0.5, rel=0.1))
    assert set(figures) == {"tpot_p50_ms", "ttft_p50_ms"}


def test_text_cannot_break_out_of_a_label(verdict: Verdict):
    evil = msgspec.structs.replace(verdict, budget='a"} 1\nfake 2\\')
    assert len(samples(render_openmetrics(evil))) == len(samples(render_openmetrics(verdict)))
    result = BoundResult(
        metric='x"y', direction="lower_is_better", concurrency=1, decision="pass", figure=1.0,
        bound=2.0, reason="",
    )  # fmt: skip
    assert samples(render_openmetrics(msgspec.structs.replace(verdict, results=(result,))))
