from pathlib import Path

import pytest

from trt_nemotron.ci_files.rendering import WiringFile
from trt_nemotron.ci_files.writing import intend, write
from trt_nemotron.errors import InvalidInput

OURS = WiringFile("a/workflow.yml", "new\n")
THEIRS = WiringFile("ci/budget.yaml", "start\n", is_ours=False)


def test_new_files_are_written(tmp_path: Path):
    intents = intend(tmp_path, [OURS, THEIRS])
    assert [intent.state for intent in intents] == ["new", "new"]
    assert write(tmp_path, intents, force=False) == ("a/workflow.yml", "ci/budget.yaml")
    assert (tmp_path / "a/workflow.yml").read_text() == "new\n"
    assert [intent.state for intent in intend(tmp_path, [OURS, THEIRS])] == ["same", "same"]


def test_one_that_differs_stops_everything_and_shows_the_difference(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/workflow.yml").write_text("old\n")
    intents = intend(tmp_path, [THEIRS, OURS])
    with pytest.raises(InvalidInput, match="would be overwritten") as fault:
        write(tmp_path, intents, force=False)
    assert "-old\n+new" in fault.value.evidence
    assert not (tmp_path / "ci").exists()
    write(tmp_path, intents, force=True)
    assert (tmp_path / "a/workflow.yml").read_text() == "new\n"


def test_what_belongs_to_the_user_is_never_written_over(tmp_path: Path):
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci/budget.yaml").write_text("mine\n")
    (intent,) = intend(tmp_path, [THEIRS])
    assert intent.state == "kept"
    assert write(tmp_path, (intent,), force=True) == ()
    assert (tmp_path / "ci/budget.yaml").read_text() == "mine\n"


def test_a_link_out_of_the_repository_is_not_followed(tmp_path: Path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "a").symlink_to(outside)
    with pytest.raises(InvalidInput, match="leads out of"):
        intend(inside, [OURS])


def test_a_folder_in_the_way_is_said(tmp_path: Path):
    (tmp_path / "a/workflow.yml").mkdir(parents=True)
    with pytest.raises(InvalidInput, match="cannot read"):
        intend(tmp_path, [OURS])


def test_no_folder_is_said(tmp_path: Path):
    with pytest.raises(InvalidInput, match="no folder"):
        intend(tmp_path / "none", [OURS])
