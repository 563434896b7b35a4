"""Reading back: a file that is not its source's is found, whatever the difference."""

from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trt_nemotron.deploy.checkpoint.ggml_types import GGML_TYPES_BY_NAME
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.runtimes.llamacpp.convert import convert, converted_tensors
from trt_nemotron.deploy.runtimes.llamacpp.converted_tensor import encode
from trt_nemotron.deploy.runtimes.llamacpp.storage import Precision
from trt_nemotron.deploy.runtimes.llamacpp.tensor_source import TensorSource
from trt_nemotron.deploy.runtimes.llamacpp.verify import rounding_bound, verify_file
from trt_nemotron.errors import CheckpointUnusable
from trt_nemotron.progress import SILENT


@pytest.mark.parametrize("precision", ["f32", "f16", "q8_0"])
@pytest.mark.parametrize("name", ["blk.0.ssm_in.weight", "blk.0.ssm_a", "output.weight"])
def test_one_changed_number_is_found(
    tiny_checkpoint: Path, tmp_path: Path, name: str, precision: Precision
):
    path = tmp_path / "m.gguf"
    checkpoint = open_checkpoint(tiny_checkpoint)
    convert(checkpoint, path, name="x", precision=precision, progress=SILENT)
    tensor = next(tensor for tensor in gguf.GGUFReader(path).tensors if tensor.name == name)
    data = bytearray(path.read_bytes())
    data[tensor.data_offset + 1] ^= 0x40  # an exponent's bit in each of the types
    path.write_bytes(data)
    with TensorSource([tiny_checkpoint / "model.safetensors"]) as source:
        expected = converted_tensors(source, checkpoint.shape, precision)
        with pytest.raises(CheckpointUnusable, match="is not what was to be written") as caught:
            verify_file(path, expected, SILENT)
    assert name in caught.value.evidence


def test_another_precision_or_shape_is_found(tiny_checkpoint: Path, tmp_path: Path):
    path = tmp_path / "m.gguf"
    checkpoint = open_checkpoint(tiny_checkpoint)
    convert(checkpoint, path, name="x", precision="f16", progress=SILENT)
    with TensorSource([tiny_checkpoint / "model.safetensors"]) as source:
        expected = converted_tensors(source, checkpoint.shape, "f32")
        with pytest.raises(CheckpointUnusable, match="F16"):
            verify_file(path, expected, SILENT)
        with pytest.raises(CheckpointUnusable, match="missing or added"):
            verify_file(path, expected[1:], SILENT)


@pytest.mark.parametrize("storage", ["F16", "BF16", "Q8_0"])
@settings(max_examples=150)
@given(
    values=arrays.arrays(
        np.float32, 64, elements=st.floats(-60000, 60000, width=32, allow_subnormal=True)
    )
)
def test_rounding_stays_within_its_bound(storage: str, values: np.ndarray):
    encoded = encode(values, GGML_TYPES_BY_NAME[storage])
    stored = gguf.quants.dequantize(encoded, gguf.GGMLQuantizationType[storage])
    assert np.all(np.abs(stored - values) <= rounding_bound(values, storage))


@settings(max_examples=50)
@given(values=arrays.arrays(np.float32, 64, elements=st.floats(1, 2, width=32)))
def test_the_bound_is_tight(values: np.ndarray):
    """A bound that lets everything pass would prove nothing."""
    assert np.all(rounding_bound(values, "F16") <= values * 2.0**-10)
    assert np.all(rounding_bound(values, "BF16") <= values * 2.0**-7)
    assert np.all(rounding_bound(values, "Q8_0") <= values.max() / 200)
    assert np.all(rounding_bound(values, "F32") == 0)
