"""The systemd unit: accepted by systemd, and without a secret or a path of this machine."""

import configparser
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.deploy.starters.built import Built
from trt_nemotron.deploy.starters.recipe import Recipe
from trt_nemotron.deploy.starters.unit import unit_name, unit_text


def unit_of(folder: Path) -> Path:
    return next((folder / "start").glob("*.service"))


def parsed(text: str) -> configparser.RawConfigParser:
    """Strictly: a key that stands twice is an error."""
    parser = configparser.RawConfigParser(strict=True, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


def test_text(recipe: Recipe):
    golden = Path(__file__).with_name("golden") / "unit.service"
    assert unit_text(recipe) == golden.read_text()


def test_a_percent_sign_in_the_title_is_no_specifier(recipe: Recipe):
    """`%h` would be root's home."""
    unit = unit_text(replace(recipe, title="100%h"))
    assert parsed(unit)["Unit"]["Description"] == "100%%h"


def test_systemd_accepts_it(built: Built, tmp_path: Path, need_program: Callable[[str, str], str]):
    analyze = need_program("systemd-analyze", "apt-get install systemd")
    unit = tmp_path / unit_of(built.folder).name
    shutil.copy(unit_of(built.folder), unit)
    wrong = tmp_path / "wrong.service"
    wrong.write_text(unit.read_text().replace("RestartSec=10s", "RestartSec=soon"))
    done = [
        subprocess.run(
            [analyze, "verify", "--man=no", str(path)],
            capture_output=True, text=True, check=False, timeout=60,
        )
        for path in (unit, wrong)
    ]  # fmt: skip
    assert (done[0].returncode, done[0].stdout + done[0].stderr) == (0, "")
    assert "soon" in done[1].stderr


def test_it_starts_the_script_that_its_link_leads_to(built: Built, tmp_path: Path):
    """As its own instructions have it, with /opt moved to where a test may write."""
    unit = unit_of(built.folder)
    service = parsed(unit.read_text())["Service"]
    name = unit.stem
    assert service["ExecStart"] == f"/bin/sh /opt/trt-nemotron/{name}/start/start.sh"
    opt = tmp_path / "opt/trt-nemotron"
    opt.mkdir(parents=True)
    (opt / name).symlink_to(built.folder)
    words = service["ExecStart"].replace("/opt/", f"{tmp_path}/opt/").split()
    empty = tmp_path / "bin"
    empty.mkdir()
    for program in ("dirname",):
        (empty / program).symlink_to(shutil.which(program) or "")
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=30, env={"PATH": str(empty)}
    )
    assert done.returncode == 3
    assert "neither docker nor podman answers here" in done.stderr
    assert service["RestartPreventExitStatus"] == "3"


def test_secrets_come_from_a_file_of_root_and_from_nowhere_else(built: Built):
    service = parsed(unit_of(built.folder).read_text())["Service"]
    assert service["EnvironmentFile"].startswith("-/etc/trt-nemotron/")
    assert service["Environment"] == f"NAME={unit_of(built.folder).stem}"
    assert service["NoNewPrivileges"] == "yes"


def test_its_name_is_one_that_systemd_takes(built: Built, recipe: Recipe):
    name = unit_name(recipe)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\")
    assert unit_of(built.folder).name == f"trt-nemotron-{built.manifest.name}.service"
