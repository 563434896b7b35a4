"""`trt-nemotron unpack`: one file becomes a bundle again."""

from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from trt_nemotron.cli.console import drawn_progress, dry_run_option, json_option, print_json
from trt_nemotron.cli.paths import ANY_PATH

if TYPE_CHECKING:
    from trt_nemotron.deploy.archive.unpacking import Unpacked


@click.command(short_help="Restore a bundle from an archive.")
@click.argument("archive", type=click.File("rb"), metavar="FILE")
@click.option(
    "--out",
    type=ANY_PATH,
    metavar="DIR",
    help="The bundle's folder.  [default: bundles/NAME, as build calls it]",
)
@click.option(
    "--verify/--no-verify",
    "is_verified",
    default=True,
    help="Hash every file on its way; names, sizes and order are checked in any case.",
    show_default=True,
)
@click.option("--force", is_flag=True, help="Replace another or a damaged bundle at --out.")
@dry_run_option
@json_option
def command(
    *,
    archive: IO[bytes],
    out: Path | None,
    is_verified: bool,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Restore the bundle in FILE, which `pack` wrote; `-` reads it from standard input.

    The bundle takes its place once all of it has been proven, with no second reading. Anything but
    the plain files that the archive's manifest lists is refused: exit code 10.

    \b
    trt-nemotron unpack /media/usb/spark.tar
    zstd -dc spark.tar.zst | trt-nemotron unpack - --out /srv/spark
    """
    from trt_nemotron.deploy.archive.unpacking import foresee_unpacking, unpack_bundle

    if dry_run:
        unpacked = foresee_unpacking(archive, out, force=force)
    else:
        with drawn_progress(is_quiet=as_json) as progress:
            unpacked = unpack_bundle(archive, out, progress, force=force, is_verified=is_verified)
    if as_json:
        print_json(unpacked)
    else:
        _show(unpacked, is_foreseen=dry_run)


def _show(unpacked: "Unpacked", *, is_foreseen: bool) -> None:
    manifest = unpacked.manifest
    size = sum(file.size_bytes for file in manifest.files)
    what = f"{len(manifest.files)} files, {size:,} bytes"
    if is_foreseen:
        click.echo(f"would {unpacked.action} {unpacked.bundle}, {what}", err=True)
        return
    word = "whole" if unpacked.is_verified else "unpacked, not hashed"
    click.echo(f"{click.style(word, fg='green', bold=True)} {unpacked.bundle}", err=True)
    click.echo(f"  {what}", err=True)
    step = "serve" if unpacked.is_verified else "verify"
    click.echo(f"  next: trt-nemotron {step} {unpacked.bundle}", err=True)
