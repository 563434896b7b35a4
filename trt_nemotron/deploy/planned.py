"""What a plan keeps of its checkpoint, and says of the embedded one."""

from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.plan import PlannedCheckpoint

EMBEDDED_WARNING = (
    "This is the embedded checkpoint: it proves the pipeline; its speed and its answers say "
    "nothing of the 4B model."
)


def planned_checkpoint(checkpoint: Checkpoint) -> PlannedCheckpoint:
    """Enough to know the checkpoint again, without its place on this machine."""
    return PlannedCheckpoint(
        name=checkpoint.name,
        format=checkpoint.format,
        quantization=checkpoint.quantization,
        parameters=checkpoint.parameters,
        weight_bytes=checkpoint.weight_bytes,
        shape=checkpoint.shape,
        revision=checkpoint.revision,
    )
