"""Rules on backends, parallelism, metrics and the board; and the list of all rules."""

from collections.abc import Iterator

from trt_nemotron.facts.configuration import rules
from trt_nemotron.facts.configuration.finding import Finding
from trt_nemotron.facts.configuration.picture import Picture
from trt_nemotron.facts.configuration.rules import Rule, find

# Every one of 96 recurrent heads, 40 query heads, 8 key heads, 9728 channels must divide.
TENSOR_PARALLEL_SIZES = (1, 2, 4, 8)


def backend_is_pytorch(at: Picture) -> Iterator[Finding]:
    """Only the PyTorch backend has this architecture."""
    backend = at.get("backend")
    if backend == "tensorrt":
        yield find(
            "backend", at, ("backend",), "the TensorRT backend never had this architecture",
            "Write pytorch, or leave it out.",
            source="https://github.com/NVIDIA/TensorRT-LLM/issues/15941",
        )  # fmt: skip
    elif backend == "_autodeploy":
        yield find(
            "backend", at, ("backend",), "AutoDeploy is deprecated", "Write pytorch.",
            severity="warning", source="https://github.com/NVIDIA/TensorRT-LLM/issues/15638",
        )  # fmt: skip


def checkpoint_has_no_draft_layers(at: Picture) -> Iterator[Finding]:
    """Multi-token prediction needs layers that no known checkpoint of the 4B has."""
    key = "speculative_config.decoding_type"
    if at.get(key) == "MTP":
        yield find(
            "no-draft-layers", at, (key,), "the 4B's checkpoints have no layers for it",
            "Leave speculative_config out.",
            source="shape of the 4B: 21 Mamba-2, 17 MLP and 4 attention layers",
        )  # fmt: skip


def heads_divide(at: Picture) -> Iterator[Finding]:
    """Heads and channels must divide by the tensor-parallel size."""
    key = "tensor_parallel_size"
    size = at.number(key)
    if size is not None and size not in TENSOR_PARALLEL_SIZES:
        yield find(
            "heads-do-not-divide", at, (key,),
            f"8 key heads, 40 query heads and 96 recurrent heads do not all divide by {size:g}",
            "Write 1, 2, 4 or 8; on one board 1.",
            source="mamba_cache_manager.py asserts it; shape of the 4B",
        )  # fmt: skip


def metrics_have_what_they_need(at: Picture) -> Iterator[Finding]:
    """Some metrics stay empty without others."""
    pairs = (("perf_metrics_max_requests", "return_perf_metrics"),
             ("enable_iter_req_stats", "enable_iter_perf_stats"))  # fmt: skip
    for key, needed in pairs:
        if at.get(key) and at.get(needed) is not True:
            yield find(
                "no-effect", at, (key,), f"it does nothing without {needed}",
                f"Write {needed}: true.", severity="warning",
                source="descriptions in tensorrt_llm/llmapi/llm_args.py",
            )  # fmt: skip
    worker = "ray_worker_extension_cls"
    if at.get(worker) and at.get("orchestrator_type") != "ray":
        yield find(
            "conflict", at, (worker,), "it needs orchestrator_type: ray",
            "Leave it out, or write orchestrator_type: ray.",
            source="validate_ray_worker_extension_cls in tensorrt_llm/llmapi/llm_args.py",
        )  # fmt: skip


def disk_cache_has_a_folder(at: Picture) -> Iterator[Finding]:
    """A disk cache needs to be told where."""
    size, folder = "kv_cache_config.disk_cache_size", "kv_cache_config.disk_cache_path"
    if at.number(size) and not at.get(folder):
        yield find(
            "conflict", at, (size,), "it says how much, and nothing says where",
            f"Write {folder}, a folder that exists.",
            source="validate_disk_cache_config in tensorrt_llm/llmapi/llm_args.py",
        )  # fmt: skip


def runtime_suits_the_target(at: Picture) -> Iterator[Finding]:
    """What the target's own facts say of this runtime, and the release's defects there."""
    if at.target is None:
        return
    for support in at.target.runtimes:
        if support.runtime == at.release.runtime and support.status != "supported":
            first = at.target.runtimes[0].runtime
            yield Finding(
                severity="error" if support.status == "refused" else "warning",
                rule="target", place=at.target.name, message=support.reason,
                fix=f"Use the runtime {first} there.", source=support.source,
            )  # fmt: skip
    for defect in at.release.defects:
        if at.target.name in defect.targets:
            yield Finding(
                severity="warning", rule=f"defect:{defect.id}", place=at.target.name,
                message=defect.summary, fix=defect.answer, source=defect.source,
            )  # fmt: skip


ALL_RULES: tuple[Rule, ...] = (
    rules.graph_sizes_agree,
    rules.graphs_match_batch,
    rules.batch_is_said,
    rules.batch_within_tokens,
    rules.block_reuse_suits_hybrids,
    rules.snapshots_are_said_once,
    rules.snapshot_places_need_v2,
    rules.rounding_needs_float16,
    rules.state_dtype_is_said,
    rules.caps_of_memory,
    rules.pools_of_the_second_manager,
    backend_is_pytorch,
    checkpoint_has_no_draft_layers,
    heads_divide,
    metrics_have_what_they_need,
    disk_cache_has_a_folder,
    runtime_suits_the_target,
)
