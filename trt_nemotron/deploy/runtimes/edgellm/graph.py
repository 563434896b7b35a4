"""Whether an exported graph is the one that this architecture and precision must have. Pure.

What a graph must hold follows from the network's shape alone: Edge-LLM's exporter ends with exit
code 0 on graphs that are not what was asked for, so nothing else is believed.
"""

from collections.abc import Iterator

from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.runtimes.edgellm.values import (
    Difference,
    GraphReport,
    Tensor,
    WeightReport,
)
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.errors import CheckFailed

FP32_TOLERANCE = 2e-3
"""Largest difference of a logit, the graph computed in FP32: what reordered sums may cost."""

FP16_SHARE = 5e-3
"""Largest difference as exported, as a share of the largest logit. Measured on the embedded
checkpoint: 0.1 % (0.022 of 22.9)."""

KV_PAGE_TOKENS = 128
_HALF, _SINGLE = "FLOAT16", "FLOAT"
_SIZE_SLACK = 0.01
_SMALL_BYTES = 1 << 20
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear", "TRT_FP4DynamicQuantize")


def linear_layers(shape: NemotronHShape) -> int:
    """Matrix multiplications with weights: two a Mamba or MLP layer, four an attention layer."""
    return 2 * shape.mamba_layers + 2 * shape.mlp_layers + 4 * shape.attention_layers + 1


def quantized_layers(checkpoint: Checkpoint) -> int:
    """Linear layers whose weights the checkpoint itself stores in FP8 or NVFP4."""
    low = {"F8_E4M3", "NVFP4"}
    return sum(it.tensors for it in checkpoint.groups if it.storage in low and not it.is_scale)


def judge_graph(report: GraphReport, checkpoint: Checkpoint, precision: str) -> None:
    """Refuse a graph that is not this network in this precision.

    Args:
        report: what was read from the graph.
        checkpoint: what was exported.
        precision: `fp16`, `fp8` or `nvfp4`.

    Raises:
        CheckFailed: with what was expected and what was found.
    """
    if report.fault:
        raise _wrong("ONNX's checker refuses it", report.fault)
    _judge_weights(report)
    _judge_operators(report, checkpoint.shape)
    for kind, found, wanted in (
        ("input", report.inputs, tuple(_inputs(checkpoint.shape, checkpoint.kv_cache))),
        ("output", report.outputs, tuple(_outputs(checkpoint.shape, checkpoint.kv_cache))),
    ):
        _judge_tensors(kind, found, wanted)
    _judge_precision(report, checkpoint, precision)
    _judge_size(report, checkpoint, precision)


def judge_weights(report: WeightReport) -> None:
    """Refuse a graph that does not hold the checkpoint's own numbers.

    What the exporter does not find under the name it looks for, it leaves as memory happens to be.

    Raises:
        CheckFailed: naming the first tensors.
    """
    for what, names in (("has other numbers in", report.other), ("lacks", report.missing)):
        if names:
            raise _wrong(
                f"it {what} {len(names)} of the checkpoint's tensors",
                f"{', '.join(names[:3])}; {report.compared} tensors were compared",
            )


def judge_numbers(differences: tuple[Difference, ...]) -> None:
    """Refuse a graph whose logits are not those of Transformers.

    Raises:
        CheckFailed: naming the way of executing it, the difference and the tolerance.
    """
    for it in differences:
        is_exported = it.name == "as_exported"
        tolerance = FP16_SHARE * it.largest_logit if is_exported else FP32_TOLERANCE
        if it.is_finite and it.max_abs_difference <= tolerance and not it.other_argmax:
            continue
        raise CheckFailed(
            "the exported graph computes other logits than Transformers",
            evidence=f"{it.name}: largest difference {it.max_abs_difference:.2e} (allowed "
            f"{tolerance:.2e}), another most likely token on {it.other_argmax} of {it.tokens}"
            + ("" if it.is_finite else ", and some are no numbers"),
            next_step="Do not build an engine from it. Use another release of Edge-LLM, or report "
            "it upstream.",
        )


def _judge_weights(report: GraphReport) -> None:
    if report.weights_beyond_file:
        raise _wrong(
            "its weights are cut off",
            f"beyond the end of the file: {', '.join(report.weights_beyond_file[:3])}",
        )
    if report.weights_not_finite:
        raise _wrong(
            "some weights are no numbers in FP16",
            f"not finite: {', '.join(report.weights_not_finite[:3])}",
        )


def _judge_operators(report: GraphReport, shape: NemotronHShape) -> None:
    wanted = {
        "trt_edgellm.causal_conv1d": shape.mamba_layers,
        "trt_edgellm.update_ssm_state": shape.mamba_layers,
        "trt_edgellm.AttentionPlugin": shape.attention_layers,
    }
    for name, count in wanted.items():
        found = report.operators.get(name, 0)
        if found != count:
            raise _wrong(
                "it has not the operators of this network",
                f"{name}: {found}, the layers {shape.pattern} demand {count}",
            )
    linear = sum(report.linear_types.values())
    if linear != linear_layers(shape):
        raise _wrong(
            "it has not the linear layers of this network",
            f"{linear}, the layers {shape.pattern} demand {linear_layers(shape)}",
        )


