"""`trt-nemotron completion`: the script a shell reads to complete our commands and options."""

import click

from trt_nemotron.errors import InvalidInput


@click.command(short_help="Print the shell completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash:  trt-nemotron completion bash >> ~/.bashrc
    zsh:   trt-nemotron completion zsh  >> ~/.zshrc
    fish:  trt-nemotron completion fish > ~/.config/fish/completions/trt-nemotron.fish
    """
    from click.shell_completion import get_completion_class

    from trt_nemotron.cli.main import cli

    completion_class = get_completion_class(shell)
    if completion_class is None:
        raise InvalidInput(f"no completion for {shell}")
    completer = completion_class(cli, {}, "trt-nemotron", "_TRT_NEMOTRON_COMPLETE")
    click.echo(completer.source())
