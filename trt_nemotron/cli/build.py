"""`trt-nemotron build`: a plan and a checkpoint become a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import drawn_progress, dry_run_option, json_option, print_json
from trt_nemotron.cli.deploy_options import deploy_options
from trt_nemotron.cli.paths import ANY_PATH
from trt_nemotron.cli.place_options import refuse_blank

if TYPE_CHECKING:
    from trt_nemotron.deploy.bundle.values import Manifest
    from trt_nemotron.deploy.checkpoint.values import Checkpoint
    from trt_nemotron.deploy.plan import Plan
    from trt_nemotron.deploy.runtimes.protocol import Wishes

DEFAULT_FOLDER = Path("bundles")


@click.command(short_help="Build a verified bundle.")
@deploy_options
@click.option(
    "--out",
    type=ANY_PATH,
    metavar="DIR",
    help="The bundle's folder.  [default: bundles/TARGET-RUNTIME-PRECISION-MODEL]",
)
@click.option(
    "--image",
    default="",
    metavar="REF",
    callback=refuse_blank,
    help="Container image that is to serve it, as name@sha256:...  [default: the release's tag]",
)
@click.option(
    "--pin-image", is_flag=True, help="Name the image by the digest that its tag has today."
)
@click.option("--force", is_flag=True, help="Replace another or a damaged bundle at --out.")
@dry_run_option
@json_option
def command(
    *,
    target: str,
    runtime: str | None,
    checkpoint: Path | None,
    wishes: "Wishes",
    out: Path | None,
    image: str,
    pin_image: bool,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Plan, then build a bundle: a folder that holds all a server needs, and can prove it.

    What is built is loaded by the server's own engine before it counts. The same inputs give the
    same bytes; a bundle that is there already is verified and kept.

    \b
    trt-nemotron build --target cpu
    trt-nemotron build --target cpu --precision q8_0 --out /tmp/small
    trt-nemotron build --target spark --checkpoint FOLDER --pin-image
    trt-nemotron build --target cpu --checkpoint NVIDIA-Nemotron-3-Nano-4B-Q4_K_M.gguf
    """
    from trt_nemotron.deploy.bundle.values import bundle_name
    from trt_nemotron.deploy.checkpoint.known_model import require_files
    from trt_nemotron.deploy.machine import detect_machine
    from trt_nemotron.deploy.planning import make_plan

    plan, opened = make_plan(target, runtime, checkpoint, wishes, detect_machine())
    require_files(opened)
    folder = out or DEFAULT_FOLDER / bundle_name(plan)
    named = pinned_image(plan, image, is_resolved=pin_image)
    act = _foresee if dry_run else _build
    act(folder, plan, opened, image=named, force=force, as_json=as_json)


def pinned_image(plan: "Plan", image: str, *, is_resolved: bool) -> str:
    """The image to keep in the bundle, by digest; empty when none is to be kept.

    Raises:
        InvalidInput: the runtime has no image, or it is named by a tag.
        EnvironmentUnfit: the tag's digest cannot be told here.
    """
    from trt_nemotron.deploy.runtimes.catalogue import get_runtime
    from trt_nemotron.deploy.serving.container.reference import is_pinned
    from trt_nemotron.deploy.serving.container.resolving import find_resolved
    from trt_nemotron.errors import InvalidInput

    if not image and not is_resolved:
        return ""
    usual = get_runtime(plan.runtime).image(plan)
    if not usual:
        raise InvalidInput(
            f"the runtime {plan.runtime} has no container image",
            next_step="Leave --image and --pin-image out: its server runs as a process.",
        )
    if is_resolved:
        return find_resolved(image or usual).pinned
    if not is_pinned(image):
        raise InvalidInput(
            f"{image} names an image by a tag, which can move",
            next_step="Name it as name@sha256:..., or add --pin-image to take today's digest.",
        )
    return image


def _build(
    folder: Path,
    plan: "Plan",
    checkpoint: "Checkpoint",
    *,
    image: str,
    force: bool,
    as_json: bool,
) -> None:
    from trt_nemotron.deploy.bundle.writer import build_bundle
    from trt_nemotron.deploy.runtimes.catalogue import get_runtime

    with drawn_progress(is_quiet=as_json) as progress:
        runtime = get_runtime(plan.runtime)
        manifest = build_bundle(
            folder, plan, checkpoint, runtime, progress, force=force, image=image
        )
    if as_json:
        print_json({"bundle": str(folder), "manifest": manifest})
    else:
        _show(folder, manifest, plan)


def _foresee(
    folder: Path,
    plan: "Plan",
    checkpoint: "Checkpoint",
    *,
    image: str,
    force: bool,
    as_json: bool,
) -> None:
    """Say what `_build` would do, or fail as it would."""
    from trt_nemotron.deploy.bundle.destination import check_destination
    from trt_nemotron.deploy.bundle.values import MODEL_FOLDER
    from trt_nemotron.deploy.bundle.writer import find_built
    from trt_nemotron.deploy.runtimes.catalogue import get_runtime
    from trt_nemotron.deploy.runtimes.staged import check_installable, is_to_be_finished

    runtime = get_runtime(plan.runtime)
    is_built = find_built(folder, plan, checkpoint, image=image) is not None
    goes_on = is_built and is_to_be_finished(runtime, folder / MODEL_FOLDER, plan)
    needed = runtime.built_bytes(plan, checkpoint)
    if goes_on or not is_built:
        check_installable(runtime, plan)
        check_destination(folder, needed, force=force or goes_on)
    action = "finish" if goes_on else "keep" if is_built else "build"
    if as_json:
        print_json(
            {
                "bundle": str(folder),
                "action": action,
                "bytes_at_most": needed,
                "image": image,
                "plan": plan,
            }
        )
        return
    size = "" if action == "keep" else f", at most {needed:,} bytes"
    click.echo(f"would {action} {folder}{size}", err=True)
    click.echo(f"  {plan.checkpoint.name} as {plan.precision} for {plan.runtime}", err=True)


def _show(folder: Path, manifest: "Manifest", plan: "Plan") -> None:
    size = sum(file.size_bytes for file in manifest.files)
    click.echo(f"{click.style('built', fg='green', bold=True)} {folder}", err=True)
    click.echo(f"  {len(manifest.files)} files, {size:,} bytes", err=True)
    click.echo(f"  {plan.checkpoint.name} as {plan.precision} for {plan.runtime}", err=True)
    click.echo(f"  next: {_next_step(folder, plan)}", err=True)


def _next_step(folder: Path, plan: "Plan") -> str:
    """Serve it, or what is left to be done on the device."""
    from trt_nemotron.deploy.bundle.values import MODEL_FOLDER
    from trt_nemotron.deploy.runtimes.catalogue import get_runtime
    from trt_nemotron.deploy.runtimes.staged import Staged

    runtime = get_runtime(plan.runtime)
    left = runtime.pending(folder / MODEL_FOLDER) if isinstance(runtime, Staged) else ""
    return left or f"trt-nemotron serve {folder}"
