"""Plan for `trtllm-serve`: every setting chosen, checked against the release, with its reason."""

from dataclasses import replace
from functools import partial

from trt_nemotron.deploy.checkpoint.embedded import EMBEDDED_NAME
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.planned import EMBEDDED_WARNING, planned_checkpoint
from trt_nemotron.deploy.roofline import (
    Roofline,
    concurrencies_up_to,
    contexts_up_to,
    draw_roofline,
)
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.runtimes.trtllm import card, choosing
from trt_nemotron.deploy.runtimes.trtllm.checking import check_settings
from trt_nemotron.deploy.runtimes.trtllm.given import read_given
from trt_nemotron.deploy.runtimes.trtllm.goals import check_goal, judge_batch, largest_batch
from trt_nemotron.deploy.runtimes.trtllm.ledger import Caps, Sizes, graph_sizes, ledger
from trt_nemotron.deploy.runtimes.trtllm.measured import read_measured
from trt_nemotron.deploy.runtimes.trtllm.profiles import CARD, Profile, find_profile
from trt_nemotron.deploy.runtimes.trtllm.settings import Settings
from trt_nemotron.deploy.runtimes.trtllm.situation import Situation
from trt_nemotron.deploy.runtimes.trtllm.sizing import Asked, Fitting, choose_sizes
from trt_nemotron.deploy.runtimes.trtllm.standing import judge_standing
from trt_nemotron.deploy.sizing import DEFAULT_CONTEXT
from trt_nemotron.deploy.wishes import check_board_wishes
from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import Target

KNOWN_WISHES = frozenset(
    {"precision", "release", "profile", "max_concurrency", "max_seq_len", "slo", "settings",
     "overrides", "observed"}
)  # fmt: skip
_INSTEAD = {"context_tokens": "Say --max-seq-len.", "slots": "Say --max-concurrency."}
_PRECISIONS = {"F8_E4M3": "fp8"}
_GOAL_STEP_TOKENS = 2048
_KV = "kv_cache_config."


def precision_of(checkpoint: Checkpoint) -> str:
    """How a plan calls the form of the weights: `bf16`, `fp8`, `nvfp4`."""
    return _PRECISIONS.get(checkpoint.quantization, checkpoint.quantization.casefold())


def plan(target: Target, checkpoint: Checkpoint, wishes: Wishes, release: RuntimeRelease) -> Plan:
    """Choose every setting of the server for `checkpoint` on `target`.

    Raises:
        InvalidInput: a wish or a setting that cannot be accepted.
        PlanRefused: it cannot fit, is known to break, or cannot keep a goal; the nearest that works
            is named.
    """
    _check_wishes(wishes, checkpoint)
    profile = find_profile(wishes.profile)
    if profile.name == CARD:
        card.refuse_changes(wishes)
    settings = Settings(release, read_given(wishes, release))
    at = replace(
        _situation(target, checkpoint, release, settings, profile),
        measured=read_measured(wishes, target, checkpoint.shape, release),
    )
    warnings = list(judge_standing(at, wishes))
    context = _expected_context(settings, wishes, at)
    roofline = _roofline(at)
    warnings += check_goal(wishes.slo, roofline)
    fitting = _fitting(at, settings, profile, wishes, roofline)
    warnings += judge_batch(wishes.slo, roofline, fitting.sizes.batch, context)
    warnings += card.WARNINGS if profile.name == CARD else _fullness(fitting)
    served_name = wishes.served_model_name or checkpoint.name
    _put_all(
        settings, at=at, fitting=fitting, profile=profile, wishes=wishes, served_name=served_name
    )
    warnings += check_settings(settings, at, wishes.overrides_name)
    if checkpoint.name == EMBEDDED_NAME:
        warnings.insert(0, EMBEDDED_WARNING)
    return Plan(
        target=target.name,
        runtime="trtllm",
        release=release.release,
        checkpoint=planned_checkpoint(checkpoint),
        precision=precision_of(checkpoint),
        served_model_name=served_name,
        choices=settings.all(),
        ledger=ledger(at, fitting.sizes, fitting.caps),
        warnings=tuple(warnings),
        roofline=_roofline(at, fitting.sizes),
    )


def _check_wishes(wishes: Wishes, checkpoint: Checkpoint) -> None:
    check_board_wishes(wishes, checkpoint.shape, KNOWN_WISHES, "trtllm", _INSTEAD)
    if wishes.precision not in {None, "as-is", precision_of(checkpoint)}:
        raise InvalidInput(
            f"TensorRT-LLM serves a checkpoint in the form that it has, not as {wishes.precision}",
            evidence=f"{checkpoint.name} is stored as {checkpoint.quantization}",
            next_step="Leave --precision out, or give the checkpoint of that form.",
        )


