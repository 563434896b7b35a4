"""`trt-nemotron compile`: engines without a GPU, as proof that the architecture still compiles."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import (
    console,
    drawn_progress,
    dry_run_option,
    json_option,
    print_json,
)
from trt_nemotron.cli.deploy_options import EMBEDDED, CheckpointPath
from trt_nemotron.cli.paths import ANY_PATH

if TYPE_CHECKING:
    from trt_nemotron.deploy.compile.budget import Breach
    from trt_nemotron.deploy.compile.compiling import CompilePlan
    from trt_nemotron.deploy.compile.values import CompileReport

DEFAULT_FOLDER = Path("compiled")


class Capabilities(click.ParamType):  # type: ignore[type-arg] # generic in new versions only
    """`80,121`, or `sm80,8.6`: compute capabilities times ten."""

    name = "sm"

    def convert(
        self,
        value: str | tuple[int, ...],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, ...]:
        """The numbers, in the order given; whether a compiler knows them is said by it."""
        if isinstance(value, tuple):
            return value
        numbers = []
        for part in value.split(","):
            text = part.strip().lower().removeprefix("sm").removeprefix("_").replace(".", "")
            if not (text.isascii() and text.isdigit()):
                self.fail(f"{part!r} is no compute capability: write --sm 80,121.", param, ctx)
            numbers.append(int(text))
        return tuple(numbers)


@click.command(short_help="Compile engines without a GPU.")
@click.option(
    "--checkpoint",
    type=CheckpointPath(),
    default=EMBEDDED,
    show_default=True,
    help="Folder with config.json and *.safetensors, or `embedded`; with --random-weights also a "
    "published name such as nemotron-3-nano-4b-bf16.",
)
@click.option(
    "--sm",
    "sms",
    type=Capabilities(),
    default=(),
    metavar="LIST",
    help="Compute capabilities, as 80,121.  [default: 80,86,89,120,121]",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    default="bf16",
    show_default=True,
    help="Of weights, activations and KV cache; the scan is always in FP32.",
)
@click.option(
    "--max-seq-len",
    type=click.IntRange(min=1),
    default=4096,
    show_default=True,
    metavar="TOKENS",
    help="Tokens that the KV cache of a sequence holds.",
)
@click.option(
    "--max-batch-size",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Sequences decoded together.",
)
@click.option(
    "--chunk",
    type=click.IntRange(min=1),
    metavar="TOKENS",
    help="Most tokens of a prompt in one call.  [default: 256]",
)
@click.option("--layers", type=click.IntRange(min=1), metavar="N", help="Only the first N layers.")
@click.option(
    "--random-weights",
    "is_random",
    is_flag=True,
    help="Numbers of no meaning in the checkpoint's shape: proves that it compiles, no more.",
)
@click.option(
    "--with",
    "compiler",
    type=click.Choice(["tensorrt-rtx", "tensorrt"]),
    default="tensorrt-rtx",
    show_default=True,
    help="tensorrt compiles for the GPU of this machine only.",
)
@click.option(
    "--split-profiles",
    "is_split",
    is_flag=True,
    help="A profile for decoding and one for prompts, instead of one for both.",
)
@click.option(
    "--workspace-mib",
    type=click.IntRange(min=1),
    metavar="MIB",
    help="Most scratch memory of a layer on the GPU.  [default: the compiler's]",
)
@click.option(
    "--budget",
    type=ANY_PATH,
    metavar="FILE",
    help="Bounds to hold; one that breaks is exit code 1.",
)
@click.option(
    "--out",
    type=ANY_PATH,
    default=DEFAULT_FOLDER,
    show_default=True,
    metavar="DIR",
    help="Folder of graph, engines and compile.json.",
)
@dry_run_option
@json_option
def command(
    *,
    checkpoint: Path | None,
    sms: tuple[int, ...],
    precision: str,
    max_seq_len: int,
    max_batch_size: int,
    chunk: int | None,
    layers: int | None,
    is_random: bool,
    compiler: str,
    is_split: bool,
    workspace_mib: int | None,
    budget: Path | None,
    out: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Build the network as a plain ONNX graph and compile real engines of it, without a GPU.

    The engines are compiled, not executed: that they exist proves that this architecture compiles
    for these boards with this compiler. It says nothing of their speed. What is there already and
    unchanged is kept.

    \b
    trt-nemotron compile
    trt-nemotron compile --sm 121 --precision fp32 --out /tmp/spark
    trt-nemotron compile --checkpoint nemotron-3-nano-4b-bf16 --random-weights --layers 13 --sm 121
    """
    from trt_nemotron.deploy.compile.budget import CompileBudget, judge
    from trt_nemotron.deploy.compile.compilers import compiler_name
    from trt_nemotron.deploy.compile.compiling import (
        CompileWishes,
        compile_checkpoint,
        plan_compile,
    )
    from trt_nemotron.deploy.compile.elements import precision_name
    from trt_nemotron.document import read_document

    wishes = CompileWishes(
        checkpoint=checkpoint,
        precision=precision_name(precision),
        max_seq_len=max_seq_len,
        max_batch_size=max_batch_size,
        chunk=chunk,
        layers=layers,
        is_random=is_random,
        sms=sms,
        compiler=compiler_name(compiler),
        workspace_bytes=(workspace_mib or 0) << 20,
        is_split=is_split,
    )
    bounds = None if budget is None else read_document(budget, CompileBudget)
    plan, opened = plan_compile(wishes)
    if dry_run:
        _foresee(plan, out, as_json=as_json)
        return
    with drawn_progress(is_quiet=as_json) as progress:
        report = compile_checkpoint(plan, opened, out, progress)
    breaches = () if bounds is None else judge(report, bounds)
    if as_json:
        print_json(report)
    else:
        _show(report, out)
    _end(report, breaches)


