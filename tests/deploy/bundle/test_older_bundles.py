"""Bundles of earlier versions: less is in them, and they are as good as they were."""

import hashlib
import json
from pathlib import Path

import pytest

from trt_nemotron.deploy.archive.packing import pack_bundle
from trt_nemotron.deploy.archive.unpacking import unpack_bundle
from trt_nemotron.deploy.bundle.reader import verify_bundle
from trt_nemotron.deploy.bundle.writer import build_bundle
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.errors import BundleDamaged

LAPTOP = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)


@pytest.fixture
def old(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A bundle as version 0.1 wrote it: no bill of materials, and fewer fields in the manifest."""
    out = tmp_path / "old"
    plan, checkpoint = make_plan("cpu", "llamacpp", tiny_checkpoint, Wishes(), LAPTOP)
    build_bundle(out, plan, checkpoint, get_runtime("llamacpp"))
    (out / "sbom.cdx.json").unlink()
    tree = json.loads((out / "manifest.json").read_text())
    del tree["image"]
    tree["files"] = [file for file in tree["files"] if file["path"] != "sbom.cdx.json"]
    tree["seal_sha256"] = ""
    tree["seal_sha256"] = hashlib.sha256(written(tree)).hexdigest()
    (out / "manifest.json").write_bytes(written(tree))
    return out


def written(tree: dict[str, object]) -> bytes:
    return json.dumps(tree, indent=2).encode() + b"\n"


def test_it_verifies_and_says_of_what_it_does_not_know_nothing(old: Path):
    assert verify_bundle(old).image == ""


def test_it_is_packed_and_unpacked_as_it_is(old: Path, tmp_path: Path):
    before = (old / "manifest.json").read_bytes()
    pack_bundle(old, tmp_path / "old.tar")
    with (tmp_path / "old.tar").open("rb") as file:
        unpack_bundle(file, tmp_path / "new")
    assert (tmp_path / "new" / "manifest.json").read_bytes() == before
    verify_bundle(tmp_path / "new")


def test_it_is_damaged_as_easily(old: Path):
    text = (old / "manifest.json").read_text()
    (old / "manifest.json").write_text(text.replace('"target": "cpu"', '"target": "cpo"'))
    with pytest.raises(BundleDamaged, match="seal"):
        verify_bundle(old)
