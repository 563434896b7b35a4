"""Whether this board, checkpoint and release may be used together at all, by what is known."""

from trt_nemotron.deploy.runtimes.edgellm.graph import quantized_layers
from trt_nemotron.deploy.runtimes.edgellm.sizes import Given
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.errors import PlanRefused
from trt_nemotron.facts.contract import Payload
from trt_nemotron.facts.release import Defect

ATTENTION_HEADS = frozenset({64, 128, 256, 512})
"""Head sizes of attention for which the plugin of 0.11.0 has kernels, by its symbols."""

_PRECISIONS = {"F8_E4M3": "fp8", "NVFP4": "nvfp4"}
INT4 = frozenset({"int4", "int4_awq", "int4_gptq", "awq", "gptq", "w4a16"})
_INT4_MULTIPLE = 64
_STORED = frozenset({"F32", "F16", "BF16", *_PRECISIONS})


def precision_of(quantization: str) -> str:
    """How a plan calls the engine's precision: 16-bit weights become FP16."""
    return _PRECISIONS.get(quantization, "fp16")


def judge_standing(at: Given, wishes: Wishes) -> tuple[str, ...]:
    """Warnings about what is known to limit this combination.

    Raises:
        PlanRefused: it cannot be built, or is known to break and `--experimental` was not said.
    """
    _refuse_form(at)
    _refuse_precision(at, wishes)
    payloads = payloads_of(at)
    if not payloads:
        raise PlanRefused(
            f"Edge-LLM {at.release.release} has no payload for {at.target.title}",
            evidence=f"SM{at.gpu.sm} on {' or '.join(at.target.architectures)}; there are "
            f"{', '.join(sorted({f'SM{sm}' for it in at.release.payloads for sm in it.sms}))}",
            next_step=f"Use --runtime {at.target.runtimes[0].runtime}.",
        )
    return (*_of_release(at, wishes), *_of_checkpoint(at))


def payloads_of(at: Given) -> tuple[Payload, ...]:
    """Native parts of the release for this board, whatever its operating system's release."""
    return tuple(
        it
        for it in at.release.payloads
        if at.gpu.sm in it.sms and it.architecture in at.target.architectures
    )


def _refuse_form(at: Given) -> None:
    checkpoint, shape = at.checkpoint, at.shape
    if checkpoint.format != "safetensors":
        raise PlanRefused(
            "Edge-LLM builds from safetensors checkpoints only",
            evidence=f"{checkpoint.name} is a {checkpoint.format} file",
            next_step="Give the safetensors folder, or use a target that runs llama.cpp.",
        )
    if checkpoint.quantization not in _STORED:
        raise PlanRefused(
            f"Edge-LLM does not read weights stored as {checkpoint.quantization}",
            evidence=f"{checkpoint.name}; known: {', '.join(sorted(_STORED))}",
            next_step="Use the BF16, FP8 or NVFP4 checkpoint.",
        )
    if shape.experts is not None:
        raise PlanRefused(
            "mixtures of experts are not planned for Edge-LLM by this version",
            evidence=f"{shape.expert_layers} of {len(shape.pattern)} layers are experts, whose "
            "plugin operators this version cannot check",
            next_step="Use a dense checkpoint, or --runtime trtllm.",
        )
    if not shape.attention_layers or not shape.mamba_layers:
        raise PlanRefused(
            "the engine's graph needs attention layers and Mamba layers",
            evidence=f"layers: {shape.pattern}",
            next_step="Use a checkpoint that has both.",
        )


def no_int4(shape: NemotronHShape) -> PlanRefused:
    """Why there is no engine with weights of four-bit integers."""
    rows = shape.mamba_inner_size + shape.conv_channels + shape.mamba_heads
    is_indivisible = rows % _INT4_MULTIPLE or shape.hidden_size % _INT4_MULTIPLE
    return PlanRefused(
        "INT4 is not supported for this model",
        evidence=f"in_proj is {rows:,} x {shape.hidden_size:,}, the INT4 kernel demands multiples "
        f"of {_INT4_MULTIPLE}"
        if is_indivisible
        else "it is in no support list of Edge-LLM, and its exporter ignores the option for this "
        "architecture",
        next_step="Use --precision nvfp4 with a quantized checkpoint.",
    )


def _refuse_precision(at: Given, wishes: Wishes) -> None:
    wanted = wishes.precision
    if wanted in {None, "as-is", at.precision}:
        return
    if wanted in INT4:
        raise no_int4(at.shape)
    if wanted in {"fp8", "nvfp4"}:
        raise PlanRefused(
            f"an engine in {wanted} is built from a checkpoint in {wanted}",
            evidence=f"{at.checkpoint.name} is stored as {at.checkpoint.quantization}, with "
            f"{quantized_layers(at.checkpoint)} quantized layers; the exporter ignores "
            "--quantization for this architecture",
            next_step=f"Give the {wanted.upper()} checkpoint, or quantize this one (a large one "
            f"takes a GPU): trt-nemotron quantize --checkpoint DIR --precision {wanted} "
            "--calibration FILE --out DIR",
        )
    raise PlanRefused(
        f"Edge-LLM has no precision {wanted}",
        evidence=f"{at.checkpoint.name} gives an engine in {at.precision}",
        next_step="Leave --precision out, or give the checkpoint of that form.",
    )


def _of_release(at: Given, wishes: Wishes) -> tuple[str, ...]:
    found = [defect for defect in at.release.defects if _hits(defect, at)]
    for defect in found:
        if defect.effect == "breaks" and not wishes.is_experimental:
            raise PlanRefused(
                f"{at.release.release} is known to break on {at.target.name}",
                evidence=f"{defect.summary} ({defect.source})",
                next_step=f"{defect.answer} Or try it all the same with --experimental.",
            )
    warnings = [f"{it.summary} {it.answer} ({it.source})" for it in found]
    if at.release.exactness is not None and at.release.exactness.value == "approximate":
        warnings.append(
            f"What {at.release.release} accepts is known approximately: docs/edgellm.md."
        )
    return tuple(warnings)


def _hits(defect: Defect, at: Given) -> bool:
    return (
        defect.effect != "answered"
        and (not defect.targets or at.target.name in defect.targets)
        and (not defect.quantizations or at.checkpoint.quantization in defect.quantizations)
    )


def _of_checkpoint(at: Given) -> tuple[str, ...]:
    checkpoint, warnings = at.checkpoint, []
    if not checkpoint.files:
        warnings.append(
            "Planned from published facts, not from files: give the weights' folder with "
            "--checkpoint before relying on it."
        )
    if at.shape.head_dim not in ATTENTION_HEADS:
        warnings.append(
            f"Attention heads of {at.shape.head_dim} have no kernel in Edge-LLM (known: "
            f"{', '.join(map(str, sorted(ATTENTION_HEADS)))}): this checkpoint can be exported and "
            "checked, and its engine will not run."
        )
    if checkpoint.quantization == "F32":
        warnings.append("Weights stored as F32 are stored as F16 first: the exporter reads no F32.")
    elif checkpoint.quantization == "BF16":
        warnings.append("BF16 weights become FP16 in the engine; the build checks that all fit.")
    if at.precision == "nvfp4":
        warnings.append(
            "This model in NVFP4 has published figures on Thor and is not a published checkpoint "
            "of Edge-LLM's list; its graph is checked, its numbers are not."
        )
    return tuple(warnings)
