"""The screen of a check, and the progress it draws with."""

import io

import pytest
from rich.console import Console

from trt_nemotron.cli.check_screen import CheckScreen
from trt_nemotron.cli.console import DrawnProgress, drawn_progress
from trt_nemotron.measure.smoke.values import CheckStatus, SmokeReport, SmokeResult
from trt_nemotron.pipeline.order import CheckResult
from trt_nemotron.pipeline.record import CheckRecord, StageOutcome, StageStatus
from trt_nemotron.progress import SILENT


class Screen:
    """A check's screen that is no terminal, and what was printed on it."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        self._file = io.StringIO()
        console = Console(file=self._file, width=100)
        self.check = CheckScreen(console, DrawnProgress(console, None), is_quiet=is_quiet)

    @property
    def text(self) -> str:
        return self._file.getvalue()


def outcome(status: StageStatus, summary: str = "so it went") -> StageOutcome:
    return StageOutcome(name="build", status=status, duration_s=1.25, summary=summary)


def smoke_result(status: CheckStatus) -> SmokeResult:
    return SmokeResult(
        name="usage", status=status, reason="[b]why[/b]", evidence={}, duration_ms=1.0
    )


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ("done", "✓ build    1.2 s  so it went"),
        ("failed", "✗ build    1.2 s  so it went"),
        ("skipped", "– build           so it went"),  # noqa: RUF001
    ],
)
def test_a_stage_that_ends_has_a_line(status: StageStatus, line: str):
    screen = Screen()
    screen.check.stage_ends(outcome(status))
    assert screen.text.rstrip() == line


def test_what_failed_in_smoke_is_told_at_once_and_never_as_markup():
    screen = Screen()
    screen.check.smoke_result(smoke_result("pass"))
    screen.check.smoke_result(smoke_result("skip"))
    assert screen.text == ""
    screen.check.smoke_result(smoke_result("fail"))
    assert screen.text == "  ✗ usage: [b]why[/b]\n"


def test_a_quiet_screen_prints_nothing():
    screen = Screen(is_quiet=True)
    screen.check.stage_ends(outcome("failed"))
    screen.check.smoke_result(smoke_result("fail"))
    assert screen.text == ""


def test_a_server_that_answers_wrongly_ends_in_a_plain_word_and_the_report_s_place():
    screen = Screen()
    record = CheckRecord(
        target="cpu", runtime="llamacpp", model="m", started_at="", decision="fail", exit_code=1,
        stages=(), folder="some [b]folder",
    )  # fmt: skip
    smoke = SmokeReport(url="", model="m", suite="s", started_at="", results=())
    result = CheckResult(record=record, smoke=smoke, measurement=None, verdict=None)
    screen.check.conclude(result)
    assert "FAIL: the server does not answer rightly" in screen.text
    assert screen.text.endswith("Report: some [b]folder/report.html\n")


def test_a_phase_told_twice_is_printed_once():
    screen = Screen()
    for text in ("loading", "loading", "warming up", "loading"):
        screen.check.phase(text)
    assert [line.strip() for line in screen.text.splitlines()] == [
        ": loading", ": warming up", ": loading",
    ]  # fmt: skip


def test_quiet_progress_is_silent():
    with drawn_progress(is_quiet=True) as progress:
        assert progress is SILENT
