import re
from collections.abc import Callable
from html.parser import HTMLParser

import msgspec
import pytest

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.report.contents import EMBEDDED_NOTICE, ReportContents, notice_for
from trt_nemotron.measure.report.html import render_report
from trt_nemotron.measure.smoke.values import SmokeReport

MakeRun = Callable[..., Measurement]
MakeSmoke = Callable[..., SmokeReport]
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Outline(HTMLParser):
    """Tags, attributes and text of a page; fails on a tag that is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(page: str) -> Outline:
    parsed = Outline()
    parsed.feed(page)
    assert parsed.open == []
    return parsed


def test_the_first_words_are_the_decision(whole_report: ReportContents):
    body = render_report(whole_report).split("<body>")[1]
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).split()
    assert words[1] == "PASS"


def test_the_embedded_model_is_labelled(whole_report: ReportContents):
    assert EMBEDDED_NOTICE in outline(render_report(whole_report)).text
    assert whole_report.measurement is not None
    environment = whole_report.measurement.environment
    assert notice_for(environment) == EMBEDDED_NOTICE
    assert notice_for(msgspec.structs.replace(environment, model="nemotron-3-nano-4b")) == ""


def test_every_part_is_there_and_the_page_is_well_formed(whole_report: ReportContents):
    page = outline(render_report(whole_report))
    headings = {attributes.get("id") for tag, attributes in page.tags if tag == "h2"}
    assert headings == {"bounds", "latency", "tokens", "smoke", "plan", "environment"}


def test_the_page_needs_nothing_from_elsewhere(whole_report: ReportContents):
    page = outline(render_report(whole_report))
    assert not [tag for tag, _ in page.tags if tag in {"script", "link", "img", "iframe", "object"}]
    names = {name for _, attributes in page.tags for name in attributes}
    assert not names & {"src", "href", "style", "onclick", "onload"}
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_text_of_a_server_cannot_become_markup(whole_report: ReportContents, make_smoke: MakeSmoke):
    assert whole_report.measurement is not None
    assert whole_report.plan is not None
    run = whole_report.measurement
    environment = msgspec.structs.replace(run.environment, model=HOSTILE, processor=HOSTILE)
    record = msgspec.structs.replace(run.records[0], outcome="timeout", error=HOSTILE)
    hostile = msgspec.structs.replace(
        whole_report,
        measurement=msgspec.structs.replace(
            run, environment=environment, records=(record, *run.records[1:]), notes=(HOSTILE,)
        ),
        smoke=make_smoke("pass", "fail", evidence={HOSTILE: [HOSTILE, None, 3]}),
        plan=msgspec.structs.replace(whole_report.plan, model=HOSTILE, warnings=(HOSTILE,)),
        notice=HOSTILE,
    )
    page = outline(render_report(hostile))
    assert not [tag for tag, _ in page.tags if tag in {"script", "img"}]
    assert page.text.count("<script>alert(1)</script>") >= 6


@pytest.mark.parametrize("missing", ["verdict", "smoke", "plan", "measurement"])
def test_a_part_that_is_missing_is_left_out(whole_report: ReportContents, missing: str):
    outline(render_report(msgspec.structs.replace(whole_report, **{missing: None})))


def test_an_empty_report_says_so():
    assert "Not judged" in outline(render_report(ReportContents(tool_version="1"))).text


def test_a_run_whose_requests_all_failed_can_be_drawn(make_measurement: MakeRun):
    run = make_measurement(requests=3)
    failed = tuple(
        msgspec.structs.replace(r, outcome="http_error", chunks=(), finished_ns=r.sent_ns)
        for r in run.records
    )
    budget = Budget(
        target="cpu", bounds=(AbsoluteBound(metric="ttft_p50_ms", concurrency=1, at_most=9.0),)
    )
    run = msgspec.structs.replace(run, records=failed)
    contents = ReportContents(tool_version="1", measurement=run, verdict=judge(budget, run))
    assert "INVALID" in outline(render_report(contents)).text


def test_an_empty_run_can_be_drawn(make_measurement: MakeRun):
    run = msgspec.structs.replace(make_measurement(), records=())
    outline(render_report(ReportContents(tool_version="1", measurement=run)))


def test_the_same_contents_give_the_same_page(whole_report: ReportContents):
    assert render_report(whole_report) == render_report(whole_report)


def test_a_plot_says_in_words_what_it_shows(whole_report: ReportContents):
    page = outline(render_report(whole_report))
    drawings = [a for tag, a in page.tags if tag == "svg" and a.get("aria-hidden") != "true"]
    assert len(drawings) >= 8
    assert all(a.get("role") == "img" and len(a.get("aria-label") or "") > 15 for a in drawings)


def test_evidence_of_any_length_is_cut(make_smoke: MakeSmoke):
    smoke = make_smoke("fail", evidence={"received": "x" * 90_000})
    page = render_report(ReportContents(tool_version="1", smoke=smoke))
    assert len(page) < 60_000
    assert "more characters" in page


def test_wrong_answers_are_a_failure_even_without_a_verdict(make_smoke: MakeSmoke):
    contents = ReportContents(tool_version="1", smoke=make_smoke("pass", "fail"))
    text = outline(render_report(contents)).text
    assert "FAIL" in text
    assert "1 smoke checks failed: models" in text
