"""Options that `plan`, `build` and `check` share: what to plan, on which machine, with what wishes.

A command decorated with `deploy_options` takes the parameters `target`, `runtime`, `checkpoint`,
`precision`, `context`, `slots`, `threads` and `model_name`; `wishes_from` joins the last five.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from trt_nemotron.deploy.runtimes.protocol import Wishes

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])

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
        """The word, where it is begun, and the shell's own files."""
        word = [CompletionItem(EMBEDDED)] if EMBEDDED.startswith(incomplete) else []
        return [*word, CompletionItem(incomplete, type="file")]


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
        help="The device: see `trt-nemotron targets`.",
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
        help="Folder with config.json and *.safetensors, a .gguf file, or `embedded`.",
    ),
    click.option(
        "--precision",
        metavar="TYPE",
        help="How large weights are stored, as f16 or q8_0.  [default: planned]",
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


def deploy_options(function: FunctionT) -> FunctionT:
    """Add the shared options to a command, in this order."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def wishes_from(
    precision: str | None,
    context: int | None,
    slots: int | None,
    threads: int | None,
    model_name: str | None,
) -> "Wishes":
    """What the user asked for, as planning takes it."""
    from trt_nemotron.deploy.runtimes.protocol import Wishes

    return Wishes(
        precision=precision,
        context_tokens=context,
        slots=slots,
        threads=threads,
        served_model_name=model_name,
    )
