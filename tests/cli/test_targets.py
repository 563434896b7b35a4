import json

import click
import pytest

from trt_nemotron.cli.deploy_options import CheckpointPath, complete_runtime, complete_target
from trt_nemotron.cli.main import cli, run
from trt_nemotron.facts.catalogue import target_names


def test_every_target_is_shown_with_its_default_runtime(capsys: pytest.CaptureFixture[str]):
    assert run(["targets"]) == 0
    out = capsys.readouterr().out
    for name in target_names():
        assert name in out
    assert "llamacpp (supported, default)" in out


def test_json_lists_the_facts(capsys: pytest.CaptureFixture[str]):
    assert run(["targets", "--json"]) == 0
    targets = json.loads(capsys.readouterr().out)
    assert [target["name"] for target in targets] == list(target_names())


def test_shell_completes_targets_runtimes_and_the_embedded_checkpoint():
    context = click.Context(cli)
    parameter = click.Option(["--target"])
    assert "cpu" in complete_target(context, parameter, "cp")
    assert complete_target(context, parameter, "xyz") == []
    assert complete_runtime(context, parameter, "") == []
    context.params["target"] = "cpu"
    assert complete_runtime(context, parameter, "lla") == ["llamacpp"]
    completed = CheckpointPath().shell_complete(context, parameter, "emb")
    assert completed[0].value == "embedded"
