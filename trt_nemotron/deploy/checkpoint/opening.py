"""Open a checkpoint, whatever its form."""

import os
from pathlib import Path

from trt_nemotron.deploy.checkpoint.hub.reference import is_hub_reference, read_reference
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.errors import CheckpointUnusable


def open_checkpoint(path: Path) -> Checkpoint:
    """Read and verify the checkpoint at `path`: a safetensors folder or a GGUF file.

    `hub:OWNER/NAME@COMMIT` in place of a path is the snapshot of that commit in the hub's cache;
    the hub is not asked.

    Raises:
        CheckpointUnusable: nothing there, or what is there cannot be used.
        InvalidInput: a reference to the hub that is not pinned.
    """
    if is_hub_reference(str(path)):
        from trt_nemotron.deploy.checkpoint.hub.opening import cached_snapshot

        path = cached_snapshot(read_reference(str(path)))
    path = Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111 - links stay; ~nobody too
    if path.is_dir():
        from trt_nemotron.deploy.checkpoint.safetensors_folder import open_safetensors_folder

        return open_safetensors_folder(path)
    if not path.exists():
        raise CheckpointUnusable(
            f"there is no checkpoint at {path}",
            evidence="no such file or folder",
            next_step="Give a folder with config.json and *.safetensors, a .gguf file, "
            "`embedded`, or hub:OWNER/NAME@COMMIT.",
        )
    if path.suffix == ".safetensors":
        raise CheckpointUnusable(
            f"{path} is one file of a checkpoint",
            evidence="a safetensors checkpoint is a folder: weights, config.json, tokenizer",
            next_step=f"Give the folder: {path.parent}",
        )
    from trt_nemotron.deploy.checkpoint.gguf_file import open_gguf_file

    return open_gguf_file(path)
