"""Weights on disk: headers, shape, quantization; safetensors folders and GGUF files."""

from trt_nemotron.deploy.checkpoint.embedded import EMBEDDED_NAME, embedded_checkpoint_path
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint

__all__ = ["EMBEDDED_NAME", "embedded_checkpoint_path", "open_checkpoint"]
