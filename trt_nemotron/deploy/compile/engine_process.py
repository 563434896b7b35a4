"""The process that compiles one engine; a compiler that crashes takes nothing with it but this.

    python -m trt_nemotron.deploy.compile.engine_process < request.json

Reads an `EngineRequest`, writes the engine and an `EngineResult` to the places it names. Exit code
0 means that the result was written, whatever it says.
"""

import hashlib
import importlib
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

from msgspec.structs import replace

from trt_nemotron.deploy.compile.values import EngineRequest, EngineResult, Profile
from trt_nemotron.document import convert, to_json, write_atomically

_MOST_MESSAGES = 20
_LONGEST_MESSAGE = 600
_BENIGN = "has Int64 binding"
"""The parser says this of every integer input."""


class _NoEngine(Exception):
    """The compiler made none; the message says at which step."""


def main(data: bytes) -> int:
    """Compile what `data` asks for."""
    request = convert(json.loads(data), EngineRequest, origin="the request")
    trt = importlib.import_module(request.module)
    messages: list[str] = []
    result = _compile(trt, request, _logger(trt, messages), messages)
    write_atomically(Path(request.result_path), to_json(result))
    return 0


def _compile(trt: Any, request: EngineRequest, logger: Any, messages: list[str]) -> EngineResult:
    result = EngineResult(version=str(trt.__version__))
    try:
        builder = trt.Builder(logger)
        network = builder.create_network(_network_flags(trt))
        # What the network reads from the graph's file belongs to the parser: it must live as long.
        parser = trt.OnnxParser(network, logger)
        _parse(parser, request, messages)
        result = replace(result, layers=_layers(network))
        config = _config(trt, builder, network, request)
        started = time.monotonic()
        size, sha256 = _build(trt, builder, network, config, Path(request.engine_path))
        seconds = round(time.monotonic() - started, 3)
        result = replace(result, seconds=seconds, engine_bytes=size, engine_sha256=sha256)
    except _NoEngine as fault:
        result = replace(result, problem=str(fault))
    kept = tuple(messages[-_MOST_MESSAGES:])
    return replace(result, messages=kept, peak_rss_bytes=_peak_rss_bytes())


def _build(trt: Any, builder: Any, network: Any, config: Any, path: Path) -> tuple[int, str]:
    """Compile into `path`; the size and the hash of what the compiler gave.

    Streamed where the compiler can: the engine is then never whole in memory beside the network.
    """
    digest = hashlib.sha256()
    with path.open("wb") as file:
        if hasattr(builder, "build_serialized_network_to_stream"):
            stream = _stream(trt, file, digest)
            is_built = builder.build_serialized_network_to_stream(network, config, stream)
        else:
            engine = builder.build_serialized_network(network, config)
            is_built = engine is not None
            if is_built:
                digest.update(engine)
                file.write(engine)
        size = file.tell()
        file.flush()
        os.fsync(file.fileno())
    if not is_built or size == 0:
        raise _NoEngine("the compiler ended without an engine")
    return size, digest.hexdigest()


def _stream(trt: Any, file: IO[bytes], digest: Any) -> Any:
    """A writer of the compiler's own kind."""

    class Hashed(trt.IStreamWriter):  # type: ignore[misc] # known at run time only
        def __init__(self) -> None:
            trt.IStreamWriter.__init__(self)

        def write(self, data: Any) -> int:
            digest.update(data)
            return file.write(data)

    return Hashed()


def _logger(trt: Any, messages: list[str]) -> Any:
    """A logger of the compiler's own kind that keeps warnings and errors."""
    serious = {trt.ILogger.WARNING, trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR}

    class Keeper(trt.ILogger):  # type: ignore[misc] # known at run time only
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            if severity in serious and _BENIGN not in text:
                messages.append(f"{severity.name.lower()}: {text.strip()[:_LONGEST_MESSAGE]}")

    return Keeper()


def _network_flags(trt: Any) -> int:
    """Types are the graph's own. Newer releases know nothing else and have no such flag."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(parser: Any, request: EngineRequest, messages: list[str]) -> None:
    if parser.parse_from_file(request.graph_path):
        return
    errors = [parser.get_error(place) for place in range(parser.num_errors)]
    messages.extend(f"error: {error}"[:_LONGEST_MESSAGE] for error in errors)
    raise _NoEngine("the compiler cannot read the graph")


def _layers(network: Any) -> dict[str, int]:
    kinds = Counter(network.get_layer(place).type.name for place in range(network.num_layers))
    return dict(sorted(kinds.items()))


def _config(trt: Any, builder: Any, network: Any, request: EngineRequest) -> Any:
    config = builder.create_builder_config()
    if request.sm:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{request.sm}"), 0)
    if request.workspace_bytes:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request.workspace_bytes)
    if hasattr(trt.BuilderFlag, "TF32"):  # on unless cleared; what is in f32 is meant to be
        config.clear_flag(trt.BuilderFlag.TF32)
    for wanted in request.profiles:
        profile = builder.create_optimization_profile()
        for place in range(network.num_inputs):
            _set_shapes(profile, network.get_input(place), wanted)
        if config.add_optimization_profile(profile) < 0:
            raise _NoEngine(f"the compiler refuses the profile {wanted.name!r}")
    return config


def _set_shapes(profile: Any, tensor: Any, wanted: Profile) -> None:
    """Least, best and most of an input's sizes; one that is fixed needs none."""
    fixed = tuple(tensor.shape)
    if -1 not in fixed:
        return
    shapes = []
    for batch, tokens in zip(wanted.batch, wanted.tokens, strict=True):
        known = {0: batch, 1: tokens if tensor.name == "input_ids" else None}
        shapes.append([known.get(axis) if size == -1 else size for axis, size in enumerate(fixed)])
    profile.set_shape(tensor.name, *shapes)


def _peak_rss_bytes() -> int:
    """Most memory held at once: Linux counts it in KiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer.read()))
