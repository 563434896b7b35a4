"""`trt-nemotron fetch`: a checkpoint from the hub, pinned and verified."""

import os
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import drawn_progress, dry_run_option, json_option, print_json

if TYPE_CHECKING:
    from trt_nemotron.deploy.checkpoint.hub.cache import RepositoryCache
    from trt_nemotron.deploy.checkpoint.hub.client import Hub
    from trt_nemotron.deploy.checkpoint.hub.fetch import Foreseen
    from trt_nemotron.deploy.checkpoint.hub.source_lock import SourceLock


@click.command(short_help="Fetch a checkpoint from the hub, and verify it.")
@click.argument("reference", metavar="REPO[@COMMIT]")
@click.option("--offline", is_flag=True, help="Use and verify what is in the hub's cache only.")
@click.option(
    "--token-env",
    metavar="NAME",
    help="Variable that holds the hub's token; its value is never shown or kept.  "
    "[default: HF_TOKEN]",
)
@dry_run_option
@json_option
def command(
    *, reference: str, offline: bool, token_env: str | None, dry_run: bool, as_json: bool
) -> None:
    """Fetch the files a checkpoint needs into the hub's own cache, and hold each against its hash.

    REPO is OWNER/NAME, or a published name; without @COMMIT the commit that our facts pin is taken,
    never a branch. An interrupted fetch goes on where it stopped. No pickle and no program is
    fetched. This is the only command that asks the hub: plan, build and check take
    `--checkpoint hub:REPO@COMMIT` from the cache.

    Variables: HF_ENDPOINT, HF_HUB_CACHE, HF_HOME, HF_HUB_OFFLINE.

    \b
    trt-nemotron fetch nemotron-3-nano-4b-bf16
    trt-nemotron fetch nvidia/NVIDIA-Nemotron-3-Nano-4B-FP8 --dry-run
    trt-nemotron fetch OWNER/NAME@COMMIT --token-env MY_TOKEN
    """
    from trt_nemotron.deploy.bundle.hash_memory import HashMemory
    from trt_nemotron.deploy.checkpoint.hub.cache import RepositoryCache, hub_cache, is_offline
    from trt_nemotron.deploy.checkpoint.hub.fetch import fetch, foresee, verify_cached
    from trt_nemotron.deploy.checkpoint.hub.reference import read_reference

    cache = RepositoryCache(hub_cache(), read_reference(reference))
    if offline or is_offline():
        if dry_run:
            _show_offline_dry_run(cache, as_json=as_json)
            return
        with drawn_progress(is_quiet=as_json) as progress:
            lock = verify_cached(cache, HashMemory(), progress)
    else:
        hub = _hub(token_env)
        if dry_run:
            _show_foreseen(cache, foresee(hub, cache), as_json=as_json)
            return
        with drawn_progress(is_quiet=as_json) as progress:
            lock = fetch(hub, cache, HashMemory(), progress)
    _show(cache, lock, as_json=as_json)


def _hub(token_env: str | None) -> "Hub":
    from trt_nemotron.deploy.checkpoint.hub.client import (
        ENDPOINT_VARIABLE,
        TOKEN_VARIABLE,
        HuggingFaceHub,
        read_token,
    )

    return HuggingFaceHub(
        read_token(token_env),
        token_variable=token_env or TOKEN_VARIABLE,
        endpoint=os.environ.get(ENDPOINT_VARIABLE, ""),
    )


def _show_foreseen(cache: "RepositoryCache", foreseen: "Foreseen", *, as_json: bool) -> None:
    from trt_nemotron.deploy.checkpoint.hub.download import have_bytes

    rows = [
        {
            "name": file.name,
            "size_bytes": file.size_bytes,
            "fetch_bytes": file.size_bytes - have_bytes(cache, file),
            "hub_id": file.hub_id,
        }
        for file in foreseen.files
    ]
    if as_json:
        print_json(
            {
                "reference": str(cache.reference),
                "snapshot": str(cache.snapshot),
                "files": rows,
                "total_bytes": foreseen.total_bytes,
                "fetch_bytes": foreseen.to_fetch_bytes,
                "free_bytes": foreseen.free_bytes,
            }
        )
        return
    click.echo(f"would fetch {cache.reference}", err=True)
    for row in rows:
        here = "" if row["fetch_bytes"] else "  (here)"
        click.echo(f"  {row['size_bytes']:>16,} B  {row['name']}{here}", err=True)
    click.echo(
        f"  {foreseen.to_fetch_bytes:>16,} B  to fetch, {foreseen.free_bytes:,} B free in "
        f"{cache.root}",
        err=True,
    )


def _show_offline_dry_run(cache: "RepositoryCache", *, as_json: bool) -> None:
    is_there = cache.snapshot.is_dir()
    if as_json:
        print_json(
            {
                "reference": str(cache.reference),
                "snapshot": str(cache.snapshot),
                "is_cached": is_there,
                "fetch_bytes": 0,
            }
        )
        return
    verb = "verify" if is_there else "fail: there is no"
    click.echo(f"would {verb} {cache.snapshot}", err=True)


def _show(cache: "RepositoryCache", lock: "SourceLock", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {"reference": str(cache.reference), "snapshot": str(cache.snapshot), "lock": lock}
        )
        return
    click.echo(f"{click.style('verified', fg='green', bold=True)} {cache.reference}", err=True)
    click.echo(f"  {len(lock.files)} files, {lock.size_bytes:,} bytes", err=True)
    click.echo(f"  {cache.snapshot}", err=True)
    click.echo(f"  next: trt-nemotron plan --target h100 --checkpoint {cache.reference}", err=True)
