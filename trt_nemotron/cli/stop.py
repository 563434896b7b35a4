"""`trt-nemotron stop`: end servers this tool has started."""

import click

from trt_nemotron.cli.console import dry_run_option, json_option, print_json


@click.command(short_help="Stop a server this tool started.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "is_all", is_flag=True, help="Every server on record.")
@dry_run_option
@json_option
def command(names: tuple[str, ...], is_all: bool, dry_run: bool, as_json: bool) -> None:
    """Stop the servers called NAME and all they started, and take them off the record.

    Only processes that this tool has started are touched. One that has crashed is only taken off
    the record. Logs stay until the name is used again.
    """
    from trt_nemotron.deploy.serving.registry import Registry
    from trt_nemotron.deploy.serving.stopping import require_endpoint, stop_endpoint

    if bool(names) == is_all:
        raise click.UsageError("name the servers to stop, or say --all")
    registry = Registry()
    known = registry.endpoints()
    if is_all:
        names = tuple(endpoint.name for endpoint in known)
    chosen = [require_endpoint(name, known) for name in dict.fromkeys(names)]
    if not dry_run:
        chosen = [stop_endpoint(endpoint.name, registry=registry) for endpoint in chosen]
    if as_json:
        print_json({"is_dry_run": dry_run, "endpoints": chosen})
        return
    for endpoint in chosen:
        where = f" ({endpoint.url})" if endpoint.url else ""
        click.echo(f"{'would stop' if dry_run else 'stopped'} {endpoint.name}{where}", err=True)
    if not chosen:
        click.echo("no servers to stop", err=True)
