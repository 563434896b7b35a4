"""Whether this board, checkpoint and release may be used together at all, by what is known."""

from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.runtimes.trtllm.situation import Situation
from trt_nemotron.errors import PlanRefused
from trt_nemotron.facts.release import Defect
from trt_nemotron.facts.target import RuntimeSupport


def judge_standing(at: Situation, wishes: Wishes) -> tuple[str, ...]:
    """Warnings about what is known to limit this combination.

    Raises:
        PlanRefused: it is known to break, or is unsupported, and `--experimental` was not said; or
            the checkpoint is of a form that TensorRT-LLM does not load.
    """
    _refuse_foreign_form(at)
    return (*_of_target(at, wishes), *_of_release(at, wishes), *_of_checkpoint(at))


def _refuse_foreign_form(at: Situation) -> None:
    checkpoint, shape = at.checkpoint, at.shape
    if checkpoint.format != "safetensors":
        raise PlanRefused(
            "TensorRT-LLM serves safetensors checkpoints only",
            evidence=f"{checkpoint.name} is a {checkpoint.format} file",
            next_step="Give the safetensors folder, or use a target that runs llama.cpp.",
        )
    if not shape.attention_layers or not shape.mamba_layers:
        raise PlanRefused(
            "the hybrid cache needs attention layers and Mamba layers",
            evidence=f"layers: {shape.pattern}",
            next_step="Use a checkpoint that has both.",
        )


def _of_target(at: Situation, wishes: Wishes) -> tuple[str, ...]:
    support = _support(at)
    if support.status == "supported":
        return ()
    if not wishes.is_experimental:
        raise PlanRefused(
            f"TensorRT-LLM is not supported on {at.target.title}",
            evidence=f"{support.reason} ({support.source})",
            next_step=f"Use --runtime {at.target.runtimes[0].runtime}, or try it all the same with "
            "--experimental.",
        )
    return (f"Experimental: {support.reason} ({support.source})",)


def _support(at: Situation) -> RuntimeSupport:
    for support in at.target.runtimes:
        if support.runtime == at.release.runtime:
            return support
    raise PlanRefused(
        f"TensorRT-LLM is not known for target '{at.target.name}'",
        next_step=f"Use --runtime {at.target.runtimes[0].runtime}.",
    )


def _of_release(at: Situation, wishes: Wishes) -> tuple[str, ...]:
    found = [defect for defect in at.release.defects if _hits(defect, at)]
    is_unsupported = _support(at).status != "supported"
    for defect in found:
        # A board that is unsupported as a whole was refused, or allowed, before.
        if defect.effect == "breaks" and not wishes.is_experimental and not is_unsupported:
            what = f" with {at.checkpoint.quantization} weights" if defect.quantizations else ""
            raise PlanRefused(
                f"{at.release.release} is known to break on {at.target.name}{what}",
                evidence=f"{defect.summary} ({defect.source})",
                next_step=f"{defect.answer} Or try it all the same with --experimental.",
            )
    warnings = [f"{it.summary} {it.answer} ({it.source})" for it in found]
    exactness = at.release.exactness
    if exactness is not None and exactness.value == "approximate":
        warnings.append(
            f"What {at.release.release} accepts is known approximately: docs/trtllm-releases.md."
        )
    return tuple(warnings)


def _hits(defect: Defect, at: Situation) -> bool:
    return (
        defect.effect != "answered"
        and (not defect.targets or at.target.name in defect.targets)
        and (not defect.quantizations or at.checkpoint.quantization in defect.quantizations)
    )


def _of_checkpoint(at: Situation) -> tuple[str, ...]:
    checkpoint, warnings = at.checkpoint, []
    if not checkpoint.files:
        warnings.append(
            "Planned from published facts, not from files: give the weights' folder with "
            "--checkpoint before relying on it."
        )
    if checkpoint.quantization == "NVFP4":
        warnings.append(
            "That TensorRT-LLM serves this model's NVFP4 checkpoint on this board is not confirmed."
        )
    if at.shape.experts is not None:
        warnings.append(
            f"A token visits {at.shape.experts.per_token} of {at.shape.experts.routed} experts, "
            "and the roofline counts no more: a larger batch reads more of them. What is known of "
            "releases was gathered for the dense 4B."
        )
    is_low = checkpoint.quantization in {"F8_E4M3", "NVFP4"}
    if is_low and not checkpoint.stated_quantization:
        warnings.append(
            "The weights are quantized and nothing in the folder says so: without "
            "hf_quant_config.json the server will not know."
        )
    return tuple(warnings)
