"""The checkpoint as Edge-LLM can read it: 16-bit or quantized weights, the hub's configuration."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from trt_nemotron.deploy.bundle.placing import place_file, source_folder
from trt_nemotron.deploy.checkpoint.quantization import QUANTIZATION_NAME
from trt_nemotron.deploy.checkpoint.safetensors_header import read_safetensors_header
from trt_nemotron.deploy.checkpoint.safetensors_index import INDEX_NAME
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.runtimes.edgellm.running import run_inside
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.document import write_atomically
from trt_nemotron.errors import CheckpointUnusable
from trt_nemotron.progress import Progress

CONFIG_NAME = "config.json"
NAMING_FILES = frozenset({INDEX_NAME, QUANTIZATION_NAME})
"""Files that name tensors or modules."""

_WEIGHTS = ".safetensors"
_FOREIGN, _HUB = "model.", "backbone."
_NATIVE_KEYS = ("layers_block_type", "layer_types", "mtp_layers_block_type", "dtype")
_NO_LIMIT = 1e9
_TIMEOUT_S = 3600.0


def has_float32(checkpoint: Checkpoint) -> bool:
    """Whether most of its weights are F32, which the exporter cannot read."""
    return checkpoint.quantization == "F32"


def stage_checkpoint(
    checkpoint: Checkpoint, folder: Path, python: Path, progress: Progress
) -> None:
    """Put the checkpoint into `folder` as Edge-LLM reads it; what can be linked is linked.

    Raises:
        CheckpointUnusable: weights that FP16 cannot hold, or a configuration that is no object.
        CommandFailed: the conversion failed.
    """
    progress.phase("copying the checkpoint")
    source = source_folder(checkpoint)
    for file in checkpoint.files:
        path, target = source / file.name, folder / file.name
        if file.name == CONFIG_NAME:
            write_atomically(target, _config(path, checkpoint))
        elif file.name in NAMING_FILES and has_foreign_names(checkpoint):
            write_atomically(target, with_hub_names(path.read_bytes()))
        elif file.name.endswith(_WEIGHTS) and has_float32(checkpoint):
            _store_half(path, target, python, progress)
        elif file.name.endswith(_WEIGHTS) and has_foreign_names(checkpoint):
            store_with_hub_names(path, target)
        else:
            place_file(path, target)


def hub_config(config: dict[str, Any], shape: NemotronHShape, stored: str) -> dict[str, Any]:
    """A configuration in the hub's form: `hybrid_override_pattern` and `num_hidden_layers`.

    Transformers itself saves `layers_block_type` and no count of layers, on which the exporter
    fails with KeyError: 'num_hidden_layers'.
    """
    kept = {name: value for name, value in config.items() if name not in _NATIVE_KEYS}
    limit = kept.get("time_step_limit")
    if isinstance(limit, list) and isinstance(limit[-1], dict):  # {"__float__": "Infinity"}
        kept["time_step_limit"] = [limit[0], _NO_LIMIT]
    return {
        **kept,
        "hybrid_override_pattern": shape.pattern,
        "num_hidden_layers": len(shape.pattern),
        "torch_dtype": stored,
    }


def has_foreign_names(checkpoint: Checkpoint) -> bool:
    """Whether its tensors are called `model.layers...`, as ModelOpt writes a quantized checkpoint.

    The exporter looks for `backbone.layers...` alone. What it does not find it leaves as memory
    happens to be, and ends with exit code 0.
    """
    return any(
        tensor.name.startswith(_FOREIGN)
        for file in checkpoint.files
        if file.name.endswith(_WEIGHTS)
        for tensor in read_safetensors_header(source_folder(checkpoint) / file.name)
    )


def with_hub_names(text: bytes) -> bytes:
    """A JSON document with every key and value that names a part of `model.` naming `backbone.`."""
    tree = _renamed(json.loads(text))
    return msgspec.json.format(msgspec.json.encode(tree), indent=1) + b"\n"


def store_with_hub_names(source: Path, target: Path) -> None:
    """Copy a safetensors file with the hub's names in its header; its data are not touched."""
    with source.open("rb") as read, target.open("xb") as written:
        length = int.from_bytes(read.read(8), "little")
        header = json.dumps(_renamed(json.loads(read.read(length)))).encode()
        header += b" " * (-len(header) % 8)
        written.write(len(header).to_bytes(8, "little") + header)
        shutil.copyfileobj(read, written, 1 << 24)


def _renamed(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {_renamed(name): _renamed(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_renamed(it) for it in tree]
    if isinstance(tree, str) and tree.startswith(_FOREIGN):
        return _HUB + tree.removeprefix(_FOREIGN)
    return tree


def _config(path: Path, checkpoint: Checkpoint) -> bytes:
    config = json.loads(path.read_bytes())
    if not isinstance(config, dict):
        raise CheckpointUnusable(f"{path} is not a JSON object", evidence=type(config).__name__)
    is_hub = "hybrid_override_pattern" in config and "num_hidden_layers" in config
    if is_hub and not has_float32(checkpoint):
        return path.read_bytes()
    said = config.get("torch_dtype", config.get("dtype", "bfloat16"))
    stored = "float16" if has_float32(checkpoint) else str(said)
    tree = _renamed(hub_config(config, checkpoint.shape, stored))
    return msgspec.json.format(msgspec.json.encode(tree), indent=1) + b"\n"


def _store_half(source: Path, target: Path, python: Path, progress: Progress) -> None:
    progress.phase("storing F32 weights as F16")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".half-") as scratch:
        result, part = Path(scratch) / "beyond.json", Path(scratch) / target.name
        run_inside(
            python,
            "store_half:main",
            [str(source), str(part), str(result)],
            log=Path(scratch) / "log",
            progress=progress,
            expected_bytes=2 * source.stat().st_size,
            timeout_s=_TIMEOUT_S,
        )
        beyond = json.loads(result.read_bytes())
        if beyond:
            raise CheckpointUnusable(
                "the checkpoint holds numbers that FP16 cannot",
                evidence=f"beyond 65504: {', '.join(beyond[:3])}",
                next_step="Use the BF16 checkpoint with another runtime.",
            )
        shutil.move(part, target)
        target.chmod(0o644)
