"""Small bundles to pack."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from trt_nemotron.deploy.bundle.values import BundleFile, Manifest, sealed
from trt_nemotron.deploy.bundle.writer import build_bundle
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.document import to_json

LAPTOP = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)


@pytest.fixture(scope="session")
def bundle(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of many files, with programs among them; not to be changed by a test."""
    out = tmp_path_factory.mktemp("packed") / "on-this-disk"
    plan, checkpoint = make_plan("h100-sxm", "trtllm", tiny_checkpoint, Wishes(), LAPTOP)
    build_bundle(out, plan, checkpoint, get_runtime("trtllm"))
    return out


@pytest.fixture(scope="session")
def make_manifest() -> Callable[..., bytes]:
    """`make_manifest({path: content}, name=..., ...)`: a sealed manifest, whatever it says."""

    def make(files: Mapping[str, bytes], /, **fields: object) -> bytes:
        listed = tuple(
            BundleFile(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in files.items()
        )
        said: dict[str, object] = {
            "name": "evil",
            "tool_version": "1",
            "target": "cpu",
            "runtime": "llamacpp",
            "release": "1",
            "served_model_name": "m",
            "configuration_sha256": "0" * 64,
            "model_path": "model",
            "files": listed,
        }
        return to_json(sealed(Manifest(**{**said, **fields})))  # type: ignore[arg-type]

    return make
