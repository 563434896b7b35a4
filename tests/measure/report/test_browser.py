"""The page in a real browser: nothing asked of the network, nothing sticking out, plots drawn."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trt_nemotron.measure.compare import compare
from trt_nemotron.measure.report.comparison import render_comparison
from trt_nemotron.measure.report.contents import ReportContents
from trt_nemotron.measure.report.html import render_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PLOTS = """JSON.stringify([...document.querySelectorAll('svg.plot, svg.bullet')].map(
  svg => { const box = svg.getBoundingClientRect();
           return [box.width, box.height, svg.querySelectorAll('path,circle,rect').length]; }))"""
STICKING_OUT = """JSON.stringify([...document.querySelectorAll('body *')].filter(
  e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
       && !e.closest('thead')).map(e => e.tagName + '.' + e.getAttribute('class')))"""
TEXT_SIZES = """JSON.stringify([...document.querySelectorAll('svg.plot text')].map(
  t => { const m = t.getScreenCTM(); return parseFloat(getComputedStyle(t).fontSize) * m.a; }))"""
COLOURS = """JSON.stringify(['body', '.lead', '.decision.pass', '.banner h1', 'thead th'].map(
  name => { const e = document.querySelector(name);
            let ground = e;
            while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)')
              ground = ground.parentElement;
            return [name, getComputedStyle(e).color,
                    getComputedStyle(ground).backgroundColor]; }))"""
VIEWS = [(375, False), (375, True), (768, False), (1280, False), (1280, True)]


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.mark.parametrize(("width", "is_dark"), VIEWS)
def test_page_is_whole_at_every_width_in_light_and_dark(
    browser: Any, page_folder: Path, whole_report: ReportContents, width: int, is_dark: bool
):
    path = page_folder / "report.html"
    path.write_text(render_report(whole_report))
    browser.show(path, width=width, is_dark=is_dark)
    assert browser.requests == [path.as_uri()]
    assert browser.complaints == []
    assert browser.evaluate(OVERFLOW) == 0
    assert json.loads(browser.evaluate(STICKING_OUT)) == []
    plots = json.loads(browser.evaluate(PLOTS))
    assert len(plots) >= 8
    assert all(w > 20 and h > 8 and shapes for w, h, shapes in plots)
    assert min(json.loads(browser.evaluate(TEXT_SIZES))) >= 10
    for name, ink, ground in json.loads(browser.evaluate(COLOURS)):
        assert contrast(ink, ground) >= 4.5, name


@pytest.mark.parametrize("width", [375, 768, 1280])
def test_words_without_an_end_do_not_stick_out(
    browser: Any, page_folder: Path, whole_report: ReportContents, width: int
):
    endless = "x" * 300
    assert whole_report.measurement is not None
    assert whole_report.plan is not None
    assert whole_report.smoke is not None
    run, plan, smoke = whole_report.measurement, whole_report.plan, whole_report.smoke
    replace = msgspec.structs.replace
    contents = replace(
        whole_report,
        notice=endless,
        measurement=replace(
            run, notes=(endless,),
            environment=replace(run.environment, model=endless, system=endless),
        ),
        plan=replace(
            plan, model=endless, warnings=(endless,),
            memory=(replace(plan.memory[0], formula=endless), *plan.memory[1:]),
            settings=(replace(plan.settings[0], value=endless, reason=endless),),
        ),
        smoke=replace(
            smoke, results=tuple(replace(r, reason=endless, status="fail") for r in smoke.results)
        ),
    )  # fmt: skip
    path = page_folder / "endless.html"
    path.write_text(render_report(contents))
    browser.show(path, width=width)
    assert browser.evaluate(OVERFLOW) == 0


@pytest.mark.parametrize(("width", "is_dark"), [(375, True), (1280, False)])
def test_a_comparison_and_a_history_are_whole(
    browser: Any, page_folder: Path, make_measurement: Any, width: int, is_dark: bool
):
    runs = [make_measurement(concurrencies=(1, 4, 8), seed=seed) for seed in range(12)]
    names = ["before.json.gz", "a/" + "very-" * 20 + "long-name.json.gz", "x" * 300]
    named = list(zip(names, runs, strict=False))
    contents = ReportContents(tool_version="1", measurement=runs[-1], history=tuple(runs[:-1]))
    for page in (render_comparison(compare(named), named, "1"), render_report(contents)):
        path = page_folder / "compared.html"
        path.write_text(page)
        browser.show(path, width=width, is_dark=is_dark)
        assert browser.complaints == []
        assert browser.evaluate(OVERFLOW) == 0
        assert json.loads(browser.evaluate(STICKING_OUT)) == []
        plots = json.loads(browser.evaluate(PLOTS))
        assert len(plots) >= 12
        assert all(w > 20 and h > 8 and shapes for w, h, shapes in plots)
        assert min(json.loads(browser.evaluate(TEXT_SIZES))) >= 10


def test_light_and_dark_differ(browser: Any, page_folder: Path, whole_report: ReportContents):
    path = page_folder / "schemes.html"
    path.write_text(render_report(whole_report))
    grounds = []
    for is_dark in (False, True):
        browser.show(path, width=800, is_dark=is_dark)
        grounds.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert luminance(grounds[0]) > 0.8
    assert luminance(grounds[1]) < 0.1


def test_the_style_sheet_is_the_one_the_policy_allows(
    browser: Any, page_folder: Path, whole_report: ReportContents
):
    path = page_folder / "tampered.html"
    path.write_text(render_report(whole_report).replace("<style>", "<style>/* tampered */"))
    browser.show(path, width=800)
    assert any("Content Security Policy" in complaint for complaint in browser.complaints)


def test_evidence_opens_at_a_click(browser: Any, page_folder: Path, whole_report: ReportContents):
    path = page_folder / "details.html"
    path.write_text(render_report(whole_report))
    browser.show(path, width=375)
    browser.evaluate("document.querySelectorAll('summary').forEach(line => line.click())")
    height = "document.querySelector('details pre').getBoundingClientRect().height"
    assert browser.evaluate(height) > 20
    assert browser.evaluate(OVERFLOW) == 0


def channels(colour: str) -> list[float]:
    return [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(ink: str, ground: str) -> float:
    lighter, darker = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
