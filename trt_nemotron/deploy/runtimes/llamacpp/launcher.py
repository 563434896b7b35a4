"""The server process: llama.cpp's own OpenAI server, out of the `xllamacpp` wheel.

    python -m trt_nemotron.deploy.runtimes.llamacpp.launcher --settings JSON

It loads the model, prints `listening on URL`, and serves until SIGTERM or SIGINT. It imports
nothing but the wheel and a few small modules of ours: it is ready in a tenth of a second.
"""

import argparse
import json
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

from trt_nemotron.deploy.runtimes.llamacpp.settings import ServerSettings, SettingValue
from trt_nemotron.document import convert
from trt_nemotron.errors import InvalidInput

if TYPE_CHECKING:
    import xllamacpp

LOG_WITH_BUFFER_SIZES = 4
"""Verbosity from which the server prints the size of each buffer, which the plan is held to."""

ATTRIBUTES = frozenset(
    {
        "n_ctx", "n_parallel", "n_batch", "n_ubatch", "n_gpu_layers", "kv_unified", "fit_params",
        "cache_ram_mib", "n_ctx_checkpoints", "cache_prompt", "warmup", "use_jinja",
        "endpoint_metrics", "endpoint_slots", "ui", "cors_origins",
    }
)  # fmt: skip
"""Choices that are an attribute of `CommonParams`, of a plain type."""

ENUMS = {
    "cache_type_k": ("ggml_type", "GGML_TYPE_"),
    "cache_type_v": ("ggml_type", "GGML_TYPE_"),
    "reasoning_format": ("common_reasoning_format", "COMMON_REASONING_FORMAT_"),
}
"""Choices that are a member of an enumeration: its name in the wheel, and its members' prefix."""

FLASH_ATTENTION = {"on": "ENABLED", "off": "DISABLED", "auto": "AUTO"}
THREADS = {"n_threads": "cpuparams", "n_threads_batch": "cpuparams_batch"}


def main() -> NoReturn:
    """Serve until told to stop; exit 0 then, 1 when the model does not load, 2 before that."""
    parser = argparse.ArgumentParser(prog="launcher", allow_abbrev=False)
    parser.add_argument("--settings", required=True, help="ServerSettings as JSON")
    try:
        parameters = parameters_of(_read_settings(parser.parse_args().settings))
    except InvalidInput as fault:
        print(f"error: {fault}", file=sys.stderr, flush=True)
        sys.exit(fault.exit_code)
    _serve(parameters)


def parameters_of(settings: ServerSettings) -> "xllamacpp.CommonParams":
    """The wheel's parameters for these settings, on loopback.

    Raises:
        InvalidInput: a choice that the server does not have, or a value that it does not take.
    """
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    for name, value in settings.choices.items():
        _set_choice(parameters, name, value)
    parameters.model.path = settings.model
    parameters.model_alias = {settings.alias}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = settings.port
    parameters.cors_credentials = False
    parameters.endpoint_props = False
    parameters.offline = True
    parameters.verbosity = LOG_WITH_BUFFER_SIZES
    return parameters


def _set_choice(parameters: "xllamacpp.CommonParams", name: str, value: SettingValue) -> None:
    try:
        if name in ATTRIBUTES:
            setattr(parameters, name, value)
        elif name in THREADS:
            getattr(parameters, THREADS[name]).n_threads = value
        elif name == "flash_attn_type":
            member = f"LLAMA_FLASH_ATTN_TYPE_{FLASH_ATTENTION[str(value)]}"
            parameters.flash_attn_type = _member("llama_flash_attn_type", member)
        else:
            kind, prefix = ENUMS[name]
            setattr(parameters, name, _member(kind, f"{prefix}{value}".upper().replace("-", "_")))
    except (KeyError, TypeError, ValueError, OverflowError) as fault:
        raise InvalidInput(
            f"the server cannot be given {name} = {value!r}",
            evidence=repr(fault),
            next_step="Build the bundle again with this version of trt-nemotron.",
        ) from fault


def _member(kind: str, name: str) -> object:
    import xllamacpp

    return getattr(xllamacpp, kind)[name]


def _read_settings(text: str) -> ServerSettings:
    try:
        tree = json.loads(text)
    except ValueError as fault:
        raise InvalidInput("--settings is not valid JSON", evidence=str(fault)) from fault
    return convert(tree, ServerSettings, origin="--settings")


def _serve(parameters: "xllamacpp.CommonParams") -> NoReturn:
    import xllamacpp

    # While weights load Python runs no handler of ours: let a signal end the process at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError as fault:
        print(f"error: the server did not start: {fault}", file=sys.stderr, flush=True)
        sys.exit(1)  # in good order: the wheel's log still has lines to write, with the cause
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print(f"listening on {server.listening_address}", flush=True)
    stop.wait()
    # Not through the wheel's destructor: it waits, for as long as it takes, for clients that still
    # read, and lets no other thread of Python run meanwhile. There is nothing to save.
    os._exit(0)


if __name__ == "__main__":
    main()
