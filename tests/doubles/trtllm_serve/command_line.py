"""The command line of `trtllm-serve`, as real click options built from the release's flags.

`serve` is the default command of the group, and errors name the program as it was called:
`DefaultGroup` in tensorrt_llm/commands/serve.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from tests.doubles.trtllm_serve.contract import Contract, Entry

PROGRAM = "trtllm-serve"
_TYPES: dict[str, click.ParamType] = {"int": click.INT, "float": click.FLOAT, "str": click.STRING}


@dataclass(frozen=True)
class Typed:
    """What stood on the command line.

    Attributes:
        values: every flag with what it has, typed or not, by the flag's name.
        typed: names of the flags that were really typed.
    """

    model: str
    values: Mapping[str, Any]
    typed: frozenset[str]


def command(contract: Contract, act: Callable[[Typed], None]) -> click.Group:
    """The program; `act` is called with what was typed."""
    options = [_option(flag) for flag in contract.flags.values()]
    names = {option.name: flag for option, flag in zip(options, contract.flags, strict=True)}

    @click.pass_context
    def serve(context: click.Context, /, model: str, **values: Any) -> None:
        typed = frozenset(
            names[name]
            for name in values
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        )
        act(Typed(model, {names[name]: value for name, value in values.items()}, typed))

    argument = click.Argument(["model"], type=click.STRING)
    inner = _Command("serve", callback=serve, params=[argument, *options])
    return _DefaultGroup(PROGRAM, commands={"serve": inner})


class _Command(click.Command):
    """Says an unknown option as click 8.1 does, which the releases come with."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as fault:
            meant = sorted(fault.possibilities or ())
            advice = f" Did you mean {meant[0]}?" if len(meant) == 1 else ""
            if len(meant) > 1:
                advice = f" (Possible options: {', '.join(meant)})"
            raise click.UsageError(f"No such option: {fault.option_name}{advice}", ctx) from fault


class _DefaultGroup(click.Group):
    """A first word that is no command and no option is the model of `serve`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args.insert(0, "serve")
        return super().parse_args(ctx, args)


def _option(flag: Entry) -> click.Option:
    spellings = [flag["name"], *flag.get("aliases", ())]
    off = [it for it in spellings if it.startswith("--no-")]
    default = flag.get("default")
    if flag["type"] == "bool":
        on = [it for it in spellings if it not in off]
        declared = [f"{on[0]}/{off[0]}", *on[1:]] if off else on
        return click.Option(declared, is_flag=True, default=bool(default))
    kind = click.Choice(flag["allowed"]) if flag.get("allowed") else _TYPES[flag["type"]]
    many = bool(flag.get("is_repeatable"))
    return click.Option(
        spellings, type=kind, multiple=many, default=() if many else default, show_default=True
    )
