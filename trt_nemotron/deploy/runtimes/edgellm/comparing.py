"""What an exported graph holds and computes, against the checkpoint it was made from.

Run in Edge-LLM's environment, by the programs under `inside/`; `graph.py` judges what they find.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from trt_nemotron.deploy.runtimes.edgellm.depth import LAYERS_VARIABLE
from trt_nemotron.deploy.runtimes.edgellm.environment import Environment
from trt_nemotron.deploy.runtimes.edgellm.export import Export
from trt_nemotron.deploy.runtimes.edgellm.running import run_inside
from trt_nemotron.deploy.runtimes.edgellm.values import Difference, GraphReport, WeightReport
from trt_nemotron.document import convert
from trt_nemotron.progress import Progress

PROMPTS: tuple[dict[str, Any], ...] = (
    {"messages": [{"role": "user", "content": "What is the capital of France?"}],
     "template": {"enable_thinking": False}},
    {"messages": [{"role": "user", "content": "What is 17 + 25?"}],
     "template": {"enable_thinking": True}},
    {"messages": [{"role": "system", "content": "Be brief."},
                  {"role": "user", "content": "Name three colours."}],
     "template": {"enable_thinking": False}},
)  # fmt: skip
"""What the graph and Transformers are both asked. Of different lengths, so that the batch of all is
ragged."""

_SMALL_PARAMETERS = 50_000_000
"""Up to here prompts are continued, and the graph is also executed as exported, in 16 bits, which
NumPy computes slowly."""

_CONTINUATION = 12
_TIMEOUT_S = 4 * 3600.0


def inspect_graph(graph: Path, environment: Environment, progress: Progress) -> GraphReport:
    """What is in the graph.

    Raises:
        CommandFailed: it cannot be read at all.
    """
    progress.phase("reading the graph")
    tree = _run_for_json("inspect_graph:main", [str(graph)], environment, progress, 1 << 30)
    return convert(tree, GraphReport, origin="inspect_graph")


def compare_weights(export: Export, graph: Path, progress: Progress) -> WeightReport:
    """Every weight of the graph, held against the checkpoint's.

    Raises:
        CommandFailed: they cannot be compared at all.
    """
    progress.phase("comparing the graph's weights with the checkpoint's")
    arguments = [str(graph), str(export.staged)]
    tree = _run_for_json("compare_weights:main", arguments, export.environment, progress, 1 << 30)
    return convert(tree, WeightReport, origin="compare_weights")


def compare_numbers(export: Export, graph: Path, progress: Progress) -> tuple[Difference, ...]:
    """What the graph computes on the processor, against Transformers; empty where it cannot be.

    Raises:
        CommandFailed: one of both could not be executed.
    """
    if not export.layers:
        progress.note(f"numbers were not compared: {_why_not(export)}")
        return ()
    is_small = export.checkpoint.parameters <= _SMALL_PARAMETERS
    all_layers = len(export.checkpoint.shape.pattern)
    if export.layers < all_layers:
        progress.note(
            f"of {all_layers} layers the first {export.layers} and the output layer are executed, "
            f"as every weight was compared; {LAYERS_VARIABLE}=all executes all, 0 none"
        )
    with tempfile.TemporaryDirectory(dir=graph.parent, prefix=".comparing-") as scratch:
        prompts, reference = Path(scratch) / "prompts.json", Path(scratch) / "reference.npz"
        prompts.write_text(json.dumps(PROMPTS), encoding="utf-8")
        progress.phase("computing the reference with Transformers in FP32")
        continuation, depth = _CONTINUATION if is_small else 0, str(export.layers)
        run_inside(
            export.environment.python,
            "reference_logits:main",
            [str(export.staged), str(prompts), str(reference), str(continuation), depth],
            log=Path(scratch) / "log",
            progress=progress,
            expected_bytes=export.comparing_bytes,
            timeout_s=_TIMEOUT_S,
        )
        progress.phase("executing the graph on the processor")
        tree = _run_for_json(
            "compare_numbers:main",
            [str(graph), str(reference)],
            export.environment,
            progress,
            export.comparing_bytes,
            after=["both" if is_small else "wide", depth],
        )
    parts = tree if isinstance(tree, list) else []
    return tuple(convert(part, Difference, origin="compare_numbers") for part in parts)


def _why_not(export: Export) -> str:
    if export.precision != "fp16":
        return "Transformers does not compute a quantized checkpoint as the engine does"
    if not export.depth:
        return f"{LAYERS_VARIABLE} is 0"
    return (
        f"Transformers would take {export.comparing_bytes / 1e9:.1f} GB in FP32, and "
        f"{export.memory_bytes / 1e9:.1f} GB are available; a build with more memory does it"
    )


def _run_for_json(
    function: str,
    arguments: list[str],
    environment: Environment,
    progress: Progress,
    expected_bytes: int,
    *,
    after: list[str] | None = None,
) -> object:
    with tempfile.TemporaryDirectory(prefix="edgellm-") as scratch:
        result = Path(scratch) / "result.json"
        run_inside(
            environment.python,
            function,
            [*arguments, str(result), *(after or [])],
            log=Path(scratch) / "log",
            progress=progress,
            expected_bytes=expected_bytes,
            timeout_s=_TIMEOUT_S,
        )
        tree: object = json.loads(result.read_bytes())
        return tree
