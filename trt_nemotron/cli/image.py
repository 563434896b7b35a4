"""`trt-nemotron image`: which image serves a target, by digest."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import drawn_progress, dry_run_option, json_option, print_json
from trt_nemotron.cli.paths import FILE
from trt_nemotron.cli.place_options import refuse_blank

if TYPE_CHECKING:
    from trt_nemotron.deploy.serving.container.engine import Engine
    from trt_nemotron.deploy.serving.container.resolving import ResolvedImage


@click.command(short_help="Name a target's container image by digest.")
@click.option("--target", required=True, help="Device: see `trt-nemotron targets`.")
@click.option("--runtime", help="Runtime.  [default: the target's]")
@click.option("--release", metavar="VERSION", help="Its release.  [default: the target's]")
@click.option(
    "--image",
    default="",
    metavar="REF",
    callback=refuse_blank,
    help="Another image than the release's.",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "docker", "podman"]),
    default="auto",
    show_default=True,
    help="Container engine to ask.",
)
@click.option("--pull", is_flag=True, help="Pull it when it is not here.")
@click.option(
    "--write",
    type=FILE,
    metavar="FILE",
    help="Write IMAGE=name@sha256:... into FILE, for compose and the start script.",
)
@dry_run_option
@json_option
def command(
    *,
    target: str,
    runtime: str | None,
    release: str | None,
    image: str,
    engine: str,
    pull: bool,
    write: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Tell which content the image of a target's runtime stands for today.

    A tag can move; a digest cannot. It is read from the copy on this machine, else asked of the
    registry by docker buildx or skopeo, and never made up.

    \b
    trt-nemotron image --target spark
    trt-nemotron image --target h100-sxm --pull --write image.env
    """
    from trt_nemotron.deploy.boards import resolve_target
    from trt_nemotron.deploy.serving.container.image import ensure_image
    from trt_nemotron.deploy.serving.container.resolving import resolve_image
    from trt_nemotron.document import write_atomically

    reference = image or _release_image(resolve_target(target), runtime, release)
    asked = _engine(engine, must_answer=pull and not dry_run)
    if pull and asked is not None and not dry_run:
        with drawn_progress(is_quiet=as_json) as progress:
            ensure_image(asked, reference, progress=progress)
    resolved = resolve_image(reference, asked)
    if write is not None and not dry_run:
        write_atomically(write, f"IMAGE={resolved.pinned}\n".encode())
    if as_json:
        print_json(resolved)
    else:
        _show(resolved, write, dry_run=dry_run)


def _release_image(target: str, runtime: str | None, release: str | None) -> str:
    from trt_nemotron.errors import InvalidInput
    from trt_nemotron.facts.catalogue import load_release, load_target, newest_release

    facts = load_target(target)
    support = next((it for it in facts.runtimes if runtime in {None, it.runtime}), None)
    if support is None:
        raise InvalidInput(
            f"the runtime {runtime} is not known for target '{target}'",
            evidence=f"known: {', '.join(it.runtime for it in facts.runtimes)}",
        )
    name = release or support.release
    found = load_release(support.runtime, name) if name else newest_release(support.runtime)
    if not found.image:
        raise InvalidInput(
            f"{support.runtime} {found.release} has no container image that is known",
            evidence=f"it runs on {target} as a process",
            next_step="Name one with --image, or another runtime with --runtime.",
        )
    return found.image


def _engine(name: str, *, must_answer: bool) -> "Engine | None":
    """The engine to ask; none is needed when the registry can be asked without."""
    from trt_nemotron.deploy.serving.container.engine import ENGINES, find_engine
    from trt_nemotron.errors import EnvironmentUnfit

    try:
        return find_engine(next((it for it in ENGINES if it == name), None))
    except EnvironmentUnfit:
        if must_answer or name != "auto":
            raise
        return None


def _show(resolved: "ResolvedImage", write: Path | None, *, dry_run: bool) -> None:
    click.echo(resolved.pinned)
    if resolved.told_by:
        click.echo(f"  {resolved.reference}, as told by {resolved.told_by}", err=True)
    if resolved.size_bytes:
        size = f"{resolved.size_bytes / 2**30:,.1f} GiB"
        click.echo(f"  here, for {resolved.architecture}, {size}", err=True)
    if write is not None:
        click.echo(f"  {'would write' if dry_run else 'written to'} {write}", err=True)
