"""The texts that a bundle and the ready-made configurations hold, with comments."""

import textwrap

from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.trtllm.choosing import CACHE_ROOT
from trt_nemotron.deploy.runtimes.trtllm.render import environment, server_command, server_file

_WIDTH = 96


def server_file_text(plan: Plan, *, model: str, config: str, revision: str = "") -> str:
    """The file for `trtllm-serve`, headed by what it is for and the command that uses it.

    Args:
        plan: what to render.
        model: the weights as the command is to name them.
        config: the file as the command is to name it.
        revision: of the weights, where `model` is a hub's name.
    """
    header = (
        f"{plan.checkpoint.name} on {plan.target} with TensorRT-LLM {plan.release}, planned by",
        "trt-nemotron. Reasons and sources: `trt-nemotron plan --explain`. To use it by hand:",
        "",
        f"    {server_command(plan, model=model, config=config)}{_pin(revision)}",
        "",
        *_variables(plan),
        *(line for warning in plan.warnings for line in _bullet(warning)),
        *([""] if plan.warnings else []),
    )
    return server_file(plan, header)


def _pin(revision: str) -> str:
    return f" --revision {revision}" if revision else ""


def _variables(plan: Plan) -> list[str]:
    """Variables that a person should set too; places of caches and being offline are their own."""
    named = environment(plan, CACHE_ROOT).items()
    plain = [f"{name}={value}" for name, value in named if CACHE_ROOT not in value]
    kept = [pair for pair in plain if "_OFFLINE=" not in pair]
    return [f"with {' '.join(kept)} in its environment.", ""] if kept else []


def _bullet(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def environment_text(plan: Plan, cache_root: str) -> str:
    """Variables, one a line, as container engines read them with `--env-file`."""
    lines = (f"{name}={value}" for name, value in environment(plan, cache_root).items())
    intro = f"# Mount a volume at {cache_root}: what is compiled is kept from start to start.\n"
    return intro + "".join(f"{line}\n" for line in lines)
