"""The checkpoint that the package carries: the model's architecture, small enough for any machine.

It proves the pipeline; it says nothing of the speed or wit of the real model.
"""

from pathlib import Path

EMBEDDED_NAME = "trt-nemotron-embedded"
"""The name under which it is planned and served, so that no report can be mistaken for the 4B's."""


def embedded_checkpoint_path() -> Path:
    """The folder of the embedded checkpoint, absolute."""
    return Path(__file__).resolve().parents[2] / "embedded"
