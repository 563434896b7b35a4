"""Plan for llama.cpp's server on a processor: every setting chosen, with reason and source."""

from dataclasses import dataclass
from typing import cast

from trt_nemotron.deploy.checkpoint.embedded import EMBEDDED_NAME
from trt_nemotron.deploy.checkpoint.ggml_types import GGML_TYPES_BY_NAME
from trt_nemotron.deploy.checkpoint.values import Checkpoint, TensorGroup
from trt_nemotron.deploy.choices import ASKED_FOR, Choices
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.memory import reserve_line
from trt_nemotron.deploy.plan import Ledger, Plan
from trt_nemotron.deploy.planned import EMBEDDED_WARNING, planned_checkpoint
from trt_nemotron.deploy.runtimes.llamacpp.fixed_choices import (
    KV_STORAGE,
    MICRO_BATCH_TOKENS,
    STATE_CHECKPOINTS,
    choose_fixed,
)
from trt_nemotron.deploy.runtimes.llamacpp.ledger import (
    ServerSizes,
    padded_context,
    server_lines,
    stored_groups,
)
from trt_nemotron.deploy.runtimes.llamacpp.storage import AS_IS, PRECISIONS, Precision
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.sizes import gib
from trt_nemotron.deploy.sizing import LEAST_CONTEXT, Fits, Sizing, choose_sizing, nearest_sizings
from trt_nemotron.deploy.threads import choose_threads
from trt_nemotron.deploy.wishes import check_wishes
from trt_nemotron.errors import InvalidInput, PlanRefused
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import Target

