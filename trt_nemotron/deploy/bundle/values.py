"""A bundle: a folder that holds everything needed to start a model, and proves that it is whole.

    BUNDLE/
      manifest.json   what is in it and the hash of every other file
      plan.json       the plan it was built from
      observed.json   what the last start showed, once there was one; neither listed nor hashed
      sbom.cdx.json   what it consists of and needs, as CycloneDX has it
      model/          what the runtime loads
      start/          how to start it without this tool, for runtimes that have a container image

Same inputs, same bytes: no time, host or path of the building machine is in any listed file.
`writer` writes one, `reader` reads and verifies it.
"""

from typing import ClassVar

import msgspec

from trt_nemotron.deploy.plan import Plan
from trt_nemotron.document import Document, Value, sha256_of
from trt_nemotron.facts.target import RuntimeName

MANIFEST_NAME = "manifest.json"
PLAN_NAME = "plan.json"
OBSERVED_NAME = "observed.json"
"""What the last start showed (`deploy.observed`): no part of what was built, hence not listed."""
MODEL_FOLDER = "model"
START_FOLDER = "start"


class BundleFile(Value, frozen=True, kw_only=True):
    """One file: path relative to the bundle with forward slashes, size, SHA-256 in hexadecimal."""

    path: str
    size_bytes: int
    sha256: str


class Manifest(Document, frozen=True, kw_only=True):
    """What a bundle holds.

    Attributes:
        configuration_sha256: hash of the plan's canonical JSON; names the configuration.
        model_path: the file or folder, relative to the bundle, that the runtime loads.
        files: every file but the manifest, sorted by path.
        source_sha256: hash over the names and hashes of the checkpoint's own files; a plan alone
            cannot tell two checkpoints of one shape apart.
        image: the container image to run, by digest; empty where none was pinned.
        seal_sha256: hash of this manifest with an empty seal, so that damage to it shows. It is
            the last field, and the bytes of the file are what it seals.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/bundle/1"

    name: str
    tool_version: str
    target: str
    runtime: RuntimeName
    release: str
    served_model_name: str
    configuration_sha256: str
    model_path: str
    files: tuple[BundleFile, ...]
    source_sha256: str = ""
    image: str = ""
    seal_sha256: str = ""


def bundle_name(plan: Plan) -> str:
    """What a bundle of this plan is called: `cpu-llamacpp-f16-<model>`, fit for a folder name."""
    parts = (plan.target, plan.runtime, plan.precision, plan.checkpoint.name)
    return "-".join(parts).replace("/", "-").replace(" ", "-")


def sealed(manifest: Manifest) -> Manifest:
    """The manifest with its seal."""
    unsealed = msgspec.structs.replace(manifest, seal_sha256="")
    return msgspec.structs.replace(manifest, seal_sha256=sha256_of(unsealed))
