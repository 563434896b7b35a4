"""Plan for Edge-LLM: the sizes of the engine and the flags of its server, with their reasons."""

from collections.abc import Iterator

from trt_nemotron.deploy.checkpoint.embedded import EMBEDDED_NAME
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.choices import ASKED_FOR
from trt_nemotron.deploy.plan import Choice, ChoiceValue, Plan
from trt_nemotron.deploy.planned import EMBEDDED_WARNING, planned_checkpoint
from trt_nemotron.deploy.roofline import concurrencies_up_to, contexts_up_to, draw_roofline
from trt_nemotron.deploy.runtimes.edgellm.profiles import Profile, find_profile
from trt_nemotron.deploy.runtimes.edgellm.sizes import (
    EngineSizes,
    Given,
    build_disk_bytes,
    build_memory_bytes,
    expected_prefill_s,
    ledger,
    snapshot_bytes,
)
from trt_nemotron.deploy.runtimes.edgellm.standing import (
    judge_standing,
    payloads_of,
    precision_of,
)
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.sizes import gib
from trt_nemotron.deploy.wishes import check_board_wishes
from trt_nemotron.errors import PlanRefused
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import Target

KNOWN_WISHES = frozenset({"precision", "release", "profile", "max_concurrency", "max_seq_len"})
_INSTEAD = {"context_tokens": "Say --max-seq-len.", "slots": "Say --max-concurrency."}
_LEAST_CAPACITY = 512
_LONGEST_INPUT = 4096
_WORTH_TELLING_BYTES = 1 << 30
_BATCH_ONE = (
    "With a batch of 1 TensorRT 10.13.3.9 (JetPack 7.1) miscompiles unquantized models; 0.11.0 "
    "works around it. Trust the smoke suite, not the build."
)
_GRAPHS_UNKNOWN = (
    "With --enable-in-flight-batching it is not established whether CUDA graphs are captured; the "
    "log of the start is searched for it."
)


def plan(target: Target, checkpoint: Checkpoint, wishes: Wishes, release: RuntimeRelease) -> Plan:
    """Choose every setting for `checkpoint` on `target`.

    Raises:
        InvalidInput: a wish that cannot be accepted.
        PlanRefused: it cannot be built or cannot fit; the nearest that works is named.
    """
    check_board_wishes(wishes, checkpoint.shape, KNOWN_WISHES, "edgellm", _INSTEAD)
    profile = find_profile(wishes.profile)
    at = Given(target, checkpoint, release, precision_of(checkpoint.quantization))
    warnings = list(judge_standing(at, wishes))
    sizes = choose_sizes(at, profile, wishes)
    warnings += _of_building(at) + _of_prefill(at, sizes) + _of_batch(sizes)
    if checkpoint.name == EMBEDDED_NAME:
        warnings.insert(0, EMBEDDED_WARNING)
    served_name = wishes.served_model_name or checkpoint.name
    return Plan(
        target=target.name,
        runtime="edgellm",
        release=release.release,
        checkpoint=planned_checkpoint(checkpoint),
        precision=at.precision,
        served_model_name=served_name,
        choices=tuple(_choices(at, sizes, profile, wishes, served_name)),
        ledger=ledger(at, sizes),
        warnings=tuple(warnings),
        roofline=draw_roofline(
            at.gpu,
            weight_bytes=at.weight_bytes - min(checkpoint.embedding_bytes, at.weight_bytes),
            state_bytes=at.state_bytes,
            kv_token_bytes=at.kv_token_bytes,
            concurrencies=concurrencies_up_to(sizes.batch),
            contexts=contexts_up_to(sizes.capacity),
            basis="files" if checkpoint.files else "facts",
        ),
    )


def choose_sizes(at: Given, profile: Profile, wishes: Wishes) -> EngineSizes:
    """The profile's sizes, halved until they fit where they were not asked for.

    Raises:
        PlanRefused: what was asked for does not fit; the nearest that does is named.
    """
    longest = at.shape.longest_context
    capacity = wishes.max_seq_len or min(profile.capacity, longest)
    batch = wishes.max_concurrency or profile.batch
    while not _fits(at, sizes := _shaped(batch, capacity, profile)):
        if not wishes.max_concurrency and batch > 1:
            batch //= 2
        elif not wishes.max_seq_len and capacity // 2 >= _LEAST_CAPACITY:
            capacity //= 2
        else:
            raise _refusal(at, sizes, profile)
    return sizes


