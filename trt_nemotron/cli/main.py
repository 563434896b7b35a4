"""The command line: a group that imports a command only when asked for it, and the one handler."""

import gc
import importlib
import io
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import click

from trt_nemotron import __version__
from trt_nemotron.errors import EnvironmentUnfit, Interrupted, TrtNemotronError

COMMANDS: dict[str, tuple[str, str]] = {
    "check": ("check", "Plan, build, serve, smoke, bench and gate in one go."),
    "fetch": ("fetch", "Fetch a checkpoint from the hub, and verify it."),
    "plan": ("plan", "Choose the settings that fit, and say why."),
    "quantize": ("quantize", "Quantize a checkpoint for Edge-LLM."),
    "build": ("build", "Build a verified bundle."),
    "compile": ("compile_engines", "Compile engines without a GPU."),
    "verify": ("verify", "Re-hash a bundle against its manifest."),
    "pack": ("pack", "Pack a bundle into one file."),
    "unpack": ("unpack", "Restore a bundle from an archive."),
    "image": ("image", "Name a target's container image by digest."),
    "serve": ("serve", "Start a bundle and wait until it is ready."),
    "status": ("status", "Show the servers this tool started."),
    "logs": ("logs", "Print a server's log."),
    "stop": ("stop", "Stop a server this tool started."),
    "smoke": ("smoke", "Check that an endpoint answers rightly."),
    "bench": ("bench", "Measure latency, truthfully."),
    "gate": ("gate", "Judge a measurement against a budget."),
    "baseline": ("baseline", "Keep runs that later ones are compared with."),
    "ci": ("ci", "Wire the gate into a repository's CI."),
    "compare": ("compare", "Show several measurements side by side."),
    "report": ("report", "Draw results as one HTML page."),
    "export": ("export", "Write a measurement in the formats of other tools."),
    "targets": ("targets", "List targets and the runtimes known for each."),
    "doctor": ("doctor", "Find out what this machine lacks for a target."),
    "config": ("config", "Check a configuration file against a release."),
    "completion": ("completion", "Print the shell completion script."),
}
"""Name -> (module under `trt_nemotron.cli`, one-line help); a test compares both with it."""
_YOUNG = 10_000
"""Objects after which garbage is looked for: with the usual 700, fifty times while we import."""


_AGAIN_S = 0.05
"""After which a signal comes again that Python has passed over; a `__del__` is over by then."""


class ReaderHasLeft(Exception):
    """Whoever read our output went away; click would end with exit code 1 for it."""


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click does, which prints `--help` here."""
        with _readers_seen_off():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does."""
        with _readers_seen_off():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which the work goes."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one module that holds `cmd_name`."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"trt_nemotron.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands from the static helps."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest command named when there is none of that name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as fault:
            import difflib

            nearest = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
            raise click.UsageError(f"{fault.message}{hint}", ctx) from fault


@contextmanager
def _readers_seen_off() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as fault:
        raise ReaderHasLeft from fault


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="trt-nemotron")
def cli() -> None:
    """Put NVIDIA-Nemotron-3-Nano-4B on a device and know, with numbers, that it works.

    \b
    Start here, on any machine:   trt-nemotron check --target cpu
    Exit codes:                   docs/exit-codes.md
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code that the outcome fixes."""
    gc.set_threshold(_YOUNG)
    signal.signal(signal.SIGTERM, _on_terminate)
    sys.unraisablehook = _stop_all_the_same
    _accept_any_terminal()
    argv = list(sys.argv[1:] if arguments is None else arguments)
    code = run(argv)
    gc.freeze()  # the interpreter need not look through what ends with the process
    sys.exit(code)


def run(argv: list[str]) -> int:
    """Run one command; every error becomes a message on standard error and an exit code."""
    try:
        return _run(argv, is_json="--json" in argv)
    except (BrokenPipeError, ReaderHasLeft):
        return _leave_quietly()


