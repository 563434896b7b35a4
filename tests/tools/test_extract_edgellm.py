"""The extractor on a small tree in the form of the wheel, and what the shipped facts hold."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trt_nemotron.facts.catalogue import load_release

SOURCES = {
    "tensorrt_edgellm/_version.py": '__version__ = "0.11.0"\n',
    "experimental/server/config.py": """
def parser():
    api.add_argument("--port", type=_bounded_port, default=8000)
    api.add_argument("--parser", choices=("auto", "none"), default="auto")
    model.add_argument("--max-batch-size", type=_positive_int, default=1)
    model.add_argument("--enable-x", action="store_true")
    model.add_argument("model")
""",
    "experimental/builder/cli.py": """
def build(parser):
    parser.add_argument("--engine-dir", required=True)
    parser.add_argument("--externalize-weights", action="append",
                        choices=weight_policy.EXTERNAL_WEIGHT_CHOICES)
""",
    "experimental/builder/core/weight_policy.py": """
KINDS = ("fp16", "embedding")
EXTERNAL_WEIGHT_CHOICES = (*KINDS, "all")
""",
    "tensorrt_edgellm/scripts/export.py": """
def build():
    p.add_argument("--fp8-embedding", "--fp8_embedding", dest="fp8_embedding", action="store_true")
    p.add_argument("--hidden", help=argparse.SUPPRESS)
    p.add_argument("--hoist", dest="hoist", action="store_true", default=True)
    p.add_argument("--no-hoist", dest="hoist", action="store_false")
    p.add_argument("--kinds", nargs="+", choices=EXTERNAL_WEIGHT_CHOICES, default=[])
""",
    "tensorrt_edgellm/external_weights.py": 'EXTERNAL_WEIGHT_CHOICES = ("lm_head", "all")\n',
    "tensorrt_edgellm/scripts/quantize.py": """
def common(parser):
    parser.add_argument("--text_dataset", default=DEFAULT_TEXT_DATASET)
""",
    "tensorrt_edgellm/quantization/datasets/__init__.py": """
DEFAULT_TEXT_DATASET = "news"
DEFAULT_IMAGE_DATASET = "pictures"
DEFAULT_AUDIO_DATASET = "sounds"
""",
    "experimental/server/api/routes.py": """
@router.get("/health")
@router.post("/v1/chat/completions")
""",
}
VARIANT = {
    "variant_id": "thor", "cpu_arch": "aarch64", "platform_probe_source": "l4t",
    "platform_probe_values": ["R38.2"], "gpu_sm": 110, "cuda_runtime_soname": "libcudart.so.13",
    "tensorrt_runtime_soname": "libnvinfer.so.10",
}  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    variants = tmp_path / "tensorrt_edgellm" / "_native" / "variants.json"
    variants.parent.mkdir()
    variants.write_text(json.dumps({"variants": [VARIANT, {**VARIANT, "gpu_sm": 120}]}))
    return tmp_path


def run(repository: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, str(repository / "tools" / "extract_edgellm.py"), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=repository)


def test_flags_programs_routes_and_payloads_are_read(repository: Path, tree: Path):
    text = run(repository, "--tree", str(tree)).stdout
    for line in (
        "{name: --port, type: int, minimum: 1, maximum: 65535, default: 8000}",
        "{name: --parser, type: str, allowed: [auto, none], default: auto}",
        "{name: --enable-x, type: bool, default: false}",
        "{name: --externalize-weights, type: str, allowed: [fp16, embedding, all], ",
        "{name: --fp8-embedding, type: bool, default: false, aliases: [--fp8_embedding]}",
        "{name: --hoist, type: bool, default: true, aliases: [--no-hoist]}",
        "{name: --kinds, type: str, allowed: [lm_head, all], is_repeatable: true}",
        "{name: --text_dataset, type: str, default: news}",
        "{path: /v1/chat/completions, methods: [POST]}",
        "sms: [110, 120]",
    ):
        assert line in text, line
    assert "--hidden" not in text


def test_difference_from_the_shipped_facts_is_told_and_fails(repository: Path, tree: Path):
    found = run(repository, "--tree", str(tree), "--compare", "0.11.0")
    assert found.returncode == 1
    assert "flags: --host: not in the sources" in found.stdout
    assert "flags: --parser: not in the shipped file" in found.stdout


def test_shipped_facts_hold_both_names_and_the_traps():
    release = load_release("edgellm", "0.11.0")
    builder = release.program("tensorrt-edgellm-build")
    assert (builder.flag("--max-input-len").default, builder.also) == (32, "trtedge build")
    assert builder.flag("--max-kv-cache-capacity").default == 96
    assert all(builder.flag(it).trap for it in ("--max-input-len", "--max-kv-cache-capacity"))
    assert release.flag("--host").default == "0.0.0.0"
    assert release.exactness is not None
    assert release.exactness.value == "exact"
    payloads = {it.id: it for it in release.payloads}
    assert 80 in payloads["jetson-thor-jp72-cu13-sm110"].prefill_head_dims
    assert 80 not in payloads["dgx-spark-cu13-sm121"].prefill_head_dims
    assert not any(90 in it.sms for it in release.payloads)
    newer = load_release("edgellm", "0.11.1")
    assert newer.program("trtedge").about
    assert len(newer.payloads) == len(release.payloads)
