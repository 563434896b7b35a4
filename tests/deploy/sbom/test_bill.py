"""The bill of materials: what is in a bundle, and nothing that is not known."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from trt_nemotron.deploy.bundle.reader import read_bundle, verify_bundle
from trt_nemotron.deploy.bundle.values import BundleFile, Manifest
from trt_nemotron.deploy.bundle.writer import build_bundle
from trt_nemotron.deploy.checkpoint.embedded import EMBEDDED_NAME
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.sbom.bill import bill_of_materials
from trt_nemotron.deploy.sbom.cyclonedx import Bom
from trt_nemotron.document import to_json
from trt_nemotron.errors import BundleDamaged
from trt_nemotron.facts.catalogue import load_model

LAPTOP = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)
DIGEST = "sha256:" + "ab" * 32
IMAGE = f"nvcr.io/nvidia/tensorrt-llm/release@{DIGEST}"


def built(out: Path, checkpoint: Path, target: str, runtime: str) -> Path:
    plan, opened = make_plan(target, runtime, checkpoint, Wishes(), LAPTOP)
    build_bundle(out, plan, opened, get_runtime(plan.runtime))
    return out


@pytest.fixture(scope="module")
def bundles(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle of each of two runtimes; not to be changed by a test."""
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "trtllm": built(folder / "h100", tiny_checkpoint, "h100-sxm", "trtllm"),
        "llamacpp": built(folder / "cpu", tiny_checkpoint, "cpu", "llamacpp"),
    }


@pytest.fixture
def described(bundles: dict[str, Path]) -> tuple[Manifest, Plan]:
    """Manifest and plan of the first."""
    return read_bundle(bundles["trtllm"])


def bill(manifest: Manifest, plan: Plan, image: str = "", **versions: str) -> dict[str, Any]:
    found = bill_of_materials(manifest, plan, image, lambda name: versions.get(name, ""))
    tree: dict[str, Any] = json.loads(to_json(found))
    return tree


def component(tree: dict[str, Any], ref: str) -> dict[str, Any]:
    found: dict[str, Any] = next(it for it in tree["components"] if it["bom-ref"] == ref)
    return found


@pytest.mark.parametrize("runtime", ["trtllm", "llamacpp"])
def test_it_lies_in_the_bundle_and_damage_to_it_is_found(
    bundles: dict[str, Path], runtime: str, tmp_path: Path
):
    own = tmp_path / "own"
    shutil.copytree(bundles[runtime], own)
    path = own / "sbom.cdx.json"
    path.write_text(path.read_text().replace("CycloneDX", "CycloneDY"))
    with pytest.raises(BundleDamaged, match=r"sbom\.cdx\.json"):
        verify_bundle(own)


def test_every_file_that_the_runtime_loads_is_in_it_with_its_hash(bundles: dict[str, Path]):
    for path in bundles.values():
        manifest = verify_bundle(path)
        tree = json.loads((path / "sbom.cdx.json").read_text())
        listed = {
            part["name"]: part["hashes"][0]["content"]
            for part in component(tree, "model")["components"]
        }
        own = {file.path: file.sha256 for file in manifest.files}
        assert listed.items() <= own.items()
        assert ("hashes" in component(tree, "model")) == (len(listed) == 1)
        loaded = [name for name in own if name.startswith(manifest.model_path)]
        assert sorted(listed) == loaded


def test_a_single_file_is_the_model_itself(bundles: dict[str, Path]):
    tree = json.loads((bundles["llamacpp"] / "sbom.cdx.json").read_text())
    model = component(tree, "model")
    assert model["hashes"] == model["components"][0]["hashes"]


