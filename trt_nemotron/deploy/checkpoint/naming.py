"""How a checkpoint is called, from where it lies."""

import re
from pathlib import Path

from trt_nemotron.deploy.checkpoint.embedded import EMBEDDED_NAME, embedded_checkpoint_path

_HUB_CACHE = re.compile(r"^models--(?:[^/]+--)?(?P<name>[^/]+)$")
_REVISION = re.compile(r"^[0-9a-f]{40}$")


def hub_name_and_revision(folder: Path) -> tuple[str, str]:
    """Name of the model in `folder` and its revision, empty when the path does not tell.

    The hub's cache keeps a model in `models--OWNER--NAME/snapshots/REVISION/`.
    """
    if folder.resolve() == embedded_checkpoint_path():
        return EMBEDDED_NAME, ""
    parts = folder.parts
    if len(parts) >= 3 and parts[-2] == "snapshots" and _REVISION.match(parts[-1]):
        match = _HUB_CACHE.match(parts[-3])
        if match:
            return match["name"], parts[-1]
    return folder.name, ""
