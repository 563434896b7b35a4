"""Options of `gate` for A against B, and which of its ways of working go with which option."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from trt_nemotron.cli.seconds import Seconds

ResultT = TypeVar("ResultT")

_FOLDER = click.Path(path_type=Path, file_okay=False)
_OPTIONS = (
    click.option(
        "--ab",
        nargs=2,
        type=_FOLDER,
        metavar="A B",
        help="Start two bundles and measure them in turn: A as it was, B with the change.",
    ),
    click.option(
        "--ab-urls", nargs=2, metavar="A B", help="The same for two servers that are up already."
    ),
    click.option("--ab-replay", type=_FOLDER, help="Judge a kept A/B gate again."),
    click.option(
        "--serving",
        type=click.Choice(["auto", "together", "in-turn"]),
        default="auto",
        show_default=True,
        help="Of --ab: both servers up, or one start for each run.",
    ),
    click.option(
        "--max-pairs", type=click.IntRange(1, 1000), help="Of A/B: the cap.  [default: 120]"
    ),
    click.option("--requests", type=click.IntRange(7, 10_000), help="Of A/B: requests of one run."),
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
    given: dict[str, Any],
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
    if measurement is None:
        foreign = [
            name for name in ("smoke", "baseline", "baseline_store", "bundle") if given[name]
        ]
        if foreign:
            name = foreign[0].replace("_", "-")
            raise click.UsageError(f"--{name} is for a MEASUREMENT")
