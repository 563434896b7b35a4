"""The server process: Edge-LLM's server on a checkpoint whose engine was built before.

    PYTHON launcher.py ENGINE CACHE KEY_VARIABLE OPTION...

It is run as a file by the interpreter that has Edge-LLM, so it imports nothing of ours. The server
takes engines from its own cache only, at a place that its own code computes; so the bundle's engine
is put there first, once. KEY_VARIABLE names the variable that holds the API key (`-` for none): the
server knows it as an option only, and what stands on a command line can be read by everyone.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

_NO_KEY = "-"


def place_engine(engine: Path, bundle: Path) -> None:
    """Make the server's cache hold the engine: links where they can be, appearing at once.

    The server looks at sizes in a configuration only, so an engine that was built again since (for
    another TensorRT, say) is put in the place of the one that lies there.
    """
    if _holds(bundle, engine):
        return
    bundle.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=bundle.parent, prefix=".placing-") as scratch:
        part = Path(scratch) / "engine"
        shutil.copytree(engine, part, copy_function=_link_or_copy)
        part.chmod(0o755)
        if bundle.is_dir():
            bundle.rename(Path(scratch) / "older")
        try:
            part.rename(bundle)
        except OSError:  # another server was faster
            if not _holds(bundle, engine):
                raise


def _holds(bundle: Path, engine: Path) -> bool:
    """Whether every file of the engine lies in `bundle`, of the same size and time."""
    return all(_mark(bundle / path.name) == _mark(path) for path in engine.iterdir())


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def main(arguments: list[str]) -> None:
    """Place the engine, then serve until SIGTERM or SIGINT."""
    engine, cache, key_variable, *options = arguments
    # The folder of this file holds modules of ours that must not hide anybody else's.
    sys.path[:] = [entry for entry in sys.path if Path(entry) != Path(__file__).parent]
    try:
        from experimental.server.cli import main as serve
        from experimental.server.config import parse_server_config
        from experimental.server.runtime.engine_build import BuildOptions, bundle_cache_path
    except ImportError as fault:
        sys.exit(f"error: {fault}: this interpreter ({sys.executable}) lacks tensorrt-edgellm")
    sys.argv = ["tensorrt-edgellm-serve", *options, "--cache-dir", cache]
    model = parse_server_config(sys.argv[1:]).model
    sizes = BuildOptions(
        max_input_len=model.max_input_len,
        max_batch_size=model.max_batch_size,
        max_kv_cache_capacity=model.max_kv_cache_capacity,
    )
    place_engine(Path(engine), Path(bundle_cache_path(model.model, cache, sizes)))
    if key_variable != _NO_KEY:
        sys.argv += ["--api-key", os.environ.pop(key_variable)]
    serve()


if __name__ == "__main__":
    main(sys.argv[1:])
