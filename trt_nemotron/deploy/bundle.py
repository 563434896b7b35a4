"""A bundle: a folder that holds everything needed to start a model, and proves that it is whole.

    BUNDLE/
      manifest.json   what is in it and the hash of every other file
      plan.json       the plan it was built from
      model/          what the runtime loads

Same inputs, same bytes: no time, host or path of the building machine is in any file.
"""

from typing import ClassVar

from trt_nemotron.document import Document, Value
from trt_nemotron.facts.target import RuntimeName

MANIFEST_NAME = "manifest.json"
PLAN_NAME = "plan.json"
MODEL_FOLDER = "model"


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
