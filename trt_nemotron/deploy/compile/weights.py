"""Where a graph's numbers come from: a checkpoint, or chance."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from trt_nemotron.deploy.bundle.hashing import HashMeter, sha256_of_set
from trt_nemotron.deploy.bundle.placing import source_folder
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.compile.spec import WeightSlot
from trt_nemotron.errors import CheckpointUnusable
from trt_nemotron.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from trt_nemotron.deploy.runtimes.llamacpp.tensor_source import TensorSource

_BLOCK_ELEMENTS = 4 * 1024 * 1024
_PREFIXES = ("backbone.", "model.", "")
_SPREAD = 0.02
"""Standard deviation of random matrices, as the model's own configuration has it."""


class WeightSource(Protocol):
    """Numbers of a network, tensor by tensor."""

    @property
    def identity(self) -> str:
        """Two sources of the same identity give the same numbers."""
        ...

    def blocks(self, slot: WeightSlot) -> "Iterator[npt.NDArray[np.float32]]":
        """The numbers of the slot's source as the checkpoint orders them, in whole rows."""
        ...


class CheckpointWeights:
    """Numbers of a safetensors checkpoint, read where they lie.

    Args:
        tensors: of its files.
        identity: hash of its files.
    """

    def __init__(self, tensors: "TensorSource", identity: str) -> None:
        self._tensors = tensors
        self._names = tensors.names()
        self.identity = identity

    def blocks(self, slot: WeightSlot) -> "Iterator[npt.NDArray[np.float32]]":
        """As `WeightSource` says; a tensor's shape was checked when the checkpoint was opened."""
        name = next(p + slot.source for p in _PREFIXES if p + slot.source in self._names)
        tensor = self._tensors.tensor(name)
        return tensor.blocks(_row_elements(tensor.shape))


class RandomWeights:
    """Numbers of no meaning, the same for the same seed: enough to compile, and for nothing else.

    Args:
        seed: of the generator; every tensor has a stream of its own.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self.identity = f"random numbers, seed {seed}"

    def blocks(self, slot: WeightSlot) -> "Iterator[npt.NDArray[np.float32]]":
        """As `WeightSource` says. Vectors are ones, the decay that of heads 1, 2, 3, ..."""
        import numpy as np

        shape = slot.dimensions[::-1] if slot.is_transposed else slot.dimensions
        total, row = math.prod(shape), _row_elements(shape)
        if slot.is_decay:
            yield np.log(np.arange(1, total + 1, dtype=np.float32))
            return
        if len(shape) == 1:
            yield np.ones(total, dtype=np.float32)
            return
        random = np.random.default_rng([self._seed, *slot.source.encode()])
        step = max(_BLOCK_ELEMENTS // row, 1) * row
        for start in range(0, total, step):
            count = min(step, total - start)
            yield random.standard_normal(count, dtype=np.float32) * np.float32(_SPREAD)


@contextmanager
def open_weights(checkpoint: Checkpoint, progress: Progress) -> "Iterator[CheckpointWeights]":
    """The weights of a safetensors checkpoint, hashed and mapped.

    Raises:
        CheckpointUnusable: another format, or quantized weights.
        EnvironmentUnfit: NumPy is missing.
    """
    if checkpoint.format != "safetensors":
        raise CheckpointUnusable(
            "a graph is built from safetensors only",
            evidence=f"{checkpoint.path} is a {checkpoint.format} file",
            next_step="Give the folder of the BF16 checkpoint of the same model.",
        )
    from trt_nemotron.deploy.runtimes.llamacpp.tensor_source import TensorSource

    folder = source_folder(checkpoint)
    files = [file.name for file in checkpoint.files if file.name.endswith(".safetensors")]
    identity = _hash_files(folder, files, progress)
    with TensorSource([folder / name for name in files]) as tensors:
        yield CheckpointWeights(tensors, identity)


def _hash_files(folder: Path, names: list[str], progress: Progress) -> str:
    progress.phase("hashing the checkpoint")
    meter = HashMeter(progress, sum((folder / name).stat().st_size for name in names))
    return sha256_of_set((name, meter.sha256(folder / name)) for name in names)


def _row_elements(shape: tuple[int, ...]) -> int:
    return math.prod(shape[1:])
