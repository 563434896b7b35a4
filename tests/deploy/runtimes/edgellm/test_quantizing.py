"""The real quantizer on the processor: FP8 and NVFP4 of the embedded checkpoint."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from trt_nemotron import command
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.runtimes.edgellm.calibration import read_calibration
from trt_nemotron.deploy.runtimes.edgellm.environment import Environment
from trt_nemotron.deploy.runtimes.edgellm.export import Export
from trt_nemotron.deploy.runtimes.edgellm.exporting import export_checked
from trt_nemotron.deploy.runtimes.edgellm.quantized import calibration_of, judge_quantized
from trt_nemotron.deploy.runtimes.edgellm.quantizer_environment import (
    Quantizer,
    ensure_quantizer,
    quantizer_lock,
)
from trt_nemotron.deploy.runtimes.edgellm.quantizing import quantize, quantizer_arguments
from trt_nemotron.deploy.runtimes.edgellm.staging import stage_checkpoint
from trt_nemotron.deploy.runtimes.edgellm.wanted import Wanted, check_wanted, choose_device
from trt_nemotron.errors import (
    CheckFailed,
    CommandFailed,
    EnvironmentUnfit,
    InvalidInput,
)
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.progress import SILENT

ALL_EXPORTS = "TRT_NEMOTRON_ALL_EXPORTS"
real_quantizer = pytest.mark.skipif(
    not os.environ.get(ALL_EXPORTS),
    reason=f"installs 700 MB once and quantizes, a minute each; {ALL_EXPORTS}=1 runs it",
)


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    path = tmp_path / "documents.jsonl"
    lines = [{"text": f"What is {n} plus {n + 3}? It is {2 * n + 3}."} for n in range(12)]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return path


@pytest.fixture(scope="module")
def tools(environment: Environment) -> Quantizer:
    return ensure_quantizer(environment, "0.11.0")


@dataclass(frozen=True)
class Made:
    """A quantization for real."""

    wanted: Wanted
    out: Path
    environment: Environment
    tools: Quantizer

    def run(self) -> Any:
        return quantize(
            self.wanted, self.out, SILENT, environment=self.environment, quantizer=self.tools
        )


@pytest.fixture
def made(
    embedded: Checkpoint,
    documents: Path,
    tmp_path: Path,
    environment: Environment,
    tools: Quantizer,
) -> Made:
    wanted = Wanted(embedded, "fp8", documents, 8, "0.11.0")
    return Made(wanted, tmp_path / "out", environment, tools)


@pytest.mark.slow
@real_quantizer
@pytest.mark.parametrize(
    ("precision", "stored"), [("fp8", "FLOAT8E4M3FN"), ("nvfp4", "FLOAT4E2M1")]
)
def test_quantized_for_real_and_exported_with_the_checkpoints_own_numbers(
    made: Made, release: RuntimeRelease, tmp_path: Path, precision: Any, stored: str
):
    record, is_kept = replace(made, wanted=replace(made.wanted, precision=precision)).run()
    assert (record.layers, record.device, is_kept) == (16, "cpu", False)
    assert record.calibration.samples == 8
    checkpoint = open_checkpoint(made.out)
    assert calibration_of(checkpoint) == record.calibration
    staged = tmp_path / "staged"
    staged.mkdir()
    stage_checkpoint(checkpoint, staged, made.environment.python, SILENT)
    export = Export(checkpoint, staged, precision, release, made.environment)
    _, exported = export_checked(export, SILENT, root=tmp_path / "cache")
    assert exported.report.linear_types == {stored: 16, "FLOAT16": 1}
    assert exported.weights.compared > 70
    assert exported.weights.other == exported.weights.missing == ()


@pytest.mark.slow
@real_quantizer
def test_same_again_is_kept_and_other_data_are_refused(made: Made):
    record, _ = made.run()
    before = (made.out / "model.safetensors").stat().st_mtime_ns
    assert made.run() == (record, True)
    assert (made.out / "model.safetensors").stat().st_mtime_ns == before
    fewer = replace(made, wanted=replace(made.wanted, samples=4))
    with pytest.raises(InvalidInput, match="holds another quantization"):
        fewer.run()
    (made.out / "config.json").write_text("{}")
    with pytest.raises(CheckFailed, match="not as it was made"):
        made.run()
    assert not list(made.out.parent.glob(".out.quantizing-*"))


@pytest.mark.slow
@real_quantizer
def test_exporter_that_finds_no_tensors_of_such_names_is_caught(
    made: Made, release: RuntimeRelease, tmp_path: Path
):
    """As ModelOpt names them: the exporter ends with 0, its graph holds what memory held."""
    replace(made, wanted=replace(made.wanted, precision="nvfp4")).run()
    checkpoint = open_checkpoint(made.out)
    staged = tmp_path / "staged"
    staged.mkdir()
    stage_checkpoint(checkpoint, staged, made.environment.python, SILENT)
    weights = staged / "model.safetensors"
    content = weights.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].replace(b'"backbone.layers', b'"model.layers')
    header += b" " * (-len(header) % 8)
    weights.unlink()
    weights.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    export = Export(checkpoint, staged, "nvfp4", release, made.environment)
    with pytest.raises(CheckFailed, match=r"lacks \d+ of the checkpoint's tensors|no numbers"):
        export_checked(export, SILENT, root=tmp_path / "cache")


@pytest.mark.slow
@real_quantizer
def test_real_parser_takes_our_arguments_and_knows_no_gpu_here(tools: Quantizer, tmp_path: Path):
    """`--help` shows what it takes; `--device cuda` is told by torch itself, after parsing."""
    argv = [str(tools.python), "-m", "tensorrt_edgellm.scripts.quantize"]
    helped = command.run([*argv, "llm", "--help"], timeout_s=120).stdout
    words = quantizer_arguments("MODEL", str(tmp_path / "out"), "nvfp4", 8, "cuda")
    assert all(word in helped for word in words if word.startswith("--"))
    with pytest.raises(CommandFailed) as caught:
        command.run([*argv, *words, "--no_such_option"], timeout_s=120)
    assert "unrecognized arguments: --no_such_option" in caught.value.evidence


def test_large_checkpoint_without_a_gpu_is_refused_with_what_to_do(embedded: Checkpoint):
    group = structs.replace(embedded.groups[0], elements=4_000_000_000)
    huge = structs.replace(embedded, groups=(group,))
    without = Quantizer(Path("python"), {"torch": "2.13.0+cpu"}, has_gpu=False)
    with pytest.raises(EnvironmentUnfit, match=r"4\.00 billion parameters takes a GPU") as caught:
        choose_device(huge, without)
    assert "2.13.0+cpu sees none" in caught.value.evidence
    assert choose_device(embedded, without) == "cpu"
    assert choose_device(huge, replace(without, has_gpu=True)) == "cuda"


def test_arguments_are_flags_of_the_program(release: RuntimeRelease):
    known = {flag.name for flag in release.program("tensorrt-edgellm-quantize").flags}
    words = quantizer_arguments("A", "B", "fp8", 8, "cuda")
    assert {word for word in words if word.startswith("--")} <= known


def test_folder_that_is_no_quantization_is_left_alone(
    embedded: Checkpoint, documents: Path, tmp_path: Path
):
    (tmp_path / "out").mkdir()
    wanted = Wanted(embedded, "fp8", documents, 8, "0.11.0")
    with pytest.raises(InvalidInput, match="nothing that this command made"):
        check_wanted(wanted, tmp_path / "out")


def test_unquantized_checkpoint_is_not_taken_for_a_quantized_one(embedded: Checkpoint):
    with pytest.raises(CheckFailed, match="not in nvfp4") as caught:
        judge_quantized(embedded, "nvfp4")
    assert "0 of 16 linear layers" in caught.value.evidence


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n{"no": 1}\n', "line 2 has no text"),
        ('{"text": "a"}\n{\n', "line 2:"),
        ("\n\n", "holds no document"),
        ('{"text": "  "}\n', "holds no document"),
        ("[1]\n", "line 1 has no text"),
    ],
)
def test_unusable_calibration_data_are_refused_by_line(tmp_path: Path, content: str, message: str):
    path = tmp_path / "data.jsonl"
    path.write_text(content)
    with pytest.raises(InvalidInput, match="cannot be calibrated with") as caught:
        read_calibration(path, 512)
    assert message in caught.value.evidence


def test_calibration_data_are_named_by_their_whole_content(documents: Path):
    few, texts = read_calibration(documents, 3)
    all_of_them, _ = read_calibration(documents, 512)
    assert (few.samples, len(texts), all_of_them.samples) == (3, 3, 12)
    assert few.sha256 == all_of_them.sha256
    assert few.max_tokens == 512


def test_strings_and_articles_are_documents_too(tmp_path: Path):
    path = tmp_path / "data.jsonl"
    path.write_text('"one"\n{"article": "two"}\n\n{"text": "three", "article": "x"}\n')
    assert read_calibration(path, 512)[1] == ("one", "two", "three")


def test_lock_lays_nothing_over_what_decides_an_export():
    lines = quantizer_lock("0.11.0").read_text().splitlines()
    names = {line.partition("==")[0] for line in lines if "==" in line}
    assert "nvidia-modelopt" in names
    assert not names & {"torch", "transformers", "onnx", "numpy", "tensorrt-edgellm"}
    with pytest.raises(InvalidInput, match=r"0\.11\.1 cannot be installed"):
        quantizer_lock("0.11.1")