def _judge_tensors(kind: str, found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> None:
    there = {tensor.name: tensor for tensor in found}
    for tensor in wanted:
        other = there.get(tensor.name)
        if other is None:
            raise _wrong(f"an {kind} is missing", tensor.name)
        if (other.type, other.shape) != (tensor.type, tensor.shape):
            raise _wrong(
                f"an {kind} is not as this network has it",
                f"{tensor.name} is {other.type} {list(other.shape)}, demanded is {tensor.type} "
                f"{list(tensor.shape)}",
            )


def _judge_precision(report: GraphReport, checkpoint: Checkpoint, precision: str) -> None:
    quantizers = sum(report.operators.get(name, 0) for name in _QUANTIZERS)
    low = sum(n for kind, n in report.linear_types.items() if kind not in {_HALF, _SINGLE})
    wanted = quantized_layers(checkpoint) if precision != "fp16" else 0
    if precision == "fp16" and (low or quantizers):
        raise _wrong("it is quantized, and nobody asked for that", _types(report))
    if precision != "fp16" and low < max(wanted, 1):
        raise CheckFailed(
            f"the exporter wrote a graph that is not quantized to {precision}",
            evidence=f"of its linear layers {low} are quantized, the checkpoint has {wanted}; "
            f"{_types(report)}",
            next_step="Export an already quantized checkpoint; --quantization of the exporter is "
            "ignored for this architecture.",
        )


def _judge_size(report: GraphReport, checkpoint: Checkpoint, precision: str) -> None:
    """Weights and embeddings together are what the ledger counts, to a percent."""
    if precision != "fp16":
        return
    found = sum(report.weight_bytes.values()) + report.embedding_bytes
    wanted = fp16_bytes(checkpoint)
    if abs(found - wanted) > wanted * _SIZE_SLACK + _SMALL_BYTES:
        raise _wrong(
            "its size is not that of this network",
            f"{found:,} bytes of weights and embeddings, the ledger counts {wanted:,}",
        )


def fp16_bytes(checkpoint: Checkpoint) -> int:
    """Every parameter in two bytes; a tied output layer is written out."""
    shape = checkpoint.shape
    tied = shape.vocab_size * shape.hidden_size if shape.is_embedding_tied else 0
    return 2 * (checkpoint.parameters + tied)


def _inputs(shape: NemotronHShape, kv_cache: str) -> Iterator[Tensor]:
    yield Tensor(name="inputs_embeds", type=_HALF, shape=("physical_tokens", shape.hidden_size))
    for name in ("query_lengths", "past_lengths", "state_indices"):
        yield Tensor(name=name, type="INT32", shape=("num_sequences",))
    yield from _states(shape, "past_key_values_", "", kv_cache)


def _outputs(shape: NemotronHShape, kv_cache: str) -> Iterator[Tensor]:
    yield Tensor(name="logits", type=_SINGLE, shape=("num_sequences", shape.vocab_size))
    yield from _states(shape, "present_key_values_", "present_", kv_cache)


def _states(shape: NemotronHShape, kv: str, prefix: str, kv_cache: str) -> Iterator[Tensor]:
    """States are FP16 whatever the checkpoint's `mamba_ssm_cache_dtype` says."""
    kv_type = "FLOAT8E4M3FN" if kv_cache == "fp8" else _HALF
    pages = (2, "num_pages", KV_PAGE_TOKENS, shape.kv_heads, shape.head_dim)
    conv = ("resident_rows", shape.conv_channels, shape.conv_kernel)
    scan = ("resident_rows", shape.mamba_heads, shape.mamba_head_dim, shape.ssm_state_size)
    for index in range(shape.attention_layers):
        yield Tensor(name=f"{kv}{index}", type=kv_type, shape=pages)
    for index in range(shape.mamba_layers):
        yield Tensor(name=f"{prefix}conv_state_{index}", type=_HALF, shape=conv)
        yield Tensor(name=f"{prefix}recurrent_state_{index}", type=_HALF, shape=scan)


def _types(report: GraphReport) -> str:
    counts = (f"{count} {kind}" for kind, count in sorted(report.linear_types.items()))
    return f"linear layers by type: {', '.join(counts)}"


def _wrong(what: str, evidence: str) -> CheckFailed:
    return CheckFailed(
        f"the exported graph is wrong: {what}",
        evidence=evidence,
        next_step="Build again; if it stays so, use another release of Edge-LLM or report it "
        "upstream.",
    )
