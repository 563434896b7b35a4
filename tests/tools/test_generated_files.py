"""What tools write from the data is current, and the data obeys the schemas."""

import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

FACTS = {"targets": "target", "models": "model", "runtimes": "runtime-release"}


@pytest.mark.parametrize(
    "tool",
    [
        "write_schemas.py",
        "write_release_table.py",
        "write_rooflines.py",
        "write_shapes.py",
        "write_configs.py",
    ],
)
def test_what_the_tool_writes_is_current(repository: Path, tool: str):
    done = subprocess.run(
        [sys.executable, repository / "tools" / tool, "--check"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}run: python tools/{tool}"


@pytest.mark.parametrize("folder", FACTS)
def test_every_file_obeys_its_schema(repository: Path, folder: str):
    schema = yaml.safe_load(
        (repository / f"engine_configs/schemas/{FACTS[folder]}.json").read_text()
    )
    validator = jsonschema.Draft202012Validator(schema)
    paths = list((repository / "engine_configs" / folder).rglob("*.yaml"))
    assert paths
    for path in paths:
        text = re.sub(r"(?m)^(\s*date: )([\d-]+)$", r"\1'\2'", path.read_text())
        assert not list(validator.iter_errors(yaml.safe_load(text))), path


def test_schema_named_on_a_first_line_is_the_right_one(repository: Path):
    named = 0
    for folder, kind in FACTS.items():
        for path in (repository / "engine_configs" / folder).rglob("*.yaml"):
            match = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text())
            if match:
                named += 1
                target = (path.parent / match.group(1)).resolve()
                assert target == repository / f"engine_configs/schemas/{kind}.json", path
            assert match or "trtllm" not in path.parts, path
    assert named


def test_schema_explains_what_the_types_explain(repository: Path):
    text = (repository / "engine_configs/schemas/runtime-release.json").read_text()
    setting = yaml.safe_load(text)["$defs"]["Setting"]["properties"]
    assert setting["is_open"]["description"].startswith("an `object` whose inner keys")
    assert setting["minimum"]["description"] == setting["maximum"]["description"]
