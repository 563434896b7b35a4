"""Write docs/rooflines.md: what each board allows at best, and what others measured below it.

python tools/write_rooflines.py            # write the page
python tools/write_rooflines.py --check    # exit 1 when it is not current
"""

import sys
from collections.abc import Iterator

from generated_page import keep_page, linked

from trt_nemotron.deploy.checkpoint.known_model import known_checkpoint
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.roofline import LOWEST_PUBLISHED_SHARE, Roofline
from trt_nemotron.facts.catalogue import load_model, load_target, target_names
from trt_nemotron.facts.figure import Figure
from trt_nemotron.facts.model import PublishedMeasurement
from trt_nemotron.facts.target import Target

MODEL = "nemotron-3-nano-4b"
FORMS = ("BF16", "FP8", "NVFP4")
CONTEXT = 2048
CONCURRENCIES = (1, 8, 32, 64)
INTRO = f"""\
# Rooflines

Written by `tools/write_rooflines.py` from `engine_configs/`; do not edit it.

A step of decoding cannot be shorter than the time in which the board's memory delivers what the
step reads and writes (`trt_nemotron/deploy/roofline.py`):

    step >= (weights + batch x (2 x state + context x KV)) / bandwidth

Weights are all but the token embeddings, of which a step gathers single rows; of routed experts
(the 4B has none) the share that one token visits, the least a batch reads. A sequence's state is
read and written: 83.8 MB with a float32 scan state, 42.5 MB with a 16-bit one. A plan carries its
own roofline, and a measurement above it is a broken measurement.

## The most that a board allows

Tokens a second of all sequences together, and the least step in milliseconds, with a context of
{CONTEXT:,} tokens, float32 states, and the KV cache in the form that the checkpoint has scales for
(FP8) or in BF16 (the others). What the FP8 and NVFP4 checkpoints store in which form was derived
from published facts, not read from files.
"""
MEASURED = f"""
## What others measured

Every published figure lies below. The context is the least that is known; where sequences attended
to more, the true share is higher. The least share, {LOWEST_PUBLISHED_SHARE:.0%}, is what a plan
expects of a step when it is asked to keep a latency.

| device | engine | weights | sequences | context | measured | at most | share |
|---|---|---|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    head = " | ".join(f"x {many}" for many in CONCURRENCIES)
    rule = "|---" * (len(CONCURRENCIES) + 2) + "|"
    boards = "\n".join(_board_rows())
    measured = "\n".join(map(_measured_row, load_model(MODEL).measurements))
    sources = "\n".join(_sources())
    return (
        f"{INTRO}\n| board | weights | {head} |\n{rule}\n{boards}\n{MEASURED}{measured}\n\n"
        f"Sources:\n\n{sources}\n"
    )


def roofline_of(measurement: PublishedMeasurement) -> Roofline:
    """The roofline of the board and the weights that were measured."""
    if measurement.bandwidth_gb_s is not None:
        bandwidth = measurement.bandwidth_gb_s
    else:
        bandwidth = _bandwidth(load_target(measurement.target))
    if measurement.read_bytes:
        bare = _roofline(_checkpoint("BF16"), bandwidth)
        return Roofline(
            bandwidth_gb_s=bare.bandwidth_gb_s,
            weight_bytes=measurement.read_bytes,
            state_bytes=bare.state_bytes,
            kv_token_bytes=bare.kv_token_bytes,
        )
    return _roofline(_checkpoint(measurement.weights), bandwidth)


def share_of(measurement: PublishedMeasurement) -> float:
    """Measured over possible: 1 would be the roof itself."""
    roofline = roofline_of(measurement)
    place = measurement.concurrency, measurement.context_tokens
    if measurement.step_ms is not None:
        return roofline.least_step_ms(*place) / measurement.step_ms
    return (measurement.tokens_s or 0.0) / roofline.most_tokens_s(*place)


def _roofline(checkpoint: Checkpoint, bandwidth: Figure) -> Roofline:
    shape = checkpoint.shape
    return Roofline(
        bandwidth_gb_s=float(bandwidth.value),
        weight_bytes=checkpoint.least_read_bytes,
        state_bytes=shape.ssm_elements_per_slot * 4 + shape.conv_elements_per_slot * 2,
        kv_token_bytes=shape.kv_elements_per_token * (1 if checkpoint.kv_cache == "fp8" else 2),
    )


def _checkpoint(form: str) -> Checkpoint:
    found = known_checkpoint(f"{MODEL}-{form}")
    if found is None:
        raise LookupError(f"no variant of {MODEL} is stored as {form}")
    return found


def _bandwidth(target: Target) -> Figure:
    if target.gpu is None:
        raise LookupError(f"{target.name} has no board")
    return target.gpu.bandwidth_gb_s


def _board_rows() -> Iterator[str]:
    for target in map(load_target, target_names()):
        if target.gpu is None:
            continue
        for form in FORMS:
            if form == "NVFP4" and target.gpu.sm == 90:
                continue
            roofline = _roofline(_checkpoint(form), target.gpu.bandwidth_gb_s)
            cells = (_cell(roofline, many) for many in CONCURRENCIES)
            yield f"| {target.name} | {form} | {' | '.join(cells)} |"


def _cell(roofline: Roofline, many: int) -> str:
    rate, step = roofline.most_tokens_s(many, CONTEXT), roofline.least_step_ms(many, CONTEXT)
    return f"{rate:,.0f} ({step:.2f} ms)"


def _measured_row(measurement: PublishedMeasurement) -> str:
    roofline = roofline_of(measurement)
    place = measurement.concurrency, measurement.context_tokens
    if measurement.step_ms is not None:
        measured, most = f"{measurement.step_ms:g} ms", f"{roofline.least_step_ms(*place):.2f} ms"
    else:
        measured = f"{measurement.tokens_s:g} tokens/s"
        most = f"{roofline.most_tokens_s(*place):,.0f} tokens/s"
    return (
        f"| {measurement.device} | {measurement.engine} | {measurement.weights} | "
        f"{measurement.concurrency} | {measurement.context_tokens:,} | {measured} | {most} | "
        f"{share_of(measurement):.0%} |"
    )


def _sources() -> Iterator[str]:
    told: dict[str, str] = {}
    for measurement in load_model(MODEL).measurements:
        told.setdefault(f"{measurement.device}, {measurement.engine}", measurement.source)
    for name, source in told.items():
        yield f"- {name}: {linked(source)}"


if __name__ == "__main__":
    sys.exit(keep_page("rooflines.md", page, "The page of rooflines."))
