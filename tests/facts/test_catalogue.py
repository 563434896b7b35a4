import re
from pathlib import Path

import pytest

from trt_nemotron.deploy.checkpoint import embedded_checkpoint_path, open_checkpoint
from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.catalogue import (
    load_model,
    load_release,
    load_target,
    model_names,
    newest_release,
    release_names,
    target_names,
)
from trt_nemotron.facts.release import RuntimeRelease

CPU_RUNTIMES = ("llamacpp", "transformers")


def releases() -> list[RuntimeRelease]:
    return [load_release(name, it) for name in CPU_RUNTIMES for it in release_names(name)]


def test_every_target_and_model_loads_under_its_own_name():
    for name in target_names():
        assert load_target(name).name == name
    for name in model_names():
        assert load_model(name).name == name
    assert "cpu" in target_names()


def test_every_runtime_of_the_cpu_target_has_a_release():
    assert tuple(it.runtime for it in load_target("cpu").runtimes) == CPU_RUNTIMES
    for release in releases():
        assert release_names(release.runtime)


def test_unknown_target_names_the_nearest_and_all_known():
    with pytest.raises(InvalidInput) as caught:
        load_target("cpux")
    assert "Did you mean 'cpu'?" in caught.value.next_step
    assert "cpu" in caught.value.evidence


@pytest.mark.parametrize("name", ["../models/embedded", "", "/etc/passwd", "CPU"])
def test_name_that_is_a_path_is_just_an_unknown_name(name: str):
    with pytest.raises(InvalidInput, match="there is no target called"):
        load_target(name)


def test_unknown_runtime_and_release_name_what_there_is():
    with pytest.raises(InvalidInput, match="no runtime called 'llamacp'") as caught:
        load_release("llamacp", "1")
    assert "llamacpp" in caught.value.next_step
    with pytest.raises(InvalidInput, match="no llamacpp release called") as caught:
        load_release("llamacpp", "2026.10.11548")
    assert "2026.10.11549" in caught.value.next_step
    assert release_names("nothing") == ()


def test_releases_are_sorted_by_number_and_not_by_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "runtimes" / "trtllm"
    folder.mkdir(parents=True)
    names = ["1.2.1", "1.3.0rc6", "1.3.0rc14", "1.3.0", "1.10.0"]
    for name in names:
        (folder / f"{name}.yaml").touch()
    monkeypatch.setattr("trt_nemotron.facts.catalogue.engine_configs", lambda: tmp_path)
    found = release_names("trtllm")
    assert found.index("1.3.0rc6") < found.index("1.3.0rc14") < found.index("1.10.0")
    assert found[0] == "1.2.1"


def test_settings_failures_and_defects_of_a_release_are_well_formed():
    for release in releases():
        names = [setting.name for setting in release.settings]
        assert len(names) == len(set(names))
        for setting in release.settings:
            assert setting.source, setting.name
            if setting.allowed and setting.default is not None:
                assert setting.default in setting.allowed, setting.name
        assert len({it.id for it in release.defects}) == len(release.defects)
        for failure in release.known_failures:
            re.compile(failure.pattern)
            assert failure.cause.endswith(".")
            assert failure.next_step


def test_facts_name_no_more_than_one_explanation_for_a_line():
    """Patterns of one release do not explain each other's lines."""
    lines = {
        "couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 18999": "port",
        "gguf_init_from_reader: failed to read magic": "not a GGUF",
        "gguf_init_from_reader: failed to read key-value pairs": "header",
        "error loading model: unknown model architecture: 'nemotron_q'": "architecture",
    }
    release = load_release("llamacpp", "2026.10.11549")
    for line, word in lines.items():
        first = next(it for it in release.known_failures if re.search(it.pattern, line))
        assert word in first.cause


def test_models_agree_with_the_shapes_they_describe(repository: Path):
    path = embedded_checkpoint_path()
    checkpoint = open_checkpoint(path)
    facts = load_model("embedded")
    assert facts.parameters.value == checkpoint.parameters
    assert facts.context_tokens.value == checkpoint.shape.longest_context


@pytest.mark.parametrize("runtime", ["llamacpp", "transformers", "trtllm"])
def test_newest_release_is_the_last_of_the_names(runtime: str):
    assert newest_release(runtime).release == release_names(runtime)[-1]


def test_newest_release_of_an_unknown_runtime_is_refused():
    with pytest.raises(InvalidInput):
        newest_release("no-such-runtime")
