"""`trt-nemotron image`: by digest, or why not."""

import json
from pathlib import Path
from typing import Any

import pytest

from trt_nemotron.cli.main import run

PINNED = f"a/b@sha256:{'0' * 64}"


def test_an_image_with_a_digest_needs_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "image.env"
    words = ["image", "--target", "spark", "--image", PINNED, "--write", str(file), "--json"]
    assert run(words) == 0
    assert json.loads(capsys.readouterr().out)["pinned"] == PINNED
    assert file.read_text() == f"IMAGE={PINNED}\n"


def test_the_name_alone_stands_on_standard_output(capsys: pytest.CaptureFixture[str]):
    assert run(["image", "--target", "spark", "--image", PINNED]) == 0
    assert capsys.readouterr().out == f"{PINNED}\n"


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "image.env"
    words = ["image", "--target", "spark", "--image", PINNED, "--write", str(file), "--dry-run"]
    assert run(words) == 0
    assert "would write" in capsys.readouterr().err
    assert not file.exists()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--target", "cpu"), 2, "has no container image"),
        (("--target", "spark", "--runtime", "llamacpp"), 2, "not known for target"),
        (("--target", "nowhere"), 2, "nowhere"),
        (("--target", "spark", "--runtime", "trtllm", "--release", "0.0.1"), 2, "0.0.1"),
        (("--target", "h100-sxm", "--image", "localhost/no-such-image:1"), 3, "cannot be told"),
    ],
)
def test_what_cannot_be_told_says_why(
    words: Any, code: int, told: str, capsys: pytest.CaptureFixture[str]
):
    assert run(["image", *words]) == code
    assert told in capsys.readouterr().err
