"""Plan for `transformers serve` on a processor: every setting chosen, with reason and source."""

from trt_nemotron.deploy.checkpoint.embedded import EMBEDDED_NAME
from trt_nemotron.deploy.checkpoint.ggml_types import GGML_TYPES_BY_NAME
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.choices import Choices
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.memory import (
    F32_BYTES,
    conv_state_line,
    kv_cache_line,
    process_line,
    reserve_line,
    ssm_state_line,
    weights_line,
)
from trt_nemotron.deploy.plan import Choice, Ledger, LedgerLine, Plan
from trt_nemotron.deploy.planned import EMBEDDED_WARNING, planned_checkpoint
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.deploy.sizes import gib
from trt_nemotron.deploy.sizing import LEAST_CONTEXT, Sizing, choose_sizing, nearest_sizings
from trt_nemotron.deploy.threads import choose_threads
from trt_nemotron.deploy.wishes import check_wishes
from trt_nemotron.errors import InvalidInput, PlanRefused
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import Target

PRECISION = "f32"


def plan(
    target: Target,
    machine: Machine,
    checkpoint: Checkpoint,
    wishes: Wishes,
    release: RuntimeRelease,
) -> Plan:
    """Choose every setting of the server for `checkpoint` on `machine`.

    Raises:
        InvalidInput: a wish that this runtime does not know.
        PlanRefused: a checkpoint or a wish that cannot work here; the nearest that does is named.
    """
    check_wishes(wishes, checkpoint.shape, machine)
    _refuse_unsupported(checkpoint, wishes)
    figure = target.memory_total_bytes
    total = int(figure.value) if figure else machine.memory_total_bytes

    def ledger(sizing: Sizing) -> Ledger:
        lines = _lines(checkpoint.shape, sizing.context, release)
        reserve = reserve_line(int(target.reserve_bytes.value), total)
        return Ledger(lines=(*lines, reserve), memory_total_bytes=total)

    def fits(sizing: Sizing) -> bool:
        return ledger(sizing).headroom_bytes >= 0

    longest = checkpoint.shape.longest_context
    sizing = choose_sizing(1, wishes.context_tokens, longest, fits)
    if sizing is None:
        wanted = Sizing(1, wishes.context_tokens or LEAST_CONTEXT)
        raise _refusal(checkpoint, ledger(wanted), nearest_sizings(wanted, fits))
    return Plan(
        target=target.name,
        runtime="transformers",
        release=release.release,
        checkpoint=planned_checkpoint(checkpoint),
        precision=PRECISION,
        served_model_name=wishes.served_model_name or checkpoint.name,
        choices=_choices(checkpoint.shape, machine, wishes, release),
        ledger=ledger(sizing),
        warnings=_warnings(checkpoint, sizing),
    )


def _refuse_unsupported(checkpoint: Checkpoint, wishes: Wishes) -> None:
    if checkpoint.format != "safetensors":
        raise PlanRefused(
            "transformers serves safetensors checkpoints only",
            evidence=f"{checkpoint.name} is a {checkpoint.format} file",
            next_step="Use --runtime llamacpp, or give the safetensors folder.",
        )
    if checkpoint.quantization.startswith(("F8_", "NVFP4")):
        raise PlanRefused(
            "an FP8 or NVFP4 checkpoint cannot be served by transformers on a processor",
            evidence=f"{checkpoint.name} is stored as {checkpoint.quantization}",
            next_step="Use the BF16 checkpoint.",
        )
    if wishes.precision not in {None, PRECISION}:
        raise InvalidInput(
            f"transformers is planned in {PRECISION} only, not {wishes.precision}",
            evidence=f"on a processor {PRECISION} is the one in which its cached and uncached "
            "logits agree for this architecture",
            next_step=f"Use --precision {PRECISION}, or --runtime llamacpp.",
        )
    if wishes.slots not in {None, 1}:
        raise PlanRefused(
            f"transformers serve has one slot, not {wishes.slots}",
            evidence="without continuous batching, which fails for this architecture, requests "
            "run one after another",
            next_step="Use --slots 1, or --runtime llamacpp.",
        )


def _lines(shape: NemotronHShape, context: int, release: RuntimeRelease) -> tuple[LedgerLine, ...]:
    f32 = GGML_TYPES_BY_NAME["F32"]
    return (
        weights_line(shape.parameters * F32_BYTES, shape.parameters, "F32"),
        kv_cache_line(shape, context, f32),
        ssm_state_line(shape, 1),
        conv_state_line(shape, 1),
        _prefill_line(shape, context),
        process_line(shape, release, "process with torch"),
    )


def _prefill_line(shape: NemotronHShape, context: int) -> LedgerLine:
    """Scratch space of reading a prompt as long as the context, which is read in one piece.

    The reference scan holds, for every token, three rows of chunk x heads (G, L and their product)
    and B and C repeated for every head; the projection and the convolution are held twice.
    """
    chunk = shape.chunk_size or 256
    scan = 3 * chunk * shape.mamba_heads + 2 * shape.mamba_heads * shape.ssm_state_size
    projections = 2 * (shape.mamba_inner_size + shape.conv_channels + shape.mamba_heads)
    row = scan + projections + 4 * shape.hidden_size
    return LedgerLine(
        name="compute",
        size_bytes=context * row * F32_BYTES,
        formula=f"{context:,} tokens x {row:,} x 4 B, an estimate",
        status="assumed",
    )


def _refusal(checkpoint: Checkpoint, ledger: Ledger, nearest: tuple[Sizing, ...]) -> PlanRefused:
    next_step = "Use --runtime llamacpp, which stores weights in half the bytes or less."
    if nearest:
        next_step = f"Fits with --context {nearest[0].context}. Or: {next_step}"
    return PlanRefused(
        f"{checkpoint.name} does not fit on this machine under transformers",
        evidence=f"needs {gib(ledger.needed_bytes)}, there are {gib(ledger.memory_total_bytes)}",
        next_step=next_step,
    )


def _choices(
    shape: NemotronHShape, machine: Machine, wishes: Wishes, release: RuntimeRelease
) -> tuple[Choice, ...]:
    choices = Choices(release)
    threads = choose_threads(wishes.threads, shape.parameters * F32_BYTES, machine)
    choices.add("device", "cpu", "This target has no accelerator.")
    choices.add("dtype", "float32")
    choices.add("OMP_NUM_THREADS", threads.threads, threads.reason, source=threads.source)
    choices.add("continuous-batching", value=False)
    choices.add("reasoning", "auto", "Each request says itself whether to think.")
    choices.add(
        "trust-remote-code", value=False, reason="The architecture is native; no code is fetched."
    )
    choices.add("enable-cors", value=False, reason="No web page needs to talk to it.")
    choices.add("HF_HUB_OFFLINE", 1, "Everything is in the bundle; nothing is asked of a network.")
    return choices.all()


def _warnings(checkpoint: Checkpoint, sizing: Sizing) -> tuple[str, ...]:
    counted = f"memory is counted for one request of {sizing.context:,} tokens"
    found = [
        f"transformers serve runs requests one after another, of any length; {counted}.",
    ]
    if checkpoint.name == EMBEDDED_NAME:
        found.insert(0, EMBEDDED_WARNING)
    else:
        found.append(
            "transformers clamps the time step while reading the prompt and not while decoding "
            "(https://github.com/huggingface/transformers/pull/48989); answers may differ."
        )
    return tuple(found)