def _run(argv: list[str], *, is_json: bool) -> int:
    try:
        result = cli.main(args=argv, prog_name="trt-nemotron", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt) as stop:
        return _show_interrupted(stop)
    except RuntimeError as fault:  # Python wraps what is raised while it builds a class
        if not isinstance(fault.__cause__, KeyboardInterrupt):
            raise
        return _show_interrupted(fault.__cause__)
    except click.ClickException as fault:
        return _show_usage(fault, is_json)
    except (TrtNemotronError, OSError) as fault:
        ours = fault if isinstance(fault, TrtNemotronError) else _from_system(fault)
        return _show(ours, is_json)
    return result if isinstance(result, int) else 0


def _accept_any_terminal() -> None:
    """A terminal that has no sign for a character shows a question mark; it is no failure."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _on_terminate(signal_number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted(signal_number)


def _stop_all_the_same(unraisable: "sys.UnraisableHookArgs") -> None:
    """A signal that fell into a `__del__` is printed by Python and passed over: it comes again."""
    stop = unraisable.exc_value
    if not isinstance(stop, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    import threading

    number = stop.signal_number if isinstance(stop, Interrupted) else signal.SIGINT
    main_thread = threading.main_thread().ident or 0
    again = threading.Timer(_AGAIN_S, signal.pthread_kill, (main_thread, number))
    again.daemon = True
    again.start()


def _show_interrupted(stop: BaseException) -> int:
    """128 + the signal's number; click wraps Ctrl-C and ours alike in its own Abort."""
    origin = stop.__cause__ if isinstance(stop, click.Abort) else stop
    number = origin.signal_number if isinstance(origin, Interrupted) else signal.SIGINT
    click.echo("interrupted", err=True)
    return 128 + number


def _show(fault: TrtNemotronError, is_json: bool) -> int:
    if is_json:
        _print_json_error(_as_tree(fault))
    click.echo(f"{click.style('error:', fg='red', bold=True)} {fault.message}", err=True)
    for label, text in (("evidence", fault.evidence), ("next", fault.next_step)):
        if text:
            indented = text.rstrip().replace("\n", "\n  ")
            click.echo(f"  {click.style(label + ':', bold=True)} {indented}", err=True)
    return fault.exit_code


def _as_tree(fault: TrtNemotronError) -> dict[str, str | int]:
    return {
        "kind": type(fault).__name__,
        "message": fault.message,
        "evidence": fault.evidence,
        "next_step": fault.next_step,
        "exit_code": fault.exit_code,
    }


def _print_json_error(tree: dict[str, str | int]) -> None:
    import json

    try:
        click.echo(json.dumps({"error": tree}, indent=2))
    except BrokenPipeError:
        raise
    except OSError:  # a full disk, as like as not what the error is about: it is told below
        _drop_output()


def _show_usage(fault: click.ClickException, is_json: bool) -> int:
    if is_json:
        _print_json_error(
            {
                "kind": "Usage",
                "message": fault.format_message(),
                "evidence": "",
                "next_step": "See the options with --help.",
                "exit_code": 2,
            }
        )
    fault.show()
    return 2


def _from_system(fault: OSError) -> EnvironmentUnfit:
    import errno

    steps = {
        errno.ENOSPC: "Free some space, or choose another folder with --out.",
        errno.ENAMETOOLONG: "Choose a shorter name.",
        errno.EEXIST: "A file stands where a folder is needed: choose another path.",
        errno.ENOTDIR: "A file stands where a folder is needed: choose another path.",
        errno.EISDIR: "A folder stands where a file is needed: choose another path.",
        errno.ENOENT: "Check that the folder exists, the current one included.",
        errno.EACCES: "Choose a folder you may write to, or correct its permissions.",
        errno.EROFS: "Choose a folder on a file system that can be written.",
    }
    return EnvironmentUnfit(
        fault.strerror or str(fault),
        evidence=str(fault.filename or ""),
        next_step=steps.get(fault.errno or 0, "Check the path named and its permissions."),
    )


def _leave_quietly() -> int:
    """The reader of our output has gone (`| head`): say no more, as shells expect."""
    _drop_output()
    return 141


def _drop_output() -> None:
    """What is still to be written to standard output goes nowhere, also at exit."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
