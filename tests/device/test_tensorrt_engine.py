"""The plain-operator graph compiled with TensorRT on a machine that has it and its GPU.

    pytest -m device tests/device

Never run by default, and not run yet: it says that the engine is built and what it is, as every
`compile` does. The engine is not executed, so its logits are not compared.
"""

from pathlib import Path

import pytest

from trt_nemotron.deploy.compile.compilers import compiler_name
from trt_nemotron.deploy.compile.compiling import CompileWishes, compile_checkpoint, plan_compile
from trt_nemotron.deploy.compile.elements import precision_name
from trt_nemotron.progress import SILENT

pytestmark = pytest.mark.device


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_embedded_checkpoint_is_compiled_for_the_gpu_of_this_machine(
    precision: str, tmp_path: Path
):
    pytest.importorskip("tensorrt", reason="TensorRT's Python bindings are not here")
    wishes = CompileWishes(precision=precision_name(precision), compiler=compiler_name("tensorrt"))
    plan, opened = plan_compile(wishes)
    report = compile_checkpoint(plan, opened, tmp_path, SILENT)
    assert not report.failed
    (engine,) = report.engines
    assert engine.engine_bytes > plan.weight_bytes
    assert report.label == "compiled, not executed"
