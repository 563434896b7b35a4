"""The folder of a check: one check at a time, and a server's name of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from trt_nemotron.deploy.serving.registry import valid_name
from trt_nemotron.errors import EnvironmentUnfit
from trt_nemotron.pipeline.folder import RESULTS, clear_results, endpoint_name, sole_user_of

HOLD = """
import sys, time
from pathlib import Path
from trt_nemotron.pipeline.folder import sole_user_of
with sole_user_of(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_folder_is_made(tmp_path: Path):
    with sole_user_of(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()


def test_two_checks_into_one_folder_are_refused_and_killing_one_frees_it(tmp_path: Path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(EnvironmentUnfit, match="another check") as caught,
            sole_user_of(tmp_path),
        ):
            pass
        assert "--out" in caught.value.next_step
    finally:
        holder.kill()
        holder.communicate()
    with sole_user_of(tmp_path):
        pass


def test_the_folder_is_free_again_after_an_error(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), sole_user_of(tmp_path):
        raise KeyboardInterrupt
    with sole_user_of(tmp_path):
        pass


def test_each_folder_has_a_server_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    name = endpoint_name("cpu", tmp_path / "a")
    assert name != endpoint_name("cpu", tmp_path / "b")
    assert re.fullmatch("check-cpu-[0-9a-f]{6}", name)
    assert valid_name(name) == name
    monkeypatch.chdir(tmp_path)
    assert endpoint_name("cpu", Path("a")) == name, "the same folder, named in another way"


def test_results_of_an_earlier_check_go_and_nothing_else_does(tmp_path: Path):
    for name in RESULTS[1:]:
        (tmp_path / name).write_text("old")
    (tmp_path / "notes.txt").write_text("the user's")
    (tmp_path / "bundle").mkdir()
    clear_results(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "bundle"}
