"""Paths that users hand over: empty ones, inputs that are outputs too, places without room."""

import json
from pathlib import Path

import click
import pytest

from tests.cli.conftest import measured
from trt_nemotron.cli.main import COMMANDS, cli, run
from trt_nemotron.cli.paths import check_writable, keep_inputs
from trt_nemotron.document import write_document
from trt_nemotron.errors import InvalidInput

BUDGET = """schema: trt-nemotron/budget/1
target: cpu
bounds:
  - {metric: tpot_p50_ms, concurrency: 1, at_most: 5}
"""


def path_options() -> list[tuple[str, str, click.Parameter]]:
    found = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        parts = command.commands if isinstance(command, click.Group) else {"": command}
        found += [
            (name, part, parameter)
            for part, one in parts.items()
            for parameter in one.params
            if isinstance(parameter.type, click.Path)
        ]
    return found


@pytest.mark.parametrize(("name", "part", "parameter"), path_options())
@pytest.mark.parametrize("value", ["", "-"])
def test_no_command_takes_a_path_that_names_nothing(
    name: str, part: str, parameter: click.Parameter, value: str
):
    values = (value,) * parameter.nargs if parameter.nargs > 1 else value
    with pytest.raises(click.BadParameter, match=r"empty|names no file"):
        parameter.type_cast_value(click.Context(cli), (value,) if parameter.nargs < 0 else values)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_document(tmp_path / "run.json", measured())
    write_document(tmp_path / "old.json", measured("2026-11-22T12:00:00Z"))
    (tmp_path / "b.yaml").write_text(BUDGET)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "read"),
    [
        (["export", "run.json", "--format", "csv", "--out", "run.json"], "run.json"),
        (["compare", "run.json", "old.json", "--html", "old.json"], "old.json"),
        (["report", "run.json", "--out", "run.json"], "run.json"),
        (["gate", "run.json", "--budget", "b.yaml", "--junit", "run.json"], "run.json"),
        (["gate", "run.json", "--budget", "b.yaml", "--openmetrics", "b.yaml"], "b.yaml"),
        (
            ["gate", "run.json", "--budget", "b.yaml", "--baseline", "old.json",
             "--markdown", "old.json"],
            "old.json",
        ),
    ],
)  # fmt: skip
def test_what_is_read_is_never_written_over(
    command: list[str],
    read: str,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(files)
    before = Path(read).read_bytes()
    assert run([*command, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert "would write over a file that is read" in error["message"]
    assert error["next_step"]
    assert Path(read).read_bytes() == before


def test_a_page_named_like_its_measurement_is_not_drawn_over_it(
    files: Path, capsys: pytest.CaptureFixture[str]
):
    run_file = files / "run.html"
    write_document(run_file, measured())
    before = run_file.read_bytes()
    assert run(["report", str(run_file)]) == 2
    assert run_file.read_bytes() == before
    assert "--out would write over" in capsys.readouterr().err


def test_two_outputs_of_one_name_are_refused(files: Path, capsys: pytest.CaptureFixture[str]):
    one = str(files / "v.xml")
    command = ["gate", str(files / "run.json"), "--budget", str(files / "b.yaml")]
    assert run([*command, "--junit", one, "--markdown", one]) == 2
    assert "--junit and --markdown name the same file" in capsys.readouterr().err
    assert not Path(one).exists()


def test_outputs_beside_inputs_are_fine(tmp_path: Path):
    (tmp_path / "in").write_text("x")
    keep_inputs({"--out": tmp_path / "out", "--html": None}, [tmp_path / "in", None])
    keep_inputs({"--out": Path("/dev/null"), "--junit": Path("/dev/null")}, [])
    with pytest.raises(InvalidInput, match="same file"):
        keep_inputs({"--out": tmp_path / "a", "--junit": tmp_path / "x" / ".." / "a"}, [])


def test_a_place_that_takes_no_file_is_named_before_anything_is_done(tmp_path: Path):
    check_writable(tmp_path / "new" / "m.json.gz")
    assert list((tmp_path / "new").iterdir()) == []
    check_writable(Path("/dev/null"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        check_writable(tmp_path / "file" / "m.json")
    with pytest.raises(OSError, match="no-such-place"):
        check_writable(Path("/proc/no-such-place"))
