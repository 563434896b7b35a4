"""`TorchLlmArgs` of a release as real pydantic models, built from its contract.

The runtime's own models forbid extra keys (`StrictBaseModel`) and are otherwise lax, as pydantic
is: `"32"` is taken for 32. Errors are pydantic's own words, since pydantic writes them.

Rules of the graph sizes: `CudaGraphConfig` and `validate_cuda_graph_config` in
tensorrt_llm/llmapi/llm_args.py, as 1.3.0rc3 has them and as they are from early March 2026 on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from tests.doubles.trtllm_serve.contract import Contract, Entry

Tree = Mapping[str, Any]

_PLAIN: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str}
_STRICT = ConfigDict(extra="forbid", protected_namespaces=())


def arguments_model(contract: Contract) -> type[BaseModel]:
    """The model whose validation accepts what the release accepts."""

    def check(self: BaseModel) -> BaseModel:
        tree = self.model_dump(exclude_unset=True)
        for fault in _conflicts(contract, tree):
            raise ValueError(fault)
        return self

    return create_model(
        "TorchLlmArgs",
        __config__=_STRICT,
        __validators__={"check": model_validator(mode="after")(check)},  # type: ignore[dict-item]
        **_fields(contract, ""),
    )


def graph_sizes(largest: int, *, has_padding: bool) -> list[int]:
    """`CudaGraphConfig._generate_cuda_graph_batch_sizes`."""
    if has_padding:
        sizes = [1, 2, 4] + [8 * step for step in range(1, 17)]
    else:
        sizes = [*range(1, 32), 32, 64, 128]
    sizes += [1 << power for power in range(8, max(math.ceil(math.log2(largest)), 8))]
    sizes = [size for size in sizes if size <= largest]
    if sizes[-1] != largest:
        sizes.append(largest)
    return sizes


def captured_sizes(contract: Contract, tree: Tree) -> list[int]:
    """Sizes for which graphs are captured; none when they are switched off with `null`."""
    if "cuda_graph_config" in tree and tree["cuda_graph_config"] is None:
        return []
    config = tree.get("cuda_graph_config") or {}
    if config.get("batch_sizes"):
        return sorted(config["batch_sizes"])
    return graph_sizes(
        config.get("max_batch_size") or 128, has_padding=bool(config.get("enable_padding"))
    )


def value_at(tree: Tree, path: str) -> Any:
    """What stands at a dotted path; `None` for nothing."""
    for part in path.split("."):
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(part)  # type: ignore[assignment]
    return tree


def _fields(contract: Contract, section: str) -> dict[str, Any]:
    """Fields of the model below `section`."""
    start = f"{section}." if section else ""
    direct = {
        name.removeprefix(start): entry
        for name, entry in contract.keys.items()
        if name.startswith(start) and "." not in name.removeprefix(start)
    }
    return {
        name: (_annotation(contract, f"{start}{name}", entry), None)
        for name, entry in direct.items()
    }


def _annotation(contract: Contract, path: str, entry: Entry) -> Any:
    kind = entry["type"]
    if kind == "object":
        annotation = _section(contract, path, entry)
    elif kind.startswith("list"):
        member = kind.removeprefix("list").strip("[]")
        annotation = list[_bounded(member, entry)] if member else list[Any]  # type: ignore[misc]
    else:
        annotation = _bounded(kind, entry)
        if kind != "str" and (words := [it for it in entry.get("allowed", ()) if _is_word(it)]):
            annotation = annotation | Literal[tuple(words)]
    return annotation | None if entry.get("is_nullable") else annotation


def _bounded(kind: str, entry: Entry) -> Any:
    if kind == "str" and entry.get("allowed"):
        return Literal[tuple(entry["allowed"])]
    plain = _PLAIN[kind]
    low, high = entry.get("minimum"), entry.get("maximum")
    return plain if low is None and high is None else Annotated[plain, Field(ge=low, le=high)]


def _section(contract: Contract, path: str, entry: Entry) -> Any:
    if entry.get("is_open"):
        return dict[str, Any]
    return create_model(path.replace(".", "_"), __config__=_STRICT, **_fields(contract, path))


def _is_word(value: object) -> bool:
    return isinstance(value, str)


def _conflicts(contract: Contract, tree: Tree) -> Iterator[str]:
    for rule in (_graph_sizes_agree, _rounding_needs_float16, _snapshots_once, _ratio_is_whole):
        yield from rule(contract, tree)


def _graph_sizes_agree(contract: Contract, tree: Tree) -> Iterator[str]:
    sizes = value_at(tree, "cuda_graph_config.batch_sizes")
    largest = value_at(tree, "cuda_graph_config.max_batch_size")
    if not sizes or not largest:
        return
    sizes = sorted(sizes)
    if contract.hybrids["graph_sizes"] == "generated":
        padding = bool(value_at(tree, "cuda_graph_config.enable_padding"))
        if sizes != graph_sizes(largest, has_padding=padding):
            yield (
                "Please don't set both cuda_graph_config.batch_sizes and "
                "cuda_graph_config.max_batch_size.\n"
                f"cuda_graph_config.batch_sizes: {sizes}, "
                f"cuda_graph_config.max_batch_size: {largest}"
            )
    elif max(sizes) != largest:
        yield (
            "CudaGraphConfig.max_batch_size is incompatible with CudaGraphConfig.batch_sizes. "
            "When both are provided, max_batch_size must equal max(batch_sizes).\n"
            f"CudaGraphConfig.batch_sizes: {sizes}, max(batch_sizes): {max(sizes)}, "
            f"CudaGraphConfig.max_batch_size: {largest}"
        )


def _rounding_needs_float16(contract: Contract, tree: Tree) -> Iterator[str]:
    if value_at(tree, "kv_cache_config.mamba_ssm_stochastic_rounding"):
        dtype = value_at(tree, "kv_cache_config.mamba_ssm_cache_dtype") or "auto"
        if dtype != "float16":
            yield f"mamba_ssm_stochastic_rounding requires mamba_ssm_cache_dtype float16: {dtype}"


def _snapshots_once(contract: Contract, tree: Tree) -> Iterator[str]:
    old = value_at(tree, "kv_cache_config.mamba_state_cache_interval")
    new = value_at(tree, "kv_cache_config.mamba_state_config.periodic_snapshot_interval")
    if old is not None and new is not None:
        yield "mamba_state_cache_interval and periodic_snapshot_interval are mutually exclusive"


def _ratio_is_whole(contract: Contract, tree: Tree) -> Iterator[str]:
    ratio = value_at(tree, "kv_cache_config.pool_ratio")
    if ratio and not (all(it > 0 for it in ratio) and math.isclose(sum(ratio), 1.0, abs_tol=1e-6)):
        yield f"pool_ratio must be positive and sum to 1, got {ratio}"
