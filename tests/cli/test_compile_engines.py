"""`compile` as a user runs it, up to the compiler; `tests/deploy/compile` has the rest."""

import json
from pathlib import Path

import click
import pytest

from trt_nemotron.cli.compile_engines import Capabilities
from trt_nemotron.cli.main import run


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("80", (80,)), ("80,121", (80, 121)), ("sm86, SM_89", (86, 89)), ("8.6,12.1", (86, 121))],
)
def test_capabilities_as_people_write_them(text: str, numbers: tuple[int, ...]):
    assert Capabilities().convert(text, None, None) == numbers


@pytest.mark.parametrize("text", ["", "80,", "spark", "8²"])
def test_what_is_no_capability(text: str):
    with pytest.raises(click.BadParameter, match="is no compute capability"):
        Capabilities().convert(text, None, None)


def test_a_dry_run_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert run(["compile", "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "would compile trt-nemotron-embedded with tensorrt-rtx for SM80" in shown.err
    assert not list(tmp_path.iterdir())


def test_a_dry_run_as_json(capsys: pytest.CaptureFixture[str]):
    assert run(["compile", "--dry-run", "--json", "--sm", "121", "--precision", "fp32"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["plan"]["label"] == "compiled, not executed"
    assert tree["plan"]["sms"] == [121]
    assert tree["plan"]["weight_bytes"] == 4 * 862664


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--sm", "90"], 2, "no engine for SM90"),
        (["--layers", "8"], 2, "has 7 layers"),
        (["--max-seq-len", "100", "--chunk", "200"], 2, "does not fit"),
        (["--checkpoint", "nemotron-3-nano-4b-bf16"], 7, "no weights to compile"),
        (["--checkpoint", "/nowhere"], 7, "no checkpoint"),
        (["--with", "tensorrt"], 3, "there is none here"),
        (["--budget", "/nowhere.yaml"], 2, "cannot read"),
    ],
)
def test_what_is_refused(
    arguments: list[str],
    code: int,
    word: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("PATH", "/nowhere")  # no driver to ask
    assert run(["compile", "--dry-run", *arguments]) == code
    assert word in capsys.readouterr().err


def test_an_engine_that_fails_is_exit_code_1_with_the_compiler_s_words(
    capsys: pytest.CaptureFixture[str],
):
    import msgspec

    from tests.deploy.compile.test_budget import engine, report
    from trt_nemotron.cli.compile_engines import _end
    from trt_nemotron.errors import CheckFailed

    failed = msgspec.structs.replace(
        engine(89), status="failed", problem="it crashed", messages=("error: assertion",)
    )
    with pytest.raises(CheckFailed, match="1 of 2 engines") as caught:
        _end(report(engine(80), failed), ())
    assert caught.value.evidence == "SM89: it crashed\nerror: assertion"
