"""A bundle with starters, as the tests hand it around."""

from dataclasses import dataclass
from pathlib import Path

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.plan import Plan


@dataclass(frozen=True)
class Built:
    """A bundle of the runtime `trtllm` for `h100-sxm`."""

    folder: Path
    manifest: Manifest
    plan: Plan
