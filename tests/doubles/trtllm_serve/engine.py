"""What really answers: the checkpoint, converted, in llama.cpp's server on a port of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.runtimes.llamacpp.convert import convert
from trt_nemotron.deploy.runtimes.llamacpp.launcher import parameters_of
from trt_nemotron.deploy.runtimes.llamacpp.settings import ServerSettings
from trt_nemotron.progress import SILENT

MOST_SLOTS = 16
LONGEST_CONTEXT = 65_536


class Engine:
    """A running server; kept alive by whoever holds it.

    Attributes:
        url: where it listens.
    """

    def __init__(
        self, weights: Path, scratch: Path, *, alias: str, slots: int, seq_len: int, thinks: bool
    ) -> None:
        import xllamacpp

        gguf = scratch / "weights.gguf"
        checkpoint = open_checkpoint(weights)
        convert(checkpoint, gguf, name=alias, precision="f16", progress=SILENT)
        many = min(slots, MOST_SLOTS)
        length = min(seq_len, checkpoint.shape.longest_context, LONGEST_CONTEXT // many)
        settings = ServerSettings(
            model=str(gguf), alias=alias, port=0, choices=_choices(many, length, thinks=thinks)
        )
        parameters = parameters_of(settings)
        parameters.verbosity = -1  # the log is the double's
        self._server: Any = xllamacpp.Server(parameters)
        self.url = str(self._server.listening_address)


def _choices(slots: int, length: int, *, thinks: bool) -> dict[str, int | bool | str]:
    return {
        "n_parallel": slots,
        "n_ctx": slots * length,
        "n_batch": min(2048, length),
        "n_threads": 2,
        "n_threads_batch": 2,
        "kv_unified": False,
        "fit_params": False,
        "cache_ram_mib": 0,
        "n_ctx_checkpoints": 0,
        "cache_prompt": False,
        "warmup": True,
        "use_jinja": True,
        "n_gpu_layers": 0,
        "reasoning_format": "deepseek" if thinks else "none",
        "ui": False,
    }
