"""From a 16-bit checkpoint to one in FP8 or NVFP4, by Edge-LLM's own quantizer.

    OUT/
      config.json, *.safetensors, tokenizer...   the quantized checkpoint in the hub's form
      quantization.json                          of what, with which data and versions; last

OUT appears at once, when every check has passed. What is the same is not made again.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from trt_nemotron.deploy.bundle.hashing import HashMeter, sha256_of_set
from trt_nemotron.deploy.bundle.placing import place_file, source_folder
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.runtimes.edgellm.calibration import (
    DATASET,
    VARIABLE,
    read_calibration,
    write_for_quantizer,
)
from trt_nemotron.deploy.runtimes.edgellm.environment import Environment, ensure_environment
from trt_nemotron.deploy.runtimes.edgellm.export import expected_memory
from trt_nemotron.deploy.runtimes.edgellm.quantized import judge_quantized, read_quantization
from trt_nemotron.deploy.runtimes.edgellm.quantizer_environment import Quantizer, ensure_quantizer
from trt_nemotron.deploy.runtimes.edgellm.running import run_inside
from trt_nemotron.deploy.runtimes.edgellm.staging import (
    CONFIG_NAME,
    NAMING_FILES,
    stage_checkpoint,
    store_with_hub_names,
    with_hub_names,
)
from trt_nemotron.deploy.runtimes.edgellm.values import (
    QUANTIZATION_RECORD,
    Calibration,
    Quantization,
)
from trt_nemotron.deploy.runtimes.edgellm.wanted import Device, Wanted, check_wanted, choose_device
from trt_nemotron.document import write_atomically, write_document
from trt_nemotron.errors import CheckFailed, CommandFailed, InvalidInput
from trt_nemotron.facts.catalogue import load_release
from trt_nemotron.progress import Progress

PROGRAM = "tensorrt-edgellm-quantize"
QUANTIZE_FUNCTION = "tensorrt_edgellm.scripts.quantize:main"

_WEIGHTS = ".safetensors"
_TIMEOUT_S = 12 * 3600.0


def quantizer_arguments(
    model: str, out: str, precision: str, samples: int, device: str
) -> tuple[str, ...]:
    """What the quantizer is told; the output layer and the KV cache stay in 16 bits."""
    return (
        "llm", "--model_dir", model, "--output_dir", out, "--quantization", precision,
        "--text_dataset", DATASET, "--num_samples", str(samples), "--device", device,
    )  # fmt: skip


def quantize(
    wanted: Wanted,
    out: Path,
    progress: Progress,
    *,
    environment: Environment | None = None,
    quantizer: Quantizer | None = None,
) -> tuple[Quantization, bool]:
    """Quantize into `out`; what is there already and the same is kept.

    Args:
        wanted: what is to be made.
        out: the folder of the quantized checkpoint.
        progress: told phases and memory.
        environment: Edge-LLM's, in place of the release's own.
        quantizer: in place of the release's own.

    Returns:
        The record, and whether it was there before.

    Raises:
        InvalidInput: see `check_wanted`; or `out` holds another quantization.
        EnvironmentUnfit: no GPU for a checkpoint that needs one, or no quantizer.
        CheckFailed: the result is not what was asked for.
        CommandFailed: the quantizer failed; with the end of its log.
    """
    check_wanted(wanted, out)
    there = environment or ensure_environment(wanted.release, progress)
    tools = quantizer or ensure_quantizer(there, wanted.release, progress)
    device = choose_device(wanted.checkpoint, tools)
    calibration, texts = read_calibration(wanted.calibration, wanted.samples)
    record = _foreseen(wanted, calibration, tools, device, progress)
    known = read_quantization(out)
    if known is not None:
        return _kept(known, record, out, progress), True
    with _part_of(out) as part:
        stage_checkpoint(wanted.checkpoint, part / "staged", there.python, progress)
        write_for_quantizer(texts, part / "calibration.jsonl")
        made = _run(wanted, part, tools, record, progress)
        _take(made, part / "staged", part / "whole", progress)
        finished = _check(wanted, part / "whole", record, progress)
        write_document(part / "whole" / QUANTIZATION_RECORD, finished)
        (part / "whole").rename(out)
    return finished, False


def _foreseen(
    wanted: Wanted, calibration: Calibration, tools: Quantizer, device: Device, progress: Progress
) -> Quantization:
    progress.phase("hashing the checkpoint")
    checkpoint = wanted.checkpoint
    meter = HashMeter(progress, sum(file.size_bytes for file in checkpoint.files))
    folder = source_folder(checkpoint)
    source = sha256_of_set((it.name, meter.sha256(folder / it.name)) for it in checkpoint.files)
    return Quantization(
        precision=wanted.precision,
        source=checkpoint.name,
        source_sha256=source,
        program=f"{PROGRAM} {wanted.release}",
        packages=dict(sorted(tools.packages.items())),
        device=device,
        calibration=calibration,
        layers=0,
        files={},
    )


def _kept(known: Quantization, wanted: Quantization, out: Path, progress: Progress) -> Quantization:
    """What is there, if it is what is wanted and no byte of it has changed."""
    if msgspec.structs.replace(known, layers=0, files={}) != wanted:
        raise InvalidInput(
            f"{out} holds another quantization",
            evidence=f"{known.precision} of {known.source} with {known.calibration.name} "
            f"({known.calibration.sha256[:12]}, {known.calibration.samples} documents)",
            next_step="Name another folder with --out, or remove that one.",
        )
    if _hashes(out, progress) != known.files:
        raise CheckFailed(
            f"{out} is not as it was made",
            evidence=f"its files are not those in {QUANTIZATION_RECORD}",
            next_step="Remove it and quantize again.",
        )
    progress.note(f"quantized before: {out}")
    return known


@contextmanager
def _part_of(out: Path) -> Iterator[Path]:
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.quantizing-") as scratch:
        for name in ("staged", "whole"):
            (Path(scratch) / name).mkdir()
        yield Path(scratch)


def _run(
    wanted: Wanted, part: Path, tools: Quantizer, record: Quantization, progress: Progress
) -> Path:
    """Run the quantizer on what was staged; where it wrote."""
    model, made, samples = part / "model", part / "made", record.calibration.samples
    model.mkdir()
    for path in (part / "staged").iterdir():
        if path.name == CONFIG_NAME:
            write_atomically(model / CONFIG_NAME, _for_calibration(path.read_bytes()))
        else:
            place_file(path, model / path.name)
    progress.phase(f"quantizing to {record.precision} with {samples} documents ({record.device})")
    run_inside(
        tools.python,
        QUANTIZE_FUNCTION,
        quantizer_arguments(str(model), str(made), record.precision, samples, record.device),
        log=part / "log",
        progress=progress,
        expected_bytes=expected_memory(wanted.checkpoint, load_release("edgellm", wanted.release)),
        timeout_s=_TIMEOUT_S,
        variables={VARIABLE: str(part / "calibration.jsonl"), "HF_HOME": str(part / "home")},
    )
    if not (made / CONFIG_NAME).is_file():
        raise CommandFailed(
            "the quantizer ended well and wrote no checkpoint",
            evidence=(part / "log").read_text(errors="replace")[-2000:],
            next_step="Report it upstream, with this log.",
        )
    return made


def _for_calibration(text: bytes) -> bytes:
    """Without a cache, and without `auto_map`, so that no code of the checkpoint's is run.

    Transformers 5.14 cannot build a cache for a network with MLP layers (KeyError: 'mlp').
    """
    config = {name: it for name, it in json.loads(text).items() if name != "auto_map"}
    return msgspec.json.encode({**config, "use_cache": False})


def _take(made: Path, staged: Path, whole: Path, progress: Progress) -> None:
    """Weights and scales of the quantizer, all else of the checkpoint itself, in the hub's form.

    The quantizer writes configuration and tensors in Transformers' own form, under names that its
    own exporter does not look for.
    """
    progress.phase("writing the quantized checkpoint")
    written: dict[str, Any] = json.loads((made / CONFIG_NAME).read_bytes())
    config = json.loads((staged / CONFIG_NAME).read_bytes())
    said = {"quantization_config": written["quantization_config"]}
    write_atomically(whole / CONFIG_NAME, with_hub_names(json.dumps({**config, **said}).encode()))
    for path in made.iterdir():
        if path.name.endswith(_WEIGHTS):
            store_with_hub_names(path, whole / path.name)
        elif path.name in NAMING_FILES:
            write_atomically(whole / path.name, with_hub_names(path.read_bytes()))
    for path in staged.iterdir():
        if not path.name.endswith(_WEIGHTS) and path.name not in {CONFIG_NAME, *NAMING_FILES}:
            place_file(path, whole / path.name)


def _check(wanted: Wanted, whole: Path, record: Quantization, progress: Progress) -> Quantization:
    layers = judge_quantized(open_checkpoint(whole), wanted.precision)
    return msgspec.structs.replace(record, layers=layers, files=_hashes(whole, progress))


def _hashes(folder: Path, progress: Progress) -> dict[str, str]:
    paths = sorted(
        path for path in folder.iterdir() if path.is_file() and path.name != QUANTIZATION_RECORD
    )
    meter = HashMeter(progress, sum(path.stat().st_size for path in paths))
    return {path.name: meter.sha256(path) for path in paths}
