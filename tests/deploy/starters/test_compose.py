"""`compose.yaml`: valid, complete, and saying what `start.sh` says."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.starters.built import Built
from trt_nemotron.deploy.starters.compose import compose_text
from trt_nemotron.deploy.starters.recipe import Recipe


def service_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)["services"]["server"]
    return found


def test_text(recipe: Recipe):
    golden = Path(__file__).with_name("golden") / "compose.yaml"
    assert compose_text(recipe) == golden.read_text()


def test_least_privilege_is_said(built: Built):
    service = service_of((built.folder / "start/compose.yaml").read_text())
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges"]
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["ports"] == ["127.0.0.1:${PORT:-8000}:8000"]
    assert "network_mode" not in service
    assert "privileged" not in service
    bound = next(volume for volume in service["volumes"] if volume["type"] == "bind")
    assert (bound["source"], bound["read_only"]) == ("..", True)
    device = service["deploy"]["resources"]["reservations"]["devices"]
    assert device == [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]


def test_no_word_of_the_engines_arguments_is_lost(recipe: Recipe):
    with pytest.raises(KeyError, match="--new-option"):
        compose_text(replace(recipe, options={"docker": ("--new-option", "x"), "podman": ()}))


def test_a_dollar_is_no_variable(recipe: Recipe):
    service = service_of(compose_text(recipe))
    assert service["environment"]["PRICE"] == "5$$ or `six`"
    assert service["command"][-1] == "it's"


def test_without_a_known_image_one_must_be_named(recipe: Recipe):
    service = service_of(compose_text(replace(recipe, image="")))
    assert service["image"].startswith("${IMAGE:?")


def test_a_pinned_image_is_not_called_a_tag(recipe: Recipe):
    pinned = replace(recipe, image="registry.example/trtllm@sha256:" + "a" * 64)
    assert "by a tag" in compose_text(recipe)
    assert "by a tag" not in compose_text(pinned)


@pytest.mark.slow
@pytest.mark.usefixtures("compose_schema")
def test_the_specifications_own_schema_accepts_it(built: Built, recipe: Recipe, tmp_path: Path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(compose_text(recipe).replace("cap_drop:", "cap_dropp:"))
    checked = [checks(path) for path in (built.folder / "start/compose.yaml", wrong)]
    assert [done.returncode for done in checked] == [0, 1]
    assert "cap_dropp" in checked[1].stdout


def checks(path: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            sys.executable, "-m", "check_jsonschema",
            "--builtin-schema", "vendor.compose-spec", str(path),
        ],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("letter", ["P", "Ä", "."])
def test_the_projects_name_is_one_that_compose_takes(recipe: Recipe, letter: str):
    name = yaml.safe_load(compose_text(replace(recipe, name=f"trt-{letter}x")))["name"]
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")
