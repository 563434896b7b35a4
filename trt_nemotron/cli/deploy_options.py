"""Options that `plan`, `build` and `check` share: what to plan, on which machine, with what wishes.

A command decorated with `deploy_options` takes the parameters `target` (a family such as `h100`
already resolved to the board of this machine), `runtime`, `checkpoint` and `wishes`, which joins
all the others.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from trt_nemotron.cli.paths import ANY_PATH

if TYPE_CHECKING:
    from trt_nemotron.deploy.runtimes.protocol import Wishes

ResultT = TypeVar("ResultT")

EMBEDDED = "embedded"


class CheckpointPath(click.ParamType):  # type: ignore[type-arg] # generic in new versions only
    """A path, or the word `embedded` (which becomes `None`, as planning takes it)."""

    name = "path"

    def convert(
        self,
        value: str | Path,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path | None:
        """The path as given; whether anything is there is said by whoever opens it."""
        return None if str(value) == EMBEDDED else Path(value)

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,
        incomplete: str,
    ) -> list[CompletionItem]:
        """The words that are begun, and the shell's own files."""
        from trt_nemotron.deploy.checkpoint.known_model import known_names

        words = [it for it in (EMBEDDED, *known_names()) if it.startswith(incomplete)]
        return [*map(CompletionItem, words), CompletionItem(incomplete, type="file")]


