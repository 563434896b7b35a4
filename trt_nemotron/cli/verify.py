"""`trt-nemotron verify`: is a bundle what was built?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import drawn_progress, json_option, print_json
from trt_nemotron.cli.paths import ANY_PATH

if TYPE_CHECKING:
    from trt_nemotron.deploy.bundle.values import Manifest


@click.command(short_help="Re-hash a bundle against its manifest.")
@click.argument("bundle", type=ANY_PATH)
@json_option
def command(*, bundle: Path, as_json: bool) -> None:
    """Re-hash every file of BUNDLE and compare it with the manifest.

    Nothing may be missing, added or altered, and nothing may be a link. Needs no network and no
    runtime. Exit code 10 when the bundle is damaged; the message names the file.

    \b
    trt-nemotron verify bundles/cpu-llamacpp-f16-trt-nemotron-embedded
    """
    from trt_nemotron.deploy.bundle.reader import verify_bundle
    from trt_nemotron.deploy.observed import read_observed

    with drawn_progress(is_quiet=as_json) as progress:
        manifest = verify_bundle(bundle, progress)
        read_observed(bundle, progress)  # damage to what the last start showed is told, no more
    if as_json:
        print_json(manifest)
    else:
        _show(bundle, manifest)


def _show(bundle: Path, manifest: "Manifest") -> None:
    size = sum(file.size_bytes for file in manifest.files)
    click.echo(f"{click.style('whole', fg='green', bold=True)} {bundle}", err=True)
    click.echo(f"  {len(manifest.files)} files, {size:,} bytes, all as built", err=True)
    click.echo(f"  {manifest.runtime} {manifest.release}, {manifest.served_model_name}", err=True)
    click.echo(f"  configuration {manifest.configuration_sha256}", err=True)