def _situation(
    target: Target,
    checkpoint: Checkpoint,
    release: RuntimeRelease,
    settings: Settings,
    profile: Profile,
) -> Situation:
    state = settings.given(f"{_KV}mamba_ssm_cache_dtype")
    kv = settings.given(f"{_KV}dtype")
    is_card = profile.name == CARD
    return Situation(
        target=target,
        checkpoint=checkpoint,
        release=release,
        kv_dtype=str(kv) if kv else "auto" if is_card else checkpoint.kv_cache or "auto",
        state_dtype=str(state) if state else "auto" if is_card else "float32",
    )


def _number(settings: Settings, key: str) -> int | None:
    value = settings.given(key)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _expected_context(settings: Settings, wishes: Wishes, at: Situation) -> int:
    """Half of the longest sequence: what a sequence attends to on average, while it grows."""
    longest = wishes.max_seq_len or _number(settings, "max_seq_len")
    return max((longest or min(DEFAULT_CONTEXT, at.shape.longest_context)) // 2, 1)


def _roofline(at: Situation, sizes: Sizes | None = None) -> Roofline | None:
    return draw_roofline(
        at.gpu,
        weight_bytes=at.read_weight_bytes,
        state_bytes=at.state_bytes,
        kv_token_bytes=at.kv_token_bytes,
        concurrencies=concurrencies_up_to(sizes.batch) if sizes else (),
        contexts=contexts_up_to(sizes.seq_len) if sizes else (),
        basis="files" if at.checkpoint.files else "facts",
    )


def _fitting(
    at: Situation,
    settings: Settings,
    profile: Profile,
    wishes: Wishes,
    roofline: Roofline | None,
) -> Fitting:
    is_card = profile.name == CARD
    most = profile.concurrency(is_unified=at.gpu.is_memory_unified)
    if roofline is not None:
        most = largest_batch(wishes.slo, roofline, most, _expected_context(settings, wishes, at))
    asked = Asked(
        batch=wishes.max_concurrency
        or _number(settings, "max_batch_size")
        or (card.CARD_BATCH if is_card else None),
        seq_len=wishes.max_seq_len
        or _number(settings, "max_seq_len")
        or (at.shape.longest_context if is_card else None),
        caps=Caps() if is_card else _given_caps(settings),
        most_batch=most,
    )
    has_goal = wishes.slo is not None and wishes.slo.tpot_ms is not None
    wanted = min(profile.step_tokens, _GOAL_STEP_TOKENS) if has_goal else profile.step_tokens
    step_tokens = _number(settings, "max_num_tokens") or wanted
    return choose_sizes(at, asked, partial(_shaped, settings, step_tokens, is_card))


def _given_caps(settings: Settings) -> Caps | None:
    keys = tuple(
        f"{_KV}{name}" for name in ("free_gpu_memory_fraction", "max_tokens", "max_gpu_total_bytes")
    )
    if not settings.is_given(*keys):
        return None
    fraction = settings.given(keys[0])
    return Caps(
        fraction=float(fraction) if isinstance(fraction, int | float) else None,
        tokens=_number(settings, keys[1]),
        pool_bytes=_number(settings, keys[2]),
    )


def _shaped(
    settings: Settings, step_tokens: int, has_padding: bool, batch: int, seq_len: int
) -> Sizes:
    """Sizes that follow from a batch and a length, the user's graphs among them."""
    sizes = settings.given("cuda_graph_config.batch_sizes")
    if isinstance(sizes, list):
        graphs = tuple(size for size in sizes if isinstance(size, int))
    elif settings.is_given("cuda_graph_config"):
        graphs = ()
    else:
        given = settings.given("cuda_graph_config.enable_padding")
        is_padded = given if isinstance(given, bool) else batch > choosing.UNPADDED_BATCH
        largest = _number(settings, "cuda_graph_config.max_batch_size") or batch
        graphs = graph_sizes(largest, has_padding=has_padding or is_padded)
    return Sizes(batch=batch, seq_len=seq_len, step_tokens=max(step_tokens, batch), graphs=graphs)


def _fullness(fitting: Fitting) -> tuple[str, ...]:
    sizes = fitting.sizes
    if fitting.full_sequences >= sizes.batch:
        return ()
    return (
        (
            f"The KV cache holds {fitting.tokens:,} tokens: {fitting.full_sequences} of "
            f"{sizes.batch} sequences at {sizes.seq_len:,} tokens at once; when all grow so long, "
            "some wait."
        ),
    )


def _put_all(
    settings: Settings,
    *,
    at: Situation,
    fitting: Fitting,
    profile: Profile,
    wishes: Wishes,
    served_name: str,
) -> None:
    if profile.name == CARD:
        card.put_recipe(settings)
        choosing.put_safe_flags(settings, served_name)
    else:
        choosing.put_sizes(settings, at, fitting, profile, wishes)
        choosing.put_cache(settings, at, fitting)
        choosing.put_engine(settings, at.shape.expert_layers)
        choosing.put_flags(settings, served_name)
    choosing.put_variables(settings, at, profile)
