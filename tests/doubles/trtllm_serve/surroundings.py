"""What the server finds around itself: an MPI launcher's variables, caches, weights."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.doubles.trtllm_serve.contract import Contract

_MPI = re.compile(r"^(OMPI|PMIX|PMI|PRTE|SLURM)_")

ORTE = """\
--------------------------------------------------------------------------
It looks like orte_init failed for some reason; your parallel process is
likely to abort.  There are many reasons that a parallel process can
fail during orte_init; some of which are due to configuration or
environment problems.  This failure appears to be an internal failure;
here's some additional information (which may only be relevant to an
Open MPI developer):

  getting local rank failed
  --> Returned value No permission (-17) instead of ORTE_SUCCESS
--------------------------------------------------------------------------"""
"""What Open MPI says; seen at https://github.com/NVIDIA/TensorRT-LLM/issues/3654."""


class Unfit(Exception):
    """The server cannot start here; the message is what it prints last."""


def refuse_mpi(environment: Mapping[str, str]) -> None:
    """Variables of a launcher make the server one of its ranks, and MPI_Init fails.

    https://github.com/NVIDIA/TensorRT-LLM/pull/18741
    """
    found = sorted(name for name in environment if _MPI.match(name))
    if found:
        raise Unfit(f"{ORTE}\ninherited: {', '.join(found)}")


def prepare_caches(contract: Contract, environment: Mapping[str, str]) -> list[Path]:
    """Make every cache folder that the environment names, and write into it.

    Raises:
        OSError: one cannot be written.
    """
    written = []
    for variable in contract.cache_variables:
        value = environment.get(variable["name"])
        if not value:
            continue
        path = Path(value)
        file = path if variable.get("is_file") else path / "trtllm-double"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        written.append(file)
    return written


def check_weights(folder: Path) -> dict[str, Any]:
    """`config.json` of a folder of weights that can be loaded.

    Raises:
        Unfit: it is none, in words like those of the libraries that look first.
    """
    if not folder.is_dir():
        raise Unfit(
            f"OSError: {folder} is not a local folder and is not a valid model identifier listed "
            "on 'https://huggingface.co/models'"
        )
    file = folder / "config.json"
    if not file.is_file():
        raise Unfit(f"ValueError: Unrecognized model in {folder}. Should have a `model_type` key "
                    "in its config.json.")  # fmt: skip
    config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if config.get("model_type") != "nemotron_h":
        raise Unfit(f"ValueError: Unknown architecture for AutoModelForCausalLM: "
                    f"{(config.get('architectures') or ['?'])[0]}")  # fmt: skip
    if not any(folder.glob("*.safetensors")):
        raise Unfit(f"ValueError: No weight files found in {folder}.")
    return config


def warnings(folder: Path) -> Iterator[str]:
    """What a careful operator would not have."""
    if os.access(folder, os.W_OK):
        yield f"{folder} can be written by the server"
