"""Options of `gate` for A against B, and which of its ways of working go with which option."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from trt_nemotron.cli.paths import FOLDER
from trt_nemotron.cli.seconds import Seconds

ResultT = TypeVar("ResultT")

_OPTIONS = (
    click.option(
        "--ab",
        nargs=2,
        type=FOLDER,
        metavar="A B",
        help="Start two bundles and measure them in turn: A as it was, B with the change.",
    ),
    click.option(
        "--ab-urls", nargs=2, metavar="A B", help="The same for two servers that are up already."
    ),
    click.option("--ab-replay", type=FOLDER, help="Judge a kept A/B gate again."),
    click.option(
        "--serving",
        type=click.Choice(["auto", "together", "in-turn"]),
        default="auto",
        show_default=True,
        help="Of --ab: both servers up, or one start for each run.",
    ),
    click.option(
        "--max-pairs",
        type=click.IntRange(1, 1000),
        help="Of A/B: the cap.  [default: 480 pairs of requests, 120 of runs]",
    ),
    click.option(
        "--requests",
        type=click.IntRange(7, 10_000),
        help="Of A/B: measure runs of so many requests in turn.  [default: single requests in "
        "turn where one stream is bounded and both servers are up]",
    ),
    click.option("--seed", type=int, help="Of A/B: of the order.  [default: drawn, and recorded]"),
    click.option("--suite", default="", help="Of A/B: smoke suite.  [default: by the model]"),
    click.option("--model", default="", help="Of --ab-urls.  [default: the one that is served]"),
    click.option("--api-key-env", metavar="NAME", help="Of --ab-urls: variable holding the key."),
    click.option(
        "--timeout",
        type=Seconds(),
        default=600.0,
        show_default=True,
        help="Of --ab: seconds that a server may take to become ready.",
    ),
)
_MODES = {
    "measurement": "a MEASUREMENT",
    "ab": "--ab",
    "ab_urls": "--ab-urls",
    "ab_replay": "--ab-replay",
    "self_test": "--self-test",
}
_JUDGING = ("measurement", "ab", "ab_urls", "ab_replay")
_GOES_WITH: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("smoke", "baseline", "baseline_store", "bundle"), ("measurement",)),
    **dict.fromkeys(
        ("serving", "timeout", "engine", "image", "pull", "host_network", "secret_names"), ("ab",)
    ),
    **dict.fromkeys(("model", "api_key_env"), ("ab_urls",)),
    **dict.fromkeys(("max_pairs", "requests", "seed", "suite"), ("ab", "ab_urls")),
    **dict.fromkeys(("budget", "out", "junit", "markdown", "openmetrics", "github"), _JUDGING),
}
_PARTS = (
    "ab", "ab_urls", "ab_replay", "serving", "max_pairs", "requests", "seed", "suite", "model",
    "api_key_env", "timeout",
)  # fmt: skip


def ab_options(function: Callable[..., ResultT]) -> Callable[..., ResultT]:
    """Add them to a command; it then takes `wanted_ab`, an `AbWish` or nothing."""

    @functools.wraps(function)
    def with_ab(**parameters: Any) -> ResultT:
        said = {name: parameters.pop(name) for name in _PARTS}
        if not any(said[name] for name in ("ab", "ab_urls", "ab_replay")):
            return function(wanted_ab=None, **parameters)
        from trt_nemotron.cli.gate_ab import AbWish

        return function(wanted_ab=AbWish(**said), **parameters)

    command: Callable[..., ResultT] = with_ab
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_mode(
    measurement: Path | None,
    budget: str | None,
    ab: object | None,
    *,
    is_self_test: bool,
) -> None:
    """One thing at a time.

    Raises:
        click.UsageError: none of the ways of working is named, or several, or an option of another.
    """
    chosen = [bool(measurement), ab is not None, is_self_test]
    if sum(chosen) != 1:
        raise click.UsageError(
            "give one of: MEASUREMENT, --ab A B, --ab-urls A B, --ab-replay DIR, --self-test"
        )
    if measurement is not None and budget is None:
        raise click.UsageError("Missing option '--budget'.")
    _refuse_foreign()


def _refuse_foreign() -> None:
    """An option that the way of working knows nothing of would be passed over without a word."""
    context = click.get_current_context()
    mode = next((name for name in _MODES if context.params[name]), "self_test")
    for parameter in context.command.params:
        goes_with = _GOES_WITH.get(str(parameter.name), ())
        source = context.get_parameter_source(str(parameter.name))
        if goes_with and mode not in goes_with and source is ParameterSource.COMMANDLINE:
            wanted = " and ".join(_MODES[name] for name in goes_with)
            raise click.UsageError(
                f"{parameter.opts[0]} is for {wanted}, not for {_MODES[mode]}", context
            )
