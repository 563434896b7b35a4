"""Secrets for a container: by a private file, by name."""

import stat
from pathlib import Path

import pytest

from trt_nemotron.deploy.serving.container.secrets import check_secrets, write_secrets
from trt_nemotron.errors import InvalidInput

KEPT = {"HF_TOKEN": "hf_secret", "NGC_API_KEY": "nv=a b", "OTHER": "x"}


def test_the_file_holds_what_was_named_and_is_the_owners_only(tmp_path: Path):
    path = tmp_path / "secrets.env"
    write_secrets(path, ("NGC_API_KEY", "HF_TOKEN"), KEPT)
    assert path.read_text() == "HF_TOKEN=hf_secret\nNGC_API_KEY=nv=a b\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_there_already_is_not_written_into(tmp_path: Path):
    """It could be anybody's link."""
    path = tmp_path / "secrets.env"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_secrets(path, ("OTHER",), KEPT)
    assert not (tmp_path / "elsewhere").exists()


def test_a_secret_that_is_not_set_is_named_and_nothing_written(tmp_path: Path):
    with pytest.raises(InvalidInput, match="MISSING is not set"):
        write_secrets(tmp_path / "f", ("HF_TOKEN", "MISSING"), KEPT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n"])
def test_a_value_with_a_line_break_would_become_two_variables(line_break: str):
    with pytest.raises(InvalidInput, match="line break") as caught:
        check_secrets(("A",), {"A": f"one{line_break}LD_PRELOAD=x"})
    assert "LD_PRELOAD" not in str(caught.value)
