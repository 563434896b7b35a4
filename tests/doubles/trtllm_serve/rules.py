"""What the runtime only finds out while it starts, phase by phase, as it says it.

Sources stand with each text in tests/deploy/runtimes/trtllm/start_log_lines.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.doubles.trtllm_serve.arguments import captured_sizes, value_at
from tests.doubles.trtllm_serve.contract import Contract
from tests.doubles.trtllm_serve.memory import Sizes
from tests.doubles.trtllm_serve.start_log import StartLog

Tree = Mapping[str, Any]


class RuntimeFault(Exception):
    """The start ends here; the message is the traceback's last line."""


def at_weights(tree: Tree, config: Tree, log: StartLog) -> None:
    """Faults while the model is made.

    Raises:
        RuntimeFault: the model has no such form.
    """
    if tree.get("backend") == "tensorrt":
        raise RuntimeFault(log.text("unknown_architecture", name=config["architectures"][0]))
    if value_at(tree, "speculative_config.decoding_type") == "MTP":
        raise RuntimeFault(log.text("no_mtp"))
    if (tree.get("tensor_parallel_size") or 1) not in {1, 2, 4, 8}:
        raise RuntimeFault(log.text("tensor_parallel"))
    world = (tree.get("tensor_parallel_size") or 1) * (tree.get("pipeline_parallel_size") or 1)
    if world > 1:
        raise RuntimeFault(f"ValueError: Size of MPI world is 1, not {world}")


def at_pools(contract: Contract, tree: Tree, sizes: Sizes, log: StartLog) -> None:
    """Faults while the pools are taken.

    Raises:
        RuntimeFault: the hybrid cache refuses, or no sequence fits.
    """
    asked = value_at(tree, "kv_cache_config.enable_block_reuse")
    if asked is True and contract.hybrids["block_reuse"] == "refused":
        raise RuntimeFault(log.text("reuse_with_states"))
    if contract.hybrids["manager_v2"] == "default":
        _at_second_manager(tree, sizes, log)
    if sizes.kv_tokens < sizes.block_tokens:
        raise RuntimeFault(log.text("no_sequence_fits"))


def _at_second_manager(tree: Tree, sizes: Sizes, log: StartLog) -> None:
    """States and KV cache share a quota, which the second manager looks at before it takes it.

    `_build_cache_config` in tensorrt_llm/_torch/pyexecutor/kv_cache/mamba_cache_manager/
    mamba_cache_manager_v2.py.
    """
    said = ("kv_cache_config.avg_seq_len", "kv_cache_config.pool_ratio")
    if all(value_at(tree, path) is None for path in said):
        log.say("avg_seq_len_missing", tokens=max(1, sizes.max_seq_len // 2), advice="")
    quota = sizes.slots * sizes.state_bytes + sizes.kv_bytes
    cap = value_at(tree, "kv_cache_config.max_gpu_total_bytes")
    needed = sizes.slots * sizes.state_bytes + sizes.block_tokens * sizes.kv_token_bytes
    if min(quota, cap or quota) < needed:
        raise RuntimeFault(
            "ValueError: The V2 Mamba GPU cache quota is too small for live recurrent states and "
            f"attention pages: got {min(quota, cap or quota)} bytes, need at least {needed} bytes."
        )


def at_graphs(contract: Contract, tree: Tree, sizes: Sizes, log: StartLog) -> list[int]:
    """Sizes that are captured.

    Raises:
        RuntimeFault: a padded batch would be larger than the pool of states.
    """
    captured = captured_sizes(contract, tree)
    is_said = isinstance(tree.get("cuda_graph_config"), Mapping)
    if is_said and captured and max(captured) > sizes.max_batch_size:
        raise RuntimeFault(log.text("padding_states_run_out"))
    return [size for size in captured if size <= sizes.max_batch_size]
