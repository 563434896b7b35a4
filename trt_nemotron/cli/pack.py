"""`trt-nemotron pack`: a bundle becomes one file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import drawn_progress, dry_run_option, json_option, print_json
from trt_nemotron.cli.paths import ANY_PATH, FILE

if TYPE_CHECKING:
    from trt_nemotron.deploy.archive.packing import Packed


@click.command(short_help="Pack a bundle into one file.")
@click.argument("bundle", type=ANY_PATH)
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="The archive.  [default: BUNDLE.tar, beside the bundle]",
)
@click.option("--force", is_flag=True, help="Replace a file at --out.")
@dry_run_option
@json_option
def command(*, bundle: Path, out: Path | None, force: bool, dry_run: bool, as_json: bool) -> None:
    """Pack BUNDLE into one file for a device without a network; `unpack` restores it there.

    Every file is hashed on its way: a damaged bundle is not packed. The same bundle gives the same
    bytes. The archive is a plain tar, not compressed (docs/bundles.md says what that would bring);
    its hash lies beside it, for `sha256sum -c`. Container images are not in it.

    \b
    trt-nemotron pack bundles/spark-trtllm --out /media/usb/spark.tar
    """
    from trt_nemotron.deploy.archive.layout import SUFFIX
    from trt_nemotron.deploy.archive.packing import foresee_packing, pack_bundle

    folder = bundle.resolve()
    archive = out or bundle.parent / f"{folder.name}{SUFFIX}"
    if dry_run:
        packed = foresee_packing(bundle, archive, force=force)
    else:
        with drawn_progress(is_quiet=as_json) as progress:
            packed = pack_bundle(bundle, archive, progress, force=force)
    if as_json:
        print_json(packed)
    else:
        _show(packed)


def _show(packed: "Packed") -> None:
    if not packed.sha256:
        click.echo(f"would pack {packed.archive}, {packed.size_bytes:,} bytes", err=True)
        return
    click.echo(f"{click.style('packed', fg='green', bold=True)} {packed.archive}", err=True)
    click.echo(f"  {packed.size_bytes:,} bytes, SHA-256 {packed.sha256}", err=True)
    click.echo(f"  next, on the device: trt-nemotron unpack {Path(packed.archive).name}", err=True)
