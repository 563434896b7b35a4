"""`trt-nemotron quantize`: an FP8 or NVFP4 checkpoint, with data that is named in it."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from trt_nemotron.cli.console import drawn_progress, dry_run_option, json_option, print_json
from trt_nemotron.cli.deploy_options import EMBEDDED, CheckpointPath
from trt_nemotron.cli.paths import ANY_PATH
from trt_nemotron.errors import InvalidInput

if TYPE_CHECKING:
    from trt_nemotron.deploy.runtimes.edgellm.values import Quantization


_PRECISIONS: dict[str, Literal["fp8", "nvfp4"]] = {"fp8": "fp8", "nvfp4": "nvfp4"}


@click.command(short_help="Quantize a checkpoint for Edge-LLM.")
@click.option(
    "--checkpoint",
    type=CheckpointPath(),
    default=EMBEDDED,
    show_default=True,
    help="Folder with config.json and *.safetensors in 16 or 32 bits, or `embedded`.",
)
@click.option(
    "--precision",
    metavar="[fp8|nvfp4]",
    required=True,
    help="Of all linear layers but the output layer.",
)
@click.option(
    "--calibration",
    type=ANY_PATH,
    required=True,
    metavar="FILE",
    help='Documents like those that the model will read: a line each, {"text": "..."}.',
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    metavar="N",
    help="Documents to read at most; each is cut to 512 tokens.",
)
@click.option("--release", metavar="NAME", help="Of Edge-LLM.  [default: the newest known exactly]")
@click.option(
    "--out",
    type=ANY_PATH,
    required=True,
    metavar="DIR",
    help="Folder of the quantized checkpoint.",
)
@dry_run_option
@json_option
def command(
    *,
    checkpoint: Path | None,
    precision: str,
    calibration: Path,
    samples: int,
    release: str | None,
    out: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Quantize a checkpoint with Edge-LLM's own quantizer, and check what it wrote.

    Large checkpoints take a GPU; those of up to 50 million parameters are quantized on the
    processor. The folder names the data by its hash, and `build --checkpoint DIR` takes it from
    there. INT4 is not supported for this architecture.

    \b
    trt-nemotron quantize --precision fp8 --calibration documents.jsonl --out fp8
    trt-nemotron build --target thor --checkpoint fp8
    """
    from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path
    from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
    from trt_nemotron.deploy.runtimes.edgellm.quantizing import quantize
    from trt_nemotron.deploy.runtimes.edgellm.runtime import RUNTIME
    from trt_nemotron.deploy.runtimes.edgellm.standing import INT4, no_int4
    from trt_nemotron.deploy.runtimes.edgellm.wanted import Wanted, check_wanted

    opened = open_checkpoint(checkpoint or embedded_checkpoint_path())
    if precision in INT4:
        raise no_int4(opened.shape)
    if precision not in _PRECISIONS:
        raise InvalidInput(
            f"there is no precision {precision!r}", next_step="Choose one of: fp8, nvfp4."
        )
    wanted = Wanted(
        checkpoint=opened,
        precision=_PRECISIONS[precision],
        calibration=calibration,
        samples=samples,
        release=release or RUNTIME.release().release,
    )
    if dry_run:
        said = check_wanted(wanted, out)
        if as_json:
            print_json({"out": str(out), "precision": precision, "calibration": said})
        click.echo(
            f"would quantize {wanted.checkpoint.name} to {precision} with {said.samples} documents "
            f"of {said.name} ({said.sha256[:12]}), into {out}",
            err=True,
        )
        return
    with drawn_progress(is_quiet=as_json) as progress:
        record, is_kept = quantize(wanted, out, progress)
    if as_json:
        print_json(record)
    else:
        _show(record, out, is_kept=is_kept)


def _show(record: "Quantization", out: Path, *, is_kept: bool) -> None:
    said = record.calibration
    click.echo(
        f"{'kept' if is_kept else 'quantized'}: {out}, {record.layers} layers in "
        f"{record.precision}, calibrated with {said.samples} documents of {said.name} "
        f"({said.sha256[:12]}) on {record.device}",
        err=True,
    )
