"""The options of `trt-nemotron bench` that say what is sent, and the workload they make."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from trt_nemotron.cli.paths import FILE
from trt_nemotron.errors import InvalidInput

if TYPE_CHECKING:
    from trt_nemotron.measure.bench.figures.summary import Slo
    from trt_nemotron.measure.bench.values import Workload

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])

PROFILE_NAMES = (
    "quick", "standard", "stress", "sweep", "long-context", "agent", "open", "soak",
)  # fmt: skip
_SLO_NAMES = ("ttft_ms", "tpot_ms", "e2e_ms")
_MOST_STREAMS = 256
"""Of an open loop or a ramp that was given no --concurrency."""

_OPTIONS = (
    click.option(
        "--profile",
        type=click.Choice(PROFILE_NAMES),
        default="quick",
        show_default=True,
        help="The workload to start from; the options below change it.",
    ),
    click.option(
        "--concurrency",
        metavar="N,N,...",
        help="Streams at a time, one leg for each; of an open loop the most under way.",
    ),
    click.option("--rate", metavar="R,R,...", help="Open loop: requests per second, one leg each."),
    click.option(
        "--arrivals",
        type=click.Choice(["constant", "poisson"]),
        help="How an open loop spaces its requests.  [default: poisson]",
    ),
    click.option(
        "--trace",
        type=FILE,
        help="Open loop: play the arrivals in this file, seconds or JSON lines.",
    ),
    click.option("--requests", type=int, help="Measured requests for each leg."),
    click.option("--soak", type=float, metavar="SECONDS", help="Measure each leg for so long."),
    click.option(
        "--ramp",
        is_flag=True,
        help="Look for the knee over streams; with --rate and --slo for the highest rate.",
    ),
    click.option("--input-tokens", type=int, help="Length of a prompt."),
    click.option("--input-ladder", metavar="N,N,...", help="Prompt lengths, one leg for each."),
    click.option("--shared-prefix", type=float, help="Share of a prompt that all have in common."),
    click.option("--output-tokens", type=int, help="Length of an answer, which is verified."),
    click.option("--turns", type=int, help="Requests of one conversation."),
    click.option("--think", type=float, help="Seconds between an answer and the next question."),
    click.option("--tools/--no-tools", default=None, help="Offer a tool and require its call."),
    click.option("--warmup", type=int, help="Requests before each leg that do not count."),
    click.option("--seed", type=int, help="Of prompts and arrivals."),
    click.option("--thinking/--no-thinking", default=None, help="Let the model reason first."),
    click.option("--timeout", type=float, help="Seconds that one request may take."),
    click.option("--total-timeout", type=float, help="Seconds that the whole run may take."),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options ask for.

    Attributes:
        trace_s: arrivals to play, in seconds.
        is_ramp: whether the legs are searched for.
    """

    workload: "Workload"
    profile: str
    trace_s: tuple[float, ...] = ()
    is_ramp: bool = False


