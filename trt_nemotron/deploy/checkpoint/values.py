"""A checkpoint as a value: what the files themselves say, never what their name says."""

from typing import Literal

from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.document import Value

CheckpointFormat = Literal["safetensors", "gguf"]


class CheckpointFile(Value, frozen=True, kw_only=True):
    """One file of a checkpoint: its name relative to the checkpoint's folder and its size."""

    name: str
    size_bytes: int


class TensorGroup(Value, frozen=True, kw_only=True):
    """All tensors of one storage type: `F32`, `BF16`, `F16`, `NVFP4`, `Q8_0`, `Q4_K`, ...

    Attributes:
        is_scale: whether they are the scales of quantized weights, which are no parameters.
    """

    storage: str
    tensors: int
    elements: int
    size_bytes: int
    is_scale: bool = False


class Checkpoint(Value, frozen=True, kw_only=True):
    """Weights on disk, read from their headers.

    Attributes:
        name: how the model is called in a plan and by the server: the folder's or file's name, or
            what the checkpoint itself says.
        path: where it is now, absolute. Never part of hashed content.
        revision: a hub revision where one is known, else empty.
        quantization: of linear layers where they are quantized (`F8_E4M3`, `NVFP4`), else the
            storage type of most weight bytes, e.g. `F32`, `BF16`, `Q4_K`.
        groups: every storage type found, largest first.
        files: every file that belongs to it, sorted by name; none when only facts are known.
        kv_cache: the type of KV cache that it brings scales for (`fp8`); empty for none.
        embedding_bytes: of the token embeddings, of which a step reads single rows; 0 where the
            output layer reads the same tensor.
        stated_quantization: what its own configuration says of it; empty when it says nothing.
    """

    name: str
    format: CheckpointFormat
    path: str
    shape: NemotronHShape
    quantization: str
    groups: tuple[TensorGroup, ...]
    files: tuple[CheckpointFile, ...]
    revision: str = ""
    kv_cache: Literal["", "fp8"] = ""
    embedding_bytes: int = 0
    stated_quantization: str = ""

    @property
    def parameters(self) -> int:
        """Elements of all tensors; scales are none."""
        return sum(group.elements for group in self.groups if not group.is_scale)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all tensors as stored; headers and padding are not weights."""
        return sum(group.size_bytes for group in self.groups)
