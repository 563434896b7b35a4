"""A double of `trtllm-serve`, for machines without a GPU and without NVIDIA's image.

It takes what the release in `TRTLLM_DOUBLE_RELEASE` takes and refuses the rest in the same words,
prints the real server's start-up lines, and then serves the checkpoint through llama.cpp on the
CPU. What it cannot be is fast, and what it prints of memory is its own arithmetic.

`TRTLLM_DOUBLE_CHECK_ONLY=1` ends with 0 once arguments and file are accepted.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from tests.doubles.trtllm_serve import rules, surroundings
from tests.doubles.trtllm_serve.arguments import arguments_model, value_at
from tests.doubles.trtllm_serve.command_line import Typed, command
from tests.doubles.trtllm_serve.contract import Contract, read_contract
from tests.doubles.trtllm_serve.faults import FAULT_VARIABLE, Faults, Faulty
from tests.doubles.trtllm_serve.http_server import Served, bound_socket, serve
from tests.doubles.trtllm_serve.joining import CONFIG_FLAG, join, read_file
from tests.doubles.trtllm_serve.memory import OutOfMemory, Sizes, measure
from tests.doubles.trtllm_serve.rules import RuntimeFault
from tests.doubles.trtllm_serve.start_log import StartLog
from tests.doubles.trtllm_serve.surroundings import Unfit

CHECK_VARIABLE = "TRTLLM_DOUBLE_CHECK_ONLY"
_GIB = 1 << 30


def main(words: list[str]) -> NoReturn:
    """Run until a signal comes; 1 when the start fails, 2 for a wrong command line."""
    contract = read_contract()
    log = StartLog()
    log.say("version", version=contract.release)
    log.note("this is a test double: it has no GPU and is not TensorRT-LLM")
    command(contract, lambda typed: _run(contract, typed, log)).main(words, "trtllm-serve")
    sys.exit(0)


def _run(contract: Contract, typed: Typed, log: StartLog) -> None:
    faults = Faults(os.environ.get(FAULT_VARIABLE, ""))
    try:
        surroundings.refuse_mpi(os.environ)
        tree = _arguments(contract, typed, log)
        if os.environ.get(CHECK_VARIABLE):
            log.note("arguments accepted")
            return
        _Start(contract, typed, tree, log, faults).run()
    except ValidationError as fault:
        _end(f"pydantic_core._pydantic_core.ValidationError: {fault}")
    except yaml.YAMLError as fault:
        _end(f"yaml.scanner.ScannerError: {fault}")
    except (RuntimeFault, Faulty, OutOfMemory, Unfit) as fault:
        _end(str(fault))
    except (AssertionError, RuntimeError, OSError, TypeError, ValueError) as fault:
        _end(f"{type(fault).__name__}: {fault}")


def _arguments(contract: Contract, typed: Typed, log: StartLog) -> dict[str, Any]:
    """Flags and file, joined and validated."""
    tree, warnings = join(contract, typed, read_file(typed.values.get(CONFIG_FLAG)))
    for warning in warnings:
        log.caution(warning)
    validated = arguments_model(contract).model_validate(tree)
    return validated.model_dump(exclude_unset=True)


def _end(text: str) -> NoReturn:
    """Print as the interpreter prints an exception that nobody caught."""
    print(f"Traceback (most recent call last):\n{text}", file=sys.stderr, flush=True)
    sys.exit(1)


class _Start:
    """One start, phase by phase."""

    def __init__(
        self,
        contract: Contract,
        typed: Typed,
        tree: Mapping[str, Any],
        log: StartLog,
        faults: Faults,
    ) -> None:
        self._contract = contract
        self._typed = typed
        self._tree = tree
        self._log = log
        self._faults = faults
        self._weights = Path(typed.model)

    def run(self) -> None:
        """Load, listen, and serve until SIGTERM or SIGINT."""
        host, port = self._typed.values["--host"], self._typed.values["--port"]
        self._faults.at("arguments", self._log)
        held = bound_socket(host, port)
        config = surroundings.check_weights(self._weights)
        surroundings.prepare_caches(self._contract, os.environ)
        for warning in surroundings.warnings(self._weights):
            self._log.caution(warning)
        with tempfile.TemporaryDirectory(prefix="trtllm-double-") as scratch:
            from tests.doubles.trtllm_serve.engine import Engine

            sizes = self._load(config)
            engine = Engine(
                self._weights,
                Path(scratch),
                alias=self._name(),
                slots=sizes.max_batch_size,
                seq_len=sizes.max_seq_len,
                thinks=self._parser("reasoning_parser") is not None,
            )
            self._faults.at("listening", self._log)
            server = serve(held, self._served(engine.url))
            _end_by_signal()
            self._announce(host, port)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                self._log.note("stopping")
        sys.stdout.flush()
        os._exit(0)  # not through the engine's destructor: it waits for clients that still read

    def _load(self, config: Mapping[str, Any]) -> Sizes:
        say, faults = self._log.say, self._faults
        say("backend")
        rules.at_weights(self._tree, config, self._log)
        faults.at("weights", self._log)
        sizes = measure(self._contract, self._tree, config, self._weights)
        say("prefetching", gib=sizes.weight_bytes / _GIB)
        say("loading_modules", bar="100%|##########| 1/1")
        say("weights", gib=sizes.weight_bytes / _GIB)
        say("native_state_update")
        say("sampler", sampler="TorchSampler")
        faults.at("estimation", self._log)
        tokens = sizes.block_tokens * 33
        blocks = {sizes.max_seq_len: (33, 0)}
        say("estimation_dry_run", blocks=blocks)
        self._pools(sizes, tokens)
        self._warm_up(sizes)
        say("used_in_torch", gib=sizes.weight_bytes / _GIB)
        say("activations", gib=0.0)
        if cap := value_at(self._tree, "kv_cache_config.max_tokens"):
            say("max_tokens_given", tokens=cap, gib=sizes.kv_bytes / _GIB)
        say("estimated", gib=sizes.kv_bytes / _GIB)
        faults.at("pools", self._log)
        rules.at_pools(self._contract, self._tree, sizes, self._log)
        self._pools(sizes, sizes.kv_tokens)
        faults.at("autotuner", self._log)
        self._warm_up(sizes)
        return sizes

    def _pools(self, sizes: Sizes, tokens: int) -> None:
        say, block = self._log.say, sizes.block_tokens
        say("blocks_per_sequence", blocks=-(-sizes.max_seq_len // block), window=sizes.max_seq_len,
            tokens_per_block=block, primary=tokens // block, secondary=0,
            max_seq_len=sizes.max_seq_len)  # fmt: skip
        say("tokens_per_block", tokens_per_block=block)
        say("kv_cache", gib=tokens * sizes.kv_token_bytes / _GIB, tokens=tokens)
        say("mamba_cache", slots=sizes.slots, conv_gib=sizes.slots * sizes.conv_bytes / _GIB,
            ssm_gib=sizes.slots * (sizes.state_bytes - sizes.conv_bytes) / _GIB)  # fmt: skip
        steps = self._tree.get("max_num_tokens") or self._contract.default("max_num_tokens")
        say("sizes", max_seq_len=sizes.max_seq_len, requests=sizes.max_batch_size,
            step_tokens=steps, batch=sizes.max_batch_size)  # fmt: skip

    def _warm_up(self, sizes: Sizes) -> None:
        say = self._log.say
        if self._tree.get("enable_autotuner", True):
            say("autotuner")
            say("autotuner_starts")
            say("autotuner_cache", entries=1)
        captured = rules.at_graphs(self._contract, self._tree, sizes, self._log)
        if captured:
            say("graphs", sizes=len(captured))
        for size in reversed(captured):
            say("graph", size=size, draft_len=0, max_seq_len=sizes.max_seq_len)
        self._faults.at("graphs", self._log)

    def _announce(self, host: str, port: int) -> None:
        say = self._log.say
        say("executor_ready")
        say("uvicorn_process", pid=os.getpid())
        say("uvicorn_waiting")
        say("uvicorn_complete")
        say("uvicorn_running", host=host, port=port)

    def _served(self, url: str) -> Served:
        return Served(
            engine=url,
            model=self._name(),
            release=self._contract.release,
            routes=frozenset(it["path"] for it in self._contract.endpoints),
            has_guide=self._tree.get("guided_decoding_backend") is not None,
            has_tool_parser=self._parser("tool_parser") is not None,
            has_iteration_stats=bool(self._tree.get("enable_iter_perf_stats")),
            faults=self._faults,
        )

    def _name(self) -> str:
        """The flag's name, else the last part of the path: `OpenAIServer.__init__`."""
        return self._typed.values.get("--served_model_name") or self._weights.name

    def _parser(self, kind: str) -> Any:
        return self._typed.values.get(f"--{kind}") or self._tree.get(kind)


def _end_by_signal() -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
