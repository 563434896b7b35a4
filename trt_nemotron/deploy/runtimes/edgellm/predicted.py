"""The engine's configuration, foretold by Edge-LLM's own planning code and held against the real
one once the device has built it.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trt_nemotron.deploy.runtimes.edgellm.environment import Environment
from trt_nemotron.deploy.runtimes.edgellm.running import run_inside
from trt_nemotron.deploy.runtimes.edgellm.sizes import EngineSizes
from trt_nemotron.errors import CheckFailed
from trt_nemotron.progress import Progress

BUILT_ONLY = frozenset(
    {"checkpoint_weight_bindings", "checkpoint_identity", "checkpoint_dir", "external_weight_files"}
)
"""What only a build that left weights outside the engine adds: where they are, with samples."""

_TIMEOUT_S = 600.0


def predict_config(
    checkpoint: Path, sizes: EngineSizes, environment: Environment, progress: Progress
) -> dict[str, Any]:
    """The config.json that an engine of `sizes` must have.

    Raises:
        CommandFailed: the planning code cannot read the checkpoint.
        CheckFailed: it plans another pool than we do.
    """
    progress.phase("predicting the engine's configuration")
    numbers = (sizes.batch, sizes.input_tokens, sizes.capacity)
    with tempfile.TemporaryDirectory(prefix="edgellm-") as scratch:
        result = Path(scratch) / "config.json"
        run_inside(
            environment.python,
            "predict_config:main",
            [str(checkpoint), *map(str, numbers), str(result)],
            log=Path(scratch) / "log",
            progress=progress,
            expected_bytes=1 << 29,
            timeout_s=_TIMEOUT_S,
        )
        config: dict[str, Any] = json.loads(result.read_bytes())["config"]
    pages = config["builder_config"]["max_kv_pool_pages"]
    if pages != sizes.pages:
        raise CheckFailed(
            "Edge-LLM plans another pool of pages than the plan",
            evidence=f"{pages} pages there, {sizes.pages} in the plan",
            next_step="Use the release of Edge-LLM that the plan was made for.",
        )
    return config


def compare_config(expected: dict[str, Any], found: dict[str, Any]) -> None:
    """Refuse an engine whose configuration is not the one that was foretold.

    Raises:
        CheckFailed: naming the first field that differs, and how many do.
    """
    differences = list(_differences(expected, found, ""))
    if not differences:
        return
    field, wanted, there = differences[0]
    more = f"; {len(differences) - 1} more fields differ" if len(differences) > 1 else ""
    raise CheckFailed(
        f"the engine is of another configuration: {field}",
        evidence=f"{field} is {there!r}, the plan demands {wanted!r}{more}",
        next_step="Build it again with this plan, on this board.",
    )


def _differences(
    expected: dict[str, Any], found: dict[str, Any], prefix: str
) -> Iterator[tuple[str, Any, Any]]:
    ours = expected.keys() | (found.keys() - BUILT_ONLY)
    for name in sorted(ours):
        wanted, there = expected.get(name, "nothing"), found.get(name, "nothing")
        if isinstance(wanted, dict) and isinstance(there, dict):
            yield from _differences(wanted, there, f"{prefix}{name}.")
        elif wanted != there:
            yield f"{prefix}{name}", wanted, there
