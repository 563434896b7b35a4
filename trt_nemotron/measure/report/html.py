"""One self-contained page: no script, no network, no font from elsewhere; light and dark.

Everything a server said is untrusted text. Jinja escapes it, and a content security policy that
allows nothing but this page's own style sheet, by its hash, would stop what escaping missed.
"""

import base64
import hashlib
from importlib import resources

import jinja2
from markupsafe import Markup

from trt_nemotron.measure.bench.figures.percentiles import CONFIDENCE
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.report.contents import ReportContents
from trt_nemotron.measure.report.latency import (
    environment_facts,
    latency_rows,
    plots,
    timelines,
)
from trt_nemotron.measure.report.memory import memory_section
from trt_nemotron.measure.report.plots.timeline import MOST_ROWS
from trt_nemotron.measure.report.verdict import banner, bound_rows, check_rows, smoke_sentence


def render_report(contents: ReportContents) -> str:
    """The whole page as text; the same contents give the same page."""
    css = _resource("report.css")
    measurement = contents.measurement
    summary = None if measurement is None else summarise(measurement)
    shown = banner(contents)
    return _template().render(
        contents=contents,
        css=Markup(css),  # noqa: S704 - our own file
        policy=_policy(css),
        title=f"{shown.word}: {shown.subject}",
        banner=shown,
        confidence=f"{CONFIDENCE:.0%}",
        bounds=bound_rows(contents.verdict),
        latencies=latency_rows(summary),
        plots=plots(measurement, summary),
        timelines=timelines(measurement),
        most_rows=MOST_ROWS,
        notes=() if summary is None else summary.notes,
        checks=check_rows(contents.smoke),
        smoke_sentence=smoke_sentence(contents.smoke),
        memory=memory_section(contents.plan),
        facts=environment_facts(measurement, contents.plan),
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_resource("report.html.jinja"))


def _resource(name: str) -> str:
    folder = resources.files("trt_nemotron.measure.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _policy(css: str) -> str:
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