def _shaped(batch: int, capacity: int, profile: Profile) -> EngineSizes:
    """Half of the capacity may be prompt, as long as a prefill of all fits a step."""
    return EngineSizes(
        batch=batch,
        input_tokens=max(min(capacity // 2, _LONGEST_INPUT), 1) if capacity > 1 else 1,
        capacity=capacity,
        snapshots=profile.snapshots * batch,
    )


def _fits(at: Given, sizes: EngineSizes) -> bool:
    return ledger(at, sizes).headroom_bytes >= 0


def _refusal(at: Given, sizes: EngineSizes, profile: Profile) -> PlanRefused:
    bill = ledger(at, sizes)
    fitting = next(
        (batch for batch in range(sizes.batch - 1, 0, -1)
         if _fits(at, _shaped(batch, sizes.capacity, profile))),
        0,
    )  # fmt: skip
    return PlanRefused(
        f"{at.checkpoint.name} does not fit on {at.target.name} with {sizes.batch} sequences of "
        f"{sizes.capacity:,} tokens",
        evidence=f"needs {gib(bill.needed_bytes)}, there are {gib(bill.memory_total_bytes)}",
        next_step=f"Fits with --max-concurrency {fitting} --max-seq-len {sizes.capacity}"
        if fitting
        else "Use a shorter --max-seq-len, or a checkpoint of lower precision.",
    )


def _choices(
    at: Given, sizes: EngineSizes, profile: Profile, wishes: Wishes, served_name: str
) -> Iterator[Choice]:
    """Flags of the server; the engine is built with the same sizes, so that the server takes it."""

    def put(name: str, value: ChoiceValue, reason: str, *, is_asked: bool = False) -> Choice:
        flag = at.release.flag(name)
        return Choice(
            name=name,
            value=value,
            reason=reason or flag.trap,
            source=ASKED_FOR if is_asked else flag.source,
        )

    asked_batch, asked_length = wishes.max_concurrency is not None, wishes.max_seq_len is not None
    yield put("--max-batch-size", sizes.batch, f"Profile {profile.name}: {profile.about}.",
              is_asked=asked_batch)  # fmt: skip
    yield put("--max-input-len", sizes.input_tokens,
              "Prompts up to half of the capacity; the builder's own default is 32.")  # fmt: skip
    yield put("--max-kv-cache-capacity", sizes.capacity,
              f"Prompt and answer of a sequence; {sizes.pages:,} pages of 128 tokens in all. The "
              "builder's own default is 96.", is_asked=asked_length)  # fmt: skip
    yield put("--enable-in-flight-batching", sizes.batch > 1,
              "Requests join a running batch; without it they run one after another. Hybrid models "
              "are on its list.")  # fmt: skip
    yield put("--reasoning-parser", "nemotron", "The model's own form of thoughts.")
    yield put("--tool-call-parser", "nemotron", "The model's own form of tool calls.")
    yield put("--enable-auto-tool-choice", value=True, reason="")
    yield put("--served-model-name", served_name, "The name that clients ask for.")
    if sizes.snapshots:
        states, pages = snapshot_bytes(at, sizes)
        yield put("--enable-context-reuse", value=True,
                  reason="A conversation's next turn starts from its states.")  # fmt: skip
        yield put("--context-cache-recurrent-snapshot-pool-bytes", states, "")
        yield put("--context-cache-partial-kv-snapshot-pool-bytes", pages, "")
    offline = at.release.setting("HF_HUB_OFFLINE")
    yield Choice(
        name=offline.name,
        value=1,
        reason="Everything is in the bundle; nothing is asked of a network.",
        source=offline.source,
    )


def _of_building(at: Given) -> list[str]:
    memory, disk = build_memory_bytes(at), build_disk_bytes(at)
    if memory < _WORTH_TELLING_BYTES:
        return []
    source = at.release.figures["build_ram_per_parameter_bytes"].source
    needs = (
        f"Building takes about {gib(memory)} of memory on the board (four times the "
        f"parameters, {source}) and step one {gib(disk)} of disk."
    )
    if memory <= at.memory_bytes:
        return [needs]
    danger = (
        f"That is more than {at.target.title} has: a build that runs out of memory may log "
        "success and write nothing."
    )
    return [needs, danger]


def _of_prefill(at: Given, sizes: EngineSizes) -> list[str]:
    fast = set.intersection(*(set(it.prefill_head_dims) for it in payloads_of(at)))
    seconds = expected_prefill_s(at, sizes, tuple(fast))
    if seconds is None:
        return []
    source = at.release.figures["slow_prefill_ms_per_layer_3000_tokens"].source
    warning = (
        f"The payload for SM{at.gpu.sm} has no fast prefill for Mamba heads of "
        f"{at.shape.mamba_head_dim} (it has {', '.join(map(str, sorted(fast)))}): reading "
        f"{sizes.input_tokens:,} tokens may take about {seconds:.1f} s, scaled from one published "
        f"figure of Thor ({source})."
    )
    return [warning]


def _of_batch(sizes: EngineSizes) -> list[str]:
    if sizes.batch == 1:
        return [_BATCH_ONE]
    return [_GRAPHS_UNKNOWN]
