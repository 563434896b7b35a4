"""A double of llama.cpp's `llama-server` program: its own flags, strictly, and the wheel's server.

It knows the flags that the program's README lists and that we could use, and ends with an error at
any other, as the program does. Flags and defaults:
https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

import argparse
import signal
import threading

import xllamacpp

KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(prog="llama-server", allow_abbrev=False)
    known.add_argument("-m", "--model", required=True)
    known.add_argument("-a", "--alias", required=True)
    known.add_argument("--host", default="127.0.0.1")
    known.add_argument("--port", type=int, default=9931)
    known.add_argument("-c", "--ctx-size", type=int, default=0)
    known.add_argument("-np", "--parallel", type=int, default=-1)
    known.add_argument("-t", "--threads", type=int, default=-1)
    known.add_argument("-tb", "--threads-batch", type=int)
    known.add_argument("-b", "--batch-size", type=int, default=2048)
    known.add_argument("-ub", "--ubatch-size", type=int, default=512)
    known.add_argument("-ctk", "--cache-type-k", choices=KV_TYPES, default="f16")
    known.add_argument("-ctv", "--cache-type-v", choices=KV_TYPES, default="f16")
    known.add_argument("-fa", "--flash-attn", choices=("on", "off", "auto"), default="auto")
    known.add_argument("-cram", "--cache-ram", type=int, default=8192)
    known.add_argument("-ctxcp", "--ctx-checkpoints", type=int, default=32)
    known.add_argument("-ngl", "--n-gpu-layers", default="auto")
    known.add_argument("-fit", "--fit", choices=("on", "off"), default="on")
    known.add_argument("-lv", "--log-verbosity", type=int, default=3)
    known.add_argument("--log-colors", choices=("on", "off", "auto"), default="auto")
    known.add_argument("--cors-origins", default="*")
    known.add_argument(
        "--reasoning-format", choices=("none", "deepseek", "deepseek-legacy"), default="deepseek"
    )
    known.add_argument("--metrics", action="store_true")
    known.add_argument("--offline", action="store_true")
    for name in (
        "kv-unified", "cache-prompt", "warmup", "jinja", "slots", "ui", "cors-credentials",
    ):  # fmt: skip
        known.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=True)
    return known


def main() -> None:
    asked = parser().parse_args()
    given = xllamacpp.CommonParams()
    given.model.path = asked.model
    given.model_alias = set(asked.alias.split(","))
    given.hostnames = [asked.host]
    given.port = asked.port
    given.n_ctx = asked.ctx_size
    given.n_parallel = asked.parallel
    given.cpuparams.n_threads = asked.threads
    given.cpuparams_batch.n_threads = asked.threads_batch
    given.n_batch = asked.batch_size
    given.n_ubatch = asked.ubatch_size
    given.cache_ram_mib = asked.cache_ram
    given.n_ctx_checkpoints = asked.ctx_checkpoints
    given.n_gpu_layers = int(asked.n_gpu_layers)
    given.fit_params = asked.fit == "on"
    given.verbosity = asked.log_verbosity
    given.cors_origins = asked.cors_origins
    given.cors_origins_explicit = True
    given.cors_credentials = asked.cors_credentials
    given.kv_unified = asked.kv_unified
    given.warmup = asked.warmup
    given.ui = asked.ui
    given.endpoint_metrics = asked.metrics
    given.endpoint_slots = asked.slots
    server = xllamacpp.Server(given)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    del server


if __name__ == "__main__":
    main()
