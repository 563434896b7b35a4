"""What is exported to ONNX, and how much memory that takes."""

from dataclasses import dataclass, field
from pathlib import Path

from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import memory_available_bytes
from trt_nemotron.deploy.runtimes.edgellm.depth import (
    comparing_bytes,
    layers_to_execute,
)
from trt_nemotron.deploy.runtimes.edgellm.environment import Environment
from trt_nemotron.facts.release import RuntimeRelease


@dataclass(frozen=True, slots=True)
class Export:
    """What is exported.

    Attributes:
        checkpoint: what was staged.
        staged: the checkpoint as Edge-LLM reads it.
        precision: that the graph must have.
        release: for how much memory the exporter takes.
        environment: that exports and checks.
        memory_bytes: that may be taken to compare numbers; by default what is available now.
        depth: layers to execute, if memory suffices.
    """

    checkpoint: Checkpoint
    staged: Path
    precision: str
    release: RuntimeRelease
    environment: Environment
    memory_bytes: int = field(default_factory=memory_available_bytes)
    depth: int = -1

    def __post_init__(self) -> None:
        if self.depth < 0:
            object.__setattr__(self, "depth", layers_to_execute(self.checkpoint))

    @property
    def comparing_bytes(self) -> int:
        """Memory that Transformers takes for the reference."""
        return comparing_bytes(self.checkpoint.shape, self.depth)

    @property
    def layers(self) -> int:
        """Layers of the graph that are executed and held against Transformers, here; 0 for none.

        A quantized checkpoint is computed by Transformers otherwise than by its kernels, so that a
        difference there would say nothing.
        """
        is_comparable = self.precision == "fp16" and self.comparing_bytes <= self.memory_bytes
        return self.depth if is_comparable else 0


def expected_memory(checkpoint: Checkpoint, release: RuntimeRelease) -> int:
    """Memory that the exporter will take, in bytes, as measured for the release."""
    each = release.figures["export_ram_bytes_per_parameter"].value
    return int(checkpoint.parameters * each + release.figures["export_process_bytes"].value)
