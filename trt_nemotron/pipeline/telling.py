"""Telling: a conclusion in the words of a CI system."""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from trt_nemotron.measure.report.annotations import render_annotations
from trt_nemotron.measure.report.junit import render_junit
from trt_nemotron.measure.report.markdown import render_markdown
from trt_nemotron.pipeline.conclusion import Concluded


def as_markdown(concluded: Concluded, notice: str = "") -> str:
    """For a summary or a comment; without a verdict the one line, as text and nothing else."""
    if concluded.verdict is not None:
        return render_markdown(concluded.verdict, notice)
    return f"**No verdict**\n\n    {_one_line(concluded.conclusion.headline)}\n"


def as_junit(concluded: Concluded) -> bytes:
    """The verdict; without one a single case that fails, so that no reader finds an empty file."""
    if concluded.verdict is not None:
        return render_junit(concluded.verdict)
    conclusion = concluded.conclusion
    is_failure = conclusion.decision == "fail"
    counts = {"tests": "1", "failures": str(int(is_failure)), "errors": str(int(not is_failure))}
    root = Element("testsuites", {"name": "trt-nemotron gate", **counts})
    suite = SubElement(root, "testsuite", {"name": "check", **counts})
    case = SubElement(suite, "testcase", {"name": "the check", "classname": "trt-nemotron.gate"})
    line = "".join(sign if sign.isprintable() else " " for sign in conclusion.headline)
    tag = "failure" if is_failure else "error"
    SubElement(case, tag, {"message": line, "type": conclusion.decision}).text = line
    indent(root)
    text = tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def as_annotations(concluded: Concluded, budget_file: str) -> str:
    """Workflow commands of GitHub; without a verdict an error."""
    if concluded.verdict is not None:
        return render_annotations(concluded.verdict, budget_file)
    line = _one_line(concluded.conclusion.headline).replace("%", "%25")
    return f"::error title=trt-nemotron gate::{line}\n"


def as_outputs(concluded: Concluded) -> str:
    """Lines for GITHUB_OUTPUT; both values are of a closed set."""
    conclusion = concluded.conclusion
    return f"decision={conclusion.decision}\nexit-code={conclusion.exit_code}\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())
