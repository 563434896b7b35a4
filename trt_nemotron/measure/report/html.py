"""The report of one check or measurement as a page."""

from trt_nemotron.measure.bench.figures.percentiles import CONFIDENCE
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.report.contents import ReportContents
from trt_nemotron.measure.report.environment import environment_facts
from trt_nemotron.measure.report.history_plots import history_plots
from trt_nemotron.measure.report.latency import latency_rows, plots, timelines
from trt_nemotron.measure.report.memory import memory_section
from trt_nemotron.measure.report.page import render_page
from trt_nemotron.measure.report.plots.timeline import MOST_ROWS
from trt_nemotron.measure.report.verdict import banner, bound_rows, check_rows, smoke_sentence


def render_report(contents: ReportContents) -> str:
    """The whole page as text; the same contents give the same page."""
    measurement = contents.measurement
    summary = None if measurement is None else summarise(measurement)
    shown = banner(contents)
    return render_page(
        "report.html.jinja",
        contents=contents,
        title=f"{shown.word}: {shown.subject}",
        banner=shown,
        confidence=f"{CONFIDENCE:.0%}",
        bounds=bound_rows(contents.verdict),
        latencies=latency_rows(summary),
        plots=plots(measurement, summary),
        timelines=timelines(measurement),
        history=history_plots(measurement, contents.history),
        most_rows=MOST_ROWS,
        notes=() if summary is None else summary.notes,
        checks=check_rows(contents.smoke),
        smoke_sentence=smoke_sentence(contents.smoke),
        memory=memory_section(contents.plan),
        facts=environment_facts(measurement, contents.plan),
    )