def test_what_serves_it_is_named(described: tuple[Manifest, Plan], bundles: dict[str, Path]):
    tree = bill(*described, IMAGE)
    assert component(tree, "runtime")["purl"] == f"pkg:pypi/tensorrt-llm@{described[0].release}"
    image = component(tree, "image")
    assert image["version"] == DIGEST
    assert image["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert image["purl"].startswith(f"pkg:oci/release@{DIGEST}?")
    cpu = json.loads((bundles["llamacpp"] / "sbom.cdx.json").read_text())
    assert {it["bom-ref"] for it in cpu["components"]} == {"model", "runtime"}
    assert component(cpu, "runtime")["name"] == "xllamacpp"


def test_a_tag_is_no_digest(described: tuple[Manifest, Plan]):
    image = component(bill(*described, "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc6"), "image")
    assert image["version"] == "1.3.0rc6"
    assert "hashes" not in image
    assert "not pinned" in image["description"]


def test_an_image_that_was_built_here_is_named_by_its_id(described: tuple[Manifest, Plan]):
    """No registry has it, so no package URL leads to it."""
    image = component(bill(*described, DIGEST), "image")
    assert (image["name"], image["version"]) == (DIGEST, DIGEST)
    assert image["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert not {"purl", "description"} & set(image)


def test_what_comes_with_this_package_is_on_no_hub(described: tuple[Manifest, Plan]):
    manifest, plan = described
    own = replace(plan.checkpoint, name=EMBEDDED_NAME, revision="0" * 40)
    model = component(bill(manifest, replace(plan, checkpoint=own)), "model")
    assert model["licenses"]
    assert not {"purl", "externalReferences"} & set(model)


def test_what_converted_the_weights_is_named_where_something_did(
    bundles: dict[str, Path], described: tuple[Manifest, Plan]
):
    manifest, plan = read_bundle(bundles["llamacpp"])

    def tools(manifest: Manifest, plan: Plan) -> list[str]:
        tree = bill(manifest, plan, gguf="0.19.0")
        return [it["name"] for it in tree["metadata"]["tools"]["components"]]

    assert tools(manifest, plan) == ["trt-nemotron", "gguf"]
    assert tools(manifest, replace(plan, precision="as-is")) == ["trt-nemotron"]
    assert tools(*described) == ["trt-nemotron"]


def test_a_published_checkpoint_has_its_licence_and_origin(described: tuple[Manifest, Plan]):
    manifest, plan = described
    variant = load_model("nemotron-3-nano-4b").variants[0]
    kept = replace(plan.checkpoint, name=variant.name, revision=variant.revision)
    model = component(bill(manifest, replace(plan, checkpoint=kept)), "model")
    assert model["licenses"][0]["license"]["name"] == "NVIDIA Nemotron Open Model License"
    assert model["purl"] == f"pkg:huggingface/{variant.repository}@{variant.revision}"
    assert model["version"] == variant.revision


def test_of_an_unknown_checkpoint_nothing_is_made_up(described: tuple[Manifest, Plan]):
    model = component(bill(*described), "model")
    assert {"purl", "licenses", "version", "externalReferences"}.isdisjoint(model)


def test_the_embedded_one_is_ours_and_on_no_hub(described: tuple[Manifest, Plan]):
    manifest, plan = described
    kept = replace(plan.checkpoint, name="trt-nemotron-embedded")
    model = component(bill(manifest, replace(plan, checkpoint=kept)), "model")
    assert model["licenses"][0]["license"]["id"] == "Apache-2.0"
    assert "purl" not in model


def test_its_number_follows_from_its_content(described: tuple[Manifest, Plan]):
    manifest, plan = described
    number = bill(manifest, plan)["serialNumber"]
    assert number == bill(manifest, plan)["serialNumber"]
    other = replace(manifest, files=(BundleFile(path="model/x", size_bytes=1, sha256="0" * 64),))
    assert number != bill(other, plan)["serialNumber"]


def test_every_reference_leads_to_a_component(described: tuple[Manifest, Plan]):
    tree = bill(*described, IMAGE)
    refs = {"bundle", *(it["bom-ref"] for it in tree["components"])}
    for dependency in tree["dependencies"]:
        assert {dependency["ref"], *dependency.get("dependsOn", ())} <= refs


def documents(described: tuple[Manifest, Plan], bundles: dict[str, Path]) -> Iterator[bytes]:
    yield from ((path / "sbom.cdx.json").read_bytes() for path in bundles.values())
    manifest, plan = described
    yield to_json(bill_of_materials(manifest, plan, IMAGE, lambda _: ""))
    for variant in load_model("nemotron-3-nano-4b").variants:
        kept = replace(plan.checkpoint, name=variant.name, revision=variant.revision)
        changed = replace(plan, checkpoint=kept)
        yield to_json(bill_of_materials(manifest, changed, "a/b:1", lambda _: "1"))


def test_the_official_schema_accepts_it(described: tuple[Manifest, Plan], bundles: dict[str, Path]):
    if not os.environ.get("CI"):
        pytest.importorskip("cyclonedx", reason="pip install cyclonedx-python-lib[json-validation]")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    from packageurl import PackageURL

    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for document in documents(described, bundles):
        assert validator.validate_str(document.decode()) is None
        for part in json.loads(document)["components"]:
            purl = part.get("purl")
            assert purl is None or PackageURL.from_string(purl).to_string() == purl
    wrong = next(documents(described, bundles)).decode().replace('"file"', '"fyle"')
    assert validator.validate_str(wrong) is not None


def test_it_can_be_read_back(bundles: dict[str, Path]):
    for path in bundles.values():
        data = (path / "sbom.cdx.json").read_bytes()
        assert to_json(msgspec.json.decode(data, type=Bom)) == data