_DEFAULT_PRECISIONS: tuple[Precision, ...] = ("f16", "q8_0")


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
        PlanRefused: the checkpoint cannot be represented, or nothing that was asked for fits; the
            nearest setting that works is named.
    """
    check_wishes(wishes, checkpoint.shape, machine)
    _refuse_too_many_slots(wishes, release)
    _refuse_unrepresentable(checkpoint)
    situation = _Situation(target, machine, checkpoint, release)
    option = _choose(situation, wishes)
    threads = choose_threads(
        wishes.threads, sum(group.size_bytes for group in option.groups), machine
    )
    choices = Choices(release)
    _choose_sizes(choices, option, checkpoint, wishes)
    choices.add("n_threads", threads.threads, threads.reason, source=threads.source)
    choices.add("n_threads_batch", threads.threads, "As for decoding.", source=threads.source)
    choose_fixed(choices)
    return Plan(
        target=target.name,
        runtime="llamacpp",
        release=release.release,
        checkpoint=planned_checkpoint(checkpoint),
        precision=option.precision or AS_IS,
        served_model_name=wishes.served_model_name or checkpoint.name,
        choices=choices.all(),
        ledger=situation.ledger(option),
        warnings=_warnings(checkpoint, option, wishes),
    )


@dataclass(frozen=True, slots=True)
class _Option:
    """One way to serve: a precision (`None`: the file as it is) and a sizing."""

    precision: Precision | None
    groups: tuple[TensorGroup, ...]
    sizing: Sizing

    def sizes(self) -> ServerSizes:
        return ServerSizes(
            slots=self.sizing.slots,
            context_per_slot=padded_context(self.sizing.context),
            micro_batch_tokens=MICRO_BATCH_TOKENS,
            kv_storage=GGML_TYPES_BY_NAME[KV_STORAGE.upper()],
            state_checkpoints=STATE_CHECKPOINTS,
            prompt_cache_bytes=0,
        )


@dataclass(frozen=True, slots=True)
class _Situation:
    """What stays the same while options are weighed."""

    target: Target
    machine: Machine
    checkpoint: Checkpoint
    release: RuntimeRelease

    def ledger(self, option: _Option) -> Ledger:
        figure = self.target.memory_total_bytes
        total = int(figure.value) if figure else self.machine.memory_total_bytes
        lines = server_lines(
            self.checkpoint.shape,
            option.groups,
            option.sizes(),
            self.machine.architecture,
            self.release,
        )
        reserve = reserve_line(int(self.target.reserve_bytes.value), total)
        return Ledger(lines=(*lines, reserve), memory_total_bytes=total)

    def option(self, precision: Precision | None, sizing: Sizing) -> _Option:
        return _Option(precision, stored_groups(self.checkpoint, precision), sizing)

    def fits(self, precision: Precision | None) -> Fits:
        """Whether a sizing fits, for weights in `precision`."""
        groups = stored_groups(self.checkpoint, precision)

        def is_fitting(sizing: Sizing) -> bool:
            return self.ledger(_Option(precision, groups, sizing)).headroom_bytes >= 0

        return is_fitting


def _choose(situation: _Situation, wishes: Wishes) -> _Option:
    """The first option that fits: precision before slots before context."""
    checkpoint = situation.checkpoint
    longest = checkpoint.shape.longest_context
    precisions = _precisions(checkpoint, wishes.precision)
    for precision in precisions:
        fits = situation.fits(precision)
        sizing = choose_sizing(wishes.slots, wishes.context_tokens, longest, fits)
        if sizing is not None:
            return situation.option(precision, sizing)
    raise _refusal(situation, wishes, precisions)


def _precisions(checkpoint: Checkpoint, wished: str | None) -> tuple[Precision | None, ...]:
    if checkpoint.format == "gguf":
        if wished not in {None, AS_IS}:
            raise InvalidInput(
                f"a GGUF file cannot be planned with --precision {wished}",
                evidence=f"{checkpoint.name} is stored as {checkpoint.quantization} and served so",
                next_step=f"Leave --precision out (or say {AS_IS}), or give the safetensors "
                "checkpoint.",
            )
        return (None,)
    if wished is None:
        return _DEFAULT_PRECISIONS
    if wished not in PRECISIONS:
        raise InvalidInput(
            f"there is no precision '{wished}' for a safetensors checkpoint",
            evidence=f"known: {', '.join(PRECISIONS)}",
            next_step=_nearest_precision(wished),
        )
    return (cast("Precision", wished),)


def _nearest_precision(wished: str) -> str:
    import difflib

    synonyms = {"fp32": "f32", "float32": "f32", "fp16": "f16", "float16": "f16",
                "int8": "q8_0", "q8": "q8_0", "fp8": "q8_0"}  # fmt: skip
    nearest = difflib.get_close_matches(wished.lower(), PRECISIONS, n=1, cutoff=0.3)
    return f"Try --precision {synonyms.get(wished.lower()) or (nearest or ['f16'])[0]}"


def _refuse_too_many_slots(wishes: Wishes, release: RuntimeRelease) -> None:
    most = int(release.setting("n_parallel").maximum or 1)
    if wishes.slots is not None and wishes.slots > most:
        raise PlanRefused(
            f"{wishes.slots} slots are more than llama.cpp has",
            evidence=release.setting("n_parallel").trap,
            next_step=f"The most that works: --slots {most}",
        )


def _refuse_unrepresentable(checkpoint: Checkpoint) -> None:
    shape = checkpoint.shape
    if not shape.attention_layers or not shape.mamba_layers:
        raise PlanRefused(
            "llama.cpp cannot serve a NemotronH without attention or without Mamba layers",
            evidence=f"layers: {shape.pattern}; its server ends with GGML_ASSERT(buffer)",
            next_step="Use a checkpoint that has both, or --runtime transformers.",
        )
    storages = {group.storage for group in checkpoint.groups}
    quantized = "NVFP4" if "NVFP4" in storages else "FP8"
    if checkpoint.format == "safetensors" and any(kind.startswith("F8_") for kind in storages):
        raise PlanRefused(
            f"an {quantized} checkpoint cannot be converted for llama.cpp",
            evidence=f"{checkpoint.name} holds {', '.join(sorted(storages))}",
            next_step="Use the BF16 checkpoint or NVIDIA's published GGUF.",
        )


def _refusal(
    situation: _Situation, wishes: Wishes, precisions: tuple[Precision | None, ...]
) -> PlanRefused:
    """Says by how much it does not fit, where the bytes go, and the nearest settings that do."""
    checkpoint = situation.checkpoint
    wanted = Sizing(wishes.slots or 1, wishes.context_tokens or LEAST_CONTEXT)
    ledger = situation.ledger(situation.option(precisions[-1], wanted))
    largest = sorted(ledger.lines, key=lambda line: -line.size_bytes)[:3]
    parts = ", ".join(f"{line.name} {gib(line.size_bytes)}" for line in largest)
    return PlanRefused(
        f"{checkpoint.name} does not fit with {wanted.slots} slots of {wanted.context} tokens"
        if wishes.slots or wishes.context_tokens
        else f"{checkpoint.name} does not fit on this machine",
        evidence=f"needs {gib(ledger.needed_bytes)}, there are "
        f"{gib(ledger.memory_total_bytes)}; the largest parts: {parts}",
        next_step=_alternatives(situation, wanted, precisions),
    )


def _alternatives(
    situation: _Situation, wanted: Sizing, precisions: tuple[Precision | None, ...]
) -> str:
    checkpoint = situation.checkpoint
    others: tuple[Precision | None, ...] = (
        () if checkpoint.format == "gguf" or "q8_0" in precisions else ("q8_0",)
    )
    for precision in (*precisions, *others):
        fits = situation.fits(precision)
        suffix = f" --precision {precision}" if precision in others else ""
        if fits(wanted):
            return f"Fits with {wanted.as_options()}{suffix}"
        found = nearest_sizings(wanted, fits)
        if found:
            return "Fits with " + " or ".join(f"{each.as_options()}{suffix}" for each in found)
    return "Use a smaller quantization (NVIDIA's Q4_K_M GGUF), or a machine with more memory."


def _choose_sizes(
    choices: Choices, option: _Option, checkpoint: Checkpoint, wishes: Wishes
) -> None:
    sizes = option.sizes()
    asked = wishes.context_tokens
    if asked is None:
        longest = checkpoint.shape.longest_context
        why = (
            "the most the model has"
            if option.sizing.context == longest
            else f"of the {longest:,} the model has; more takes memory in every slot, used or not"
        )
        reason = f"{sizes.context_per_slot:,} tokens for each slot: {why}."
    else:
        rounded = "" if asked == sizes.context_per_slot else ", padded to a multiple of 256"
        reason = f"{sizes.context_per_slot:,} tokens for each slot, as asked for{rounded}."
    choices.add(
        "n_ctx",
        sizes.context_total,
        f"{reason} llama.cpp counts all slots together.",
        source=ASKED_FOR if asked is not None else "memory ledger",
    )
    choices.add(
        "n_parallel",
        sizes.slots,
        "Requests answered at once; each slot holds a state of fixed size.",
        source=ASKED_FOR if wishes.slots is not None else "memory ledger",
    )


def _warnings(checkpoint: Checkpoint, option: _Option, wishes: Wishes) -> tuple[str, ...]:
    found = []
    if checkpoint.name == EMBEDDED_NAME:
        found.append(EMBEDDED_WARNING)
    if wishes.precision is None and option.precision == "q8_0":
        found.append("Weights are stored as q8_0, because f16 does not fit on this machine.")
    if wishes.slots is None and option.sizing.slots == 1:
        found.append("Memory leaves room for one request at a time; further ones wait.")
    return tuple(found)
