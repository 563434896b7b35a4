"""A checkpoint as a value: what the files themselves say, never what their name says."""

from typing import Literal

from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.document import Value

CheckpointFormat = Literal["safetensors", "gguf"]


class CheckpointFile(Value, frozen=True, kw_only=True):
    """One file of a checkpoint.

    Attributes:
        name: relative to the checkpoint's folder.
        sha256: what its publisher says of its content; empty when nobody said. A file that differs
            is refused before anything is built from it.
    """

    name: str
    size_bytes: int
    sha256: str = ""


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
        routed_bytes: of all routed experts, of which a token visits a few; 0 without experts.
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
    routed_bytes: int = 0
    stated_quantization: str = ""

    @property
    def parameters(self) -> int:
        """Elements of all tensors; scales are none, the bias of a router counts with them."""
        return sum(group.elements for group in self.groups if not group.is_scale)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all tensors as stored; headers and padding are not weights."""
        return sum(group.size_bytes for group in self.groups)

    @property
    def least_read_bytes(self) -> int:
        """Weights that no decode step can do without, whatever its batch.

        All but the token embeddings and, of the routed experts, those that one token leaves out:
        that all tokens of a batch visit the same ones is unlikely, and cannot be excluded.
        """
        experts = self.shape.experts
        idle = 0
        if experts is not None:
            share = experts.routed - experts.per_token
            idle = -(-self.routed_bytes * share // experts.routed)
        return self.weight_bytes - self.embedding_bytes - idle