def workload_options(function: FunctionT) -> FunctionT:
    """Every option that says what is sent; they arrive as keywords, see `read_wish`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def read_wish(given: dict[str, Any]) -> Wish:
    """The workload that the options make of their profile.

    Raises:
        InvalidInput: a value that cannot be measured, or options that contradict each other.
    """
    from trt_nemotron.measure.bench.workload import change_workload, find_profile

    profile, is_ramp = given["profile"], given["ramp"]
    base = find_profile(profile)
    soak_s = base.soak_s if given["soak"] is None else given["soak"]
    if soak_s and given["requests"] is not None:
        raise InvalidInput(
            "a soak goes on for its time, however many requests that takes",
            evidence=f"{soak_s:g} s and --requests {given['requests']}",
            next_step="Leave out --requests, or give --soak 0.",
        )
    arrivals, offsets = _read_arrivals(given, base)
    concurrencies = parse_numbers("--concurrency", given["concurrency"])
    if concurrencies is None and (is_ramp or (arrivals and base.arrivals == "closed")):
        concurrencies = (_MOST_STREAMS,)
    workload = change_workload(
        base,
        **arrivals,
        concurrencies=concurrencies,
        requests_per_concurrency=given["requests"],
        input_tokens=given["input_tokens"],
        input_ladder=_read_ladder(given, base),
        output_tokens=given["output_tokens"],
        warmup_requests=given["warmup"],
        seed=given["seed"],
        is_thinking_enabled=given["thinking"],
        timeout_s=given["timeout"],
        total_timeout_s=_total_timeout(given, base),
        turns=given["turns"],
        think_s=given["think"],
        shared_prefix=given["shared_prefix"],
        has_tools=given["tools"],
        soak_s=given["soak"],
    )
    if is_ramp:
        from trt_nemotron.measure.bench.ramp import order_of

        order_of(workload)
    return Wish(workload, profile, offsets, is_ramp)


def _read_arrivals(
    given: dict[str, Any], base: "Workload"
) -> tuple[dict[str, Any], tuple[float, ...]]:
    """The fields of an open loop, and the offsets of a trace; nothing for a closed loop."""
    rates, kind, path = given["rate"], given["arrivals"], given["trace"]
    if path is not None:
        if rates or kind:
            raise InvalidInput(
                "a trace says itself when requests are sent",
                next_step="Leave out --rate and --arrivals, or --trace.",
            )
        if given["requests"] is not None:
            raise InvalidInput(
                "a trace says itself how many requests there are",
                next_step="Leave out --requests, or --trace.",
            )
        if given["ramp"]:
            raise InvalidInput(
                "a ramp seeks the rate that a trace would give",
                next_step="Leave out --ramp, or --trace.",
            )
        return _read_trace(path, given, base)
    if kind and not rates and base.arrivals == "closed":
        raise InvalidInput("--arrivals goes with --rate", next_step="For example: --rate 0.5,1,2.")
    fields: dict[str, Any] = {}
    if rates:
        fields["rates_rps"] = _parse_rates(rates)
        fields["arrivals"] = kind or ("poisson" if base.arrivals == "closed" else base.arrivals)
    elif kind:
        fields["arrivals"] = kind
    return fields, ()


def _read_trace(
    path: Path, given: dict[str, Any], base: "Workload"
) -> tuple[dict[str, Any], tuple[float, ...]]:
    from trt_nemotron.measure.bench.trace import read_trace
    from trt_nemotron.measure.bench.wire.sources.scheduled import mean_rate_rps

    trace = read_trace(path)
    warmup = base.warmup_requests if given["warmup"] is None else given["warmup"]
    if len(trace.offsets_s) <= warmup:
        raise InvalidInput(
            f"{path} has {len(trace.offsets_s)} arrivals, and the first {warmup} are warm-up",
            next_step="Give a smaller --warmup, or a longer trace.",
        )
    given["requests"] = len(trace.offsets_s) - warmup
    fields = {
        "arrivals": "trace",
        "rates_rps": (round(mean_rate_rps(trace.offsets_s), 6),),
        "trace_sha256": trace.sha256,
    }
    return fields, trace.offsets_s


def _read_ladder(given: dict[str, Any], base: "Workload") -> tuple[int, ...] | None:
    """The ladder that was asked for; nothing where the profile's stays."""
    if given["input_ladder"] is not None and given["input_tokens"] is not None:
        raise InvalidInput(
            "--input-tokens and --input-ladder name two different lengths",
            next_step="Leave one of them out.",
        )
    if given["input_tokens"] is not None and base.input_ladder:
        raise InvalidInput(
            f"--profile {given['profile']} measures a ladder of lengths, and --input-tokens names "
            f"one length",
            evidence=", ".join(f"{length:,}" for length in base.input_ladder),
            next_step=f"Give --input-ladder {given['input_tokens']} for that length alone, or "
            f"another --profile.",
        )
    return parse_numbers("--input-ladder", given["input_ladder"])


def _total_timeout(given: dict[str, Any], base: "Workload") -> float | None:
    """A soak that was asked for by name may take its time."""
    total: float | None = given["total_timeout"]
    if total is None and given["soak"] is not None:
        legs = max(len(base.concurrencies), *(str(v).count(",") + 1 for v in
                   (given["rate"], given["concurrency"], given["input_ladder"])))  # fmt: skip
        soak: float = given["soak"]
        return max(base.total_timeout_s, 2 * legs * soak)
    return total


def _parse_rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(
            "--rate takes numbers", evidence=text, next_step="For example: 0.5,1,2"
        ) from None


def parse_numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    """`1,4,8` as numbers; nothing for nothing.

    Raises:
        InvalidInput: a part that is no whole number.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InvalidInput(
            f"{option} takes whole numbers", evidence=text, next_step="For example: 1,4,8"
        )
    return tuple(int(part) for part in parts)


def parse_slo(text: str | None) -> "Slo | None":
    """`ttft_ms=500,tpot_ms=30` as limits; nothing for nothing.

    Raises:
        InvalidInput: an unknown name, or a limit that is no positive number.
    """
    if text is None:
        return None
    from trt_nemotron.measure.bench.figures.summary import Slo

    limits: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        try:
            limit = float(number)
        except ValueError:
            limit = 0.0
        if name not in _SLO_NAMES or name in limits or not 0.0 < limit < float("inf"):
            raise InvalidInput(
                "--slo takes NAME=MS pairs, each name once",
                evidence=part.strip(),
                next_step=f"Names: {', '.join(_SLO_NAMES)}. For example: ttft_ms=500,tpot_ms=30",
            )
        limits[name] = limit
    return Slo(**limits)


def describe_workload(workload: "Workload") -> str:
    """What would be sent, in words."""
    from trt_nemotron.measure.bench.legs import plan_legs

    count = f"{workload.requests_per_concurrency} requests"
    if workload.soak_s:
        count = f"{workload.soak_s:g} s"
    warmup = workload.warmup_requests
    legs = [
        f"{leg.title}: {warmup if leg.rate_rps else max(warmup, leg.concurrency)} + {count}"
        for leg in plan_legs(workload)
    ]
    more = [f"{workload.output_tokens} out each" if not workload.has_tools
            else "each answer a tool call"]  # fmt: skip
    if not workload.input_ladder:
        more.insert(0, f"{workload.input_tokens} tokens in")
    if workload.arrivals != "closed":
        more.append(f"{workload.arrivals} arrivals, {workload.concurrencies[0]} under way at most")
    if workload.turns > 1:
        more.append(f"conversations of {workload.turns} turns")
    if workload.shared_prefix:
        more.append(f"{workload.shared_prefix:.0%} of a prompt shared")
    return f"{'; '.join(legs)}; {', '.join(more)}"
