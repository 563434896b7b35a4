"""A plan as `trtllm-serve` takes it: the file, the command line and the environment.

Every knob stands in exactly one of the three, because which of two would win changed with
1.3.0rc18 (https://github.com/NVIDIA/TensorRT-LLM/pull/14812).
"""

import shlex
from collections.abc import Iterable
from typing import Any

from trt_nemotron.deploy.plan import Choice, Plan
from trt_nemotron.deploy.runtimes.trtllm.choosing import CACHE_ROOT
from trt_nemotron.deploy.runtimes.trtllm.settings import is_flag, is_key, is_variable

PROGRAM = "trtllm-serve"
CONFIG_FLAG = "--extra_llm_api_options"
"""In every release read; its other name, `--config`, is not."""

_LINE = 96


def server_file(plan: Plan, header: Iterable[str] = ()) -> str:
    """The file's text; `header` lines come first, as comments."""
    import yaml

    tree: dict[str, Any] = {}
    for choice in plan.choices:
        if is_key(choice.name):
            _place(tree, choice)
    body = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=_LINE)
    return "".join(f"# {line}".rstrip() + "\n" for line in header) + body


def server_arguments(
    plan: Plan, *, model: str, config: str, port: int | str, host: str = "127.0.0.1"
) -> tuple[str, ...]:
    """Program and arguments; only what the file cannot say stands here."""
    where = ("--host", host, "--port", str(port), CONFIG_FLAG, config)
    return (PROGRAM, model, *where, *flag_words(it for it in plan.choices if is_flag(it.name)))


def server_command(plan: Plan, *, model: str, config: str, port: int = 8000) -> str:
    """The command line as a person would type it."""
    return shlex.join(server_arguments(plan, model=model, config=config, port=port))


def environment(plan: Plan, cache_root: str) -> dict[str, str]:
    """Variables of the server, with `cache_root` as the folder of compiled artefacts."""
    return {
        choice.name: str(choice.value).replace(CACHE_ROOT, cache_root)
        for choice in plan.choices
        if is_variable(choice.name)
    }


def flag_words(choices: Iterable[Choice]) -> tuple[str, ...]:
    """Flags as words: a switch that is on, its `--no-` form when it is off, else flag and value."""
    words: list[str] = []
    for choice in choices:
        if choice.value is True:
            words.append(choice.name)
        elif choice.value is False:
            words.append(f"--no-{choice.name.removeprefix('--')}")
        else:
            words += [choice.name, str(choice.value)]
    return tuple(words)


def _place(tree: dict[str, Any], choice: Choice) -> None:
    *sections, last = choice.name.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
    tree[last] = list(choice.value) if isinstance(choice.value, tuple) else choice.value
