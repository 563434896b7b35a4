"""Recipes: which runtimes have one, and what stands in it."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.deploy.starters.built import Built
from trt_nemotron.deploy.bundle.reader import read_bundle
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.starters.files import starter_files
from trt_nemotron.deploy.starters.recipe import recipe_of

DIGEST = "nvcr.io/nvidia/tensorrt-llm/release@sha256:" + "0" * 64


def test_a_runtime_without_an_image_has_none(built: Built):
    for name in ("llamacpp", "transformers"):
        assert recipe_of(get_runtime(name), built.plan, replace(built.manifest, image="")) is None
        assert starter_files(get_runtime(name), built.plan, built.manifest) == {}


def test_the_bundles_own_image_comes_before_the_releases(built: Built):
    runtime = get_runtime("trtllm")
    by_tag = recipe_of(runtime, built.plan, built.manifest)
    by_digest = recipe_of(runtime, built.plan, replace(built.manifest, image=DIGEST))
    assert by_tag is not None
    assert by_digest is not None
    assert (by_tag.image, by_tag.is_pinned) == (runtime.image(built.plan), False)
    assert (by_digest.image, by_digest.is_pinned) == (DIGEST, True)


def test_every_starter_names_the_pinned_image_and_no_tag(built: Built):
    manifest = replace(built.manifest, image=DIGEST)
    texts = starter_files(get_runtime("trtllm"), built.plan, manifest)
    naming = {name for name, text in texts.items() if DIGEST in text}
    assert naming == {"start/start.sh", "start/compose.yaml"}
    assert not [name for name, text in texts.items() if "other content tomorrow" in text]


@pytest.mark.parametrize("name", ["a b/c", "ä", "x'y"])
def test_a_name_is_fit_for_engines_and_systemd(built: Built, name: str):
    recipe = recipe_of(get_runtime("trtllm"), built.plan, replace(built.manifest, name=name))
    assert recipe is not None
    assert recipe.name.isascii()
    assert not set(recipe.name) & set(" /'")


def test_the_files_are_the_bundles_own_and_no_path_of_this_machine_is_in_them(
    original: Path,
):
    manifest, plan = read_bundle(original)
    texts = starter_files(get_runtime("trtllm"), plan, manifest)
    for name, text in texts.items():
        assert (original / name).read_text() == text
        assert "@" not in text.replace('"$@"', "")
        assert str(original) not in text
        assert str(Path.home()) not in text
    assert {file.path for file in manifest.files} > texts.keys()
