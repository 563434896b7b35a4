import json
import struct
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from tests.deploy.random_checkpoint import RandomCheckpoint
from trt_nemotron.cli.main import run
from trt_nemotron.cli.plan_table import bar, draw_plan, format_bytes
from trt_nemotron.deploy.plan import Plan


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint, written by the one writer that the tests of `deploy` have."""
    return RandomCheckpoint().write(tmp_path_factory.mktemp("checkpoint") / "small")


def plan_arguments(checkpoint: Path, *more: str) -> list[str]:
    return ["plan", "--target", "cpu", "--checkpoint", str(checkpoint), *more]


def test_json_is_a_plan_that_reads_back(checkpoint: Path, capsys: pytest.CaptureFixture[str]):
    assert run(plan_arguments(checkpoint, "--json", "--slots", "2", "--model-name", "mine")) == 0
    plan = msgspec.json.decode(capsys.readouterr().out, type=Plan)
    assert plan.int_choice("n_parallel") == 2
    assert plan.served_model_name == "mine"


def test_table_shows_ledger_settings_and_how_to_learn_more(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(plan_arguments(checkpoint)) == 0
    out = capsys.readouterr().out
    for text in ("weights", "kv cache", "ssm state", "conv state", "reserve", "needed", "n_ctx"):
        assert text in out
    assert "--explain" in out


def test_explain_gives_reason_and_source_of_every_choice(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(plan_arguments(checkpoint, "--json")) == 0
    plan = msgspec.json.decode(capsys.readouterr().out, type=Plan)
    assert run(plan_arguments(checkpoint, "--explain")) == 0
    out = "".join(capsys.readouterr().out.split())
    for choice in plan.choices:
        assert "".join(choice.reason.split()) in out
        assert "".join(choice.source.split()) in out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["plan"], 2, "--target"),
        (["plan", "--target", "cpx"], 2, "Did you mean 'cpu'?"),
        (["plan", "--target", "cpu", "--checkpoint", "/nothing/here"], 7, "no checkpoint at"),
        (["plan", "--target", "cpu", "--runtime", "trtllm"], 2, "--runtime llamacpp"),
        (["plan", "--target", "cpu", "--slots", "many"], 2, "many"),
        (["plan", "--target", "cpu", "--contxt", "1"], 2, "--context"),
    ],
)
def test_wrong_input_is_answered_with_the_next_step(
    arguments: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
):
    assert run(arguments) == code
    assert text in capsys.readouterr().err


def test_refused_wish_is_one_json_object_with_its_code(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(plan_arguments(checkpoint, "--json", "--context", "5000")) == 8
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["exit_code"] == 8
    assert "--context 4096" in error["next_step"]


def test_gguf_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + struct.pack("<I", 1) + bytes(64))
    assert run(plan_arguments(tmp_path / "x.gguf")) == 7
    assert "GGUF version 1" in capsys.readouterr().err


def test_json_path_imports_nothing_heavy(checkpoint: Path):
    program = (
        "import sys; from trt_nemotron.cli.main import run;"
        f"code = run({plan_arguments(checkpoint, '--json')!r});"
        "heavy = {'numpy', 'gguf', 'rich', 'xllamacpp', 'safetensors', 'requests', 'jinja2',"
        "'jsonschema', 'torch'} & set(sys.modules);"
        "sys.exit(f'{code} {heavy}' if code or heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("width", [40, 80, 200])
def test_table_can_be_drawn_at_any_width(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], width: int
):
    run(plan_arguments(checkpoint, "--json"))
    plan = msgspec.json.decode(capsys.readouterr().out, type=Plan)
    for is_explained in (False, True):
        screen = Console(width=width, record=True, highlight=False)
        draw_plan(plan, is_explained=is_explained, console=screen)
        assert max(map(len, screen.export_text().splitlines())) <= width


def test_bar_shows_a_trace_and_never_more_than_all():
    assert bar(0, 100) == ""
    assert bar(1, 10**9) == "▏"
    assert bar(50, 100) == "█" * 12
    assert bar(100, 100) == bar(500, 100) == "█" * 24
    assert bar(1, 0) == "▏"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (85_026_816, "81.09 MiB"),
        (-(3 << 30), "-3.00 GiB"),
        (1 << 60, "1,048,576.00 TiB"),
    ],
)
def test_bytes_for_people(size: int, text: str):
    assert format_bytes(size) == text
