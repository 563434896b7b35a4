import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from trt_nemotron.cli.config import command
from trt_nemotron.errors import InvalidInput


def lint(path: Path, *options: str) -> Result:
    return CliRunner().invoke(
        command, ["lint", str(path), *options], standalone_mode=False, catch_exceptions=False
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "extra.yml"
    path.write_text("kv_cache_config:\n  enable_block_reuse: false\n  dtyp: auto\n")
    return path


def test_refusal_names_file_line_fix_and_verdict(file: Path):
    done = lint(file, "--release", "1.3.0rc6")
    assert done.return_value == 1
    assert f"{file}:3: error[unknown-key] kv_cache_config.dtyp" in done.stderr
    assert "fix: Did you mean kv_cache_config.dtype?" in done.stderr
    assert "1.3.0rc6 is known approximately" in done.stderr
    assert "refused by 1.3.0rc6: 1 errors" in done.stderr
    assert not done.stdout


def test_json_holds_the_findings_and_how_well_the_release_is_known(file: Path):
    done = lint(file, "--release", "1.3.0rc6", "--json")
    tree = json.loads(done.stdout)
    assert (tree["errors"], tree["release"]) == (1, "1.3.0rc6")
    assert tree["exactness"]["value"] == "approximate"
    assert tree["findings"][0]["fix"] == "Did you mean kv_cache_config.dtype?"


def test_card_is_accepted_with_its_command_line(repository: Path):
    done = lint(
        repository / "tests/facts/lint/right/card.yaml", "--release", "1.3.0rc6",
        "--flags", "trtllm-serve MODEL --max_batch_size 32",
    )  # fmt: skip
    assert done.return_value == 0
    assert "accepted by 1.3.0rc6: 0 errors, 1 warnings" in done.stderr


def test_assignment_is_checked_as_the_file_is(file: Path):
    done = lint(file, "--release", "1.3.0rc6", "--set", "moe_config.backend=cutlass")
    assert "moe_config.backend: 'cutlass' is none of" in done.stderr


def test_unknown_release_names_the_nearest(file: Path):
    with pytest.raises(InvalidInput, match=r"no trtllm release called '1\.3\.0rc7'") as caught:
        lint(file, "--release", "1.3.0rc7")
    assert "1.3.0rc6" in caught.value.next_step


def test_missing_file_is_said_plainly(tmp_path: Path):
    with pytest.raises(InvalidInput, match="cannot read"):
        lint(tmp_path / "nowhere.yml", "--release", "1.3.0rc6")