class Goals(click.ParamType):  # type: ignore[type-arg] # generic in new versions only
    """`ttft_ms=200,tpot_ms=20`: either or both."""

    name = "goals"

    def convert(
        self,
        value: str | dict[str, float],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> dict[str, float]:
        """The goals by name; an unknown, repeated or empty one is refused."""
        if isinstance(value, dict):
            return value
        goals: dict[str, float] = {}
        for part in value.split(","):
            name, _, number = part.strip().partition("=")
            if name not in {"ttft_ms", "tpot_ms"} or name in goals:
                self.fail(f"{part!r}: write ttft_ms=200,tpot_ms=20, each once.", param, ctx)
            try:
                goals[name] = float(number)
            except ValueError:
                self.fail(f"{number!r} is no number of milliseconds.", param, ctx)
        return goals


def complete_target(
    ctx: click.Context,
    param: click.Parameter,
    incomplete: str,
) -> list[str]:
    """Targets that begin so."""
    from trt_nemotron.facts.catalogue import target_names

    return [name for name in target_names() if name.startswith(incomplete)]


def complete_runtime(
    ctx: click.Context,
    param: click.Parameter,
    incomplete: str,
) -> list[str]:
    """Runtimes known for the target already given, that begin so."""
    from trt_nemotron.facts.catalogue import load_target, target_names

    target = ctx.params.get("target")
    if target not in target_names():
        return []
    supports = load_target(str(target)).runtimes
    return [it.runtime for it in supports if it.runtime.startswith(incomplete)]


_OPTIONS = (
    click.option(
        "--target",
        required=True,
        metavar="NAME",
        shell_complete=complete_target,
        help="The device: see `trt-nemotron targets`; `h100` is the board of this machine.",
    ),
    click.option(
        "--runtime",
        metavar="NAME",
        shell_complete=complete_runtime,
        help="What serves the model.  [default: the target's own]",
    ),
    click.option(
        "--checkpoint",
        type=CheckpointPath(),
        default=EMBEDDED,
        show_default=True,
        help="Folder with config.json and *.safetensors, a .gguf file, `embedded`, "
        "hub:OWNER/NAME@COMMIT as `trt-nemotron fetch` left it, or, to plan without weights, a "
        "published name such as nemotron-3-nano-4b-fp8.",
    ),
    click.option(
        "--precision",
        metavar="TYPE",
        help="How weights are stored: as f16 or q8_0 (llamacpp), as fp8 (those of the checkpoint "
        "itself: trtllm, edgellm).  [default: planned]",
    ),
    click.option(
        "--context",
        type=int,
        metavar="TOKENS",
        help="Longest prompt and answer of one request.  [default: planned]",
    ),
    click.option(
        "--slots", type=int, metavar="N", help="Requests answered at once.  [default: planned]"
    ),
    click.option("--threads", type=int, metavar="N", help="[default: planned]"),
    click.option(
        "--model-name",
        metavar="NAME",
        help="Name under which the server answers.  [default: the checkpoint's]",
    ),
)


_BOARD_OPTIONS = (
    click.option(
        "--release",
        metavar="VERSION",
        help="Release of the runtime (trtllm, edgellm).  [default: the target's]",
    ),
    click.option(
        "--max-concurrency",
        type=int,
        metavar="N",
        help="Sequences decoded together (trtllm, edgellm).  [default: the profile's]",
    ),
    click.option(
        "--max-seq-len",
        type=int,
        metavar="TOKENS",
        help="Longest prompt and answer of one request (trtllm, edgellm).  [default: planned]",
    ),
    click.option(
        "--slo",
        type=Goals(),
        metavar="GOALS",
        help="Latencies to keep, as ttft_ms=200,tpot_ms=20 (trtllm).",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set a key of the server's file, as kv_cache_config.max_tokens=65536 (trtllm).",
    ),
    click.option(
        "--override",
        type=ANY_PATH,
        metavar="FILE",
        help="A file of such keys, put over the plan (trtllm).",
    ),
    click.option(
        "--observed",
        type=ANY_PATH,
        metavar="FILE",
        help="observed.json of a bundle that was started: plan with what it measured (trtllm).",
    ),
    click.option(
        "--experimental",
        is_flag=True,
        help="Try what is known not to be supported (trtllm, edgellm).",
    ),
)

_WISHES = {
    "precision": "precision",
    "context": "context_tokens",
    "slots": "slots",
    "threads": "threads",
    "model_name": "served_model_name",
    "release": "release",
    "intent": "profile",
    "max_concurrency": "max_concurrency",
    "max_seq_len": "max_seq_len",
    "slo": "slo",
    "settings": "settings",
    "override": "overrides",
    "observed": "observed",
    "experimental": "is_experimental",
}
"""Parameter -> field of `Wishes`."""


def deploy_options(
    function: Callable[..., ResultT], *, profile_flag: str = "--profile"
) -> Callable[..., ResultT]:
    """Add the shared options to a command; it then takes `target` and `wishes`.

    Args:
        function: the command's.
        profile_flag: how the intent is said, where `--profile` says something else.
    """

    @functools.wraps(function)
    def with_wishes(**parameters: Any) -> ResultT:
        from trt_nemotron.deploy.boards import resolve_target

        said = {field: parameters.pop(name) for name, field in _WISHES.items()}
        parameters["target"] = resolve_target(parameters["target"])
        return function(wishes=_wishes(said), **parameters)

    profile = click.option(
        profile_flag,
        "intent",
        metavar="NAME",
        help="What it is for (trtllm, edgellm): latency, balanced, throughput, or, for trtllm, "
        "card, the model card's recipe.  [default: balanced]",
    )
    command: Callable[..., ResultT] = with_wishes
    for option in reversed((*_OPTIONS, profile, *_BOARD_OPTIONS)):
        command = option(command)
    return command


def _wishes(said: dict[str, Any]) -> "Wishes":
    """What the user asked for, as planning takes it."""
    from trt_nemotron.deploy.runtimes.protocol import LatencyGoal, Wishes

    goals, file, observed = said.pop("slo"), said.pop("overrides"), said.pop("observed")
    return Wishes(
        **said,
        slo=LatencyGoal(**goals) if goals else None,
        overrides=None if file is None else _text_of(file),
        overrides_name="" if file is None else str(file),
        observed=None if observed is None else _text_of(observed),
        observed_name="" if observed is None else str(observed),
    )


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        from trt_nemotron.errors import InvalidInput

        raise InvalidInput(
            f"cannot read {file}",
            evidence=str(fault),
            next_step="Check the path, its permissions, and that it is text.",
        ) from fault
