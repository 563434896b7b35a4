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
    """All tensors of one storage type: `F32`, `BF16`, `F16`, `Q8_0`, `Q4_K`, ..."""

    storage: str
    tensors: int
    elements: int
    size_bytes: int


class Checkpoint(Value, frozen=True, kw_only=True):
    """Weights on disk, read from their headers.

    Attributes:
        name: how the model is called in a plan and by the server: the folder's or file's name, or
            what the checkpoint itself says.
        path: where it is now, absolute. Never part of hashed content.
        revision: a hub revision where one is known, else empty.
        quantization: the storage type of most weight bytes, e.g. `F32`, `BF16`, `Q4_K`.
        groups: every storage type found, largest first.
        files: every file that belongs to it, sorted by name.
    """

    name: str
    format: CheckpointFormat
    path: str
    shape: NemotronHShape
    quantization: str
    groups: tuple[TensorGroup, ...]
    files: tuple[CheckpointFile, ...]
    revision: str = ""

    @property
    def parameters(self) -> int:
        """Elements of all tensors."""
        return sum(group.elements for group in self.groups)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all tensors as stored; headers and padding are not weights."""
        return sum(group.size_bytes for group in self.groups)