def _foresee(plan: "CompilePlan", out: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"out": str(out), "plan": plan})
        return
    boards = ", ".join(f"SM{sm}" for sm in plan.sms)
    click.echo(f"would compile {plan.checkpoint} with {plan.compiler} for {boards}", err=True)
    click.echo(
        f"  {plan.parameters:,} parameters in {plan.spec.precision}, {plan.weight_bytes:,} bytes "
        f"of weights, into {out}",
        err=True,
    )
    click.echo(f"  about {plan.memory_bytes:,} bytes of memory, one engine at a time", err=True)


def _show(report: "CompileReport", out: Path) -> None:
    from rich.table import Table

    table = Table("board", "state", "seconds", "engine bytes", "layers read", "peak memory")
    for engine in report.engines:
        state = "kept" if engine.is_reused else engine.status
        table.add_row(
            f"SM{engine.sm}",
            state,
            f"{engine.seconds:.1f}",
            f"{engine.engine_bytes:,}",
            f"{engine.network_layers:,}",
            f"{engine.peak_rss_bytes / 1e9:.2f} GB",
        )
    console().print(table)
    weights = "random weights" if report.is_random else report.checkpoint
    click.echo(f"{click.style(report.label, bold=True)}: {weights}, {out}/compile.json", err=True)


def _end(report: "CompileReport", breaches: "tuple[Breach, ...]") -> None:
    """Fail when an engine is missing or a bound broken; the report has been written by then."""
    from trt_nemotron.errors import CheckFailed

    if report.failed:
        first = report.failed[0]
        raise CheckFailed(
            f"{len(report.failed)} of {len(report.engines)} engines could not be compiled",
            evidence="\n".join((f"SM{first.sm}: {first.problem}", *first.messages)),
            next_step="compile.json has the compiler's words for each of them.",
        )
    if breaches:
        raise CheckFailed(
            f"{len(breaches)} bounds of the budget are broken",
            evidence="\n".join(map(str, breaches)),
            next_step="Find what made it grow; raise the bound only if that is meant.",
        )
