import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.compile.elements import (
    ElementType,
    element_of_code,
    encode,
    precision_name,
    storage_dtype,
)
from trt_nemotron.errors import CheckpointUnusable, InvalidInput

# Below the largest bfloat16; a larger f32 rounds to infinity, as it should.
WEIGHTS = st.floats(min_value=-(2.0**100), max_value=2.0**100, width=32)
TIES = st.integers(0, 0x7E00).map(
    lambda bits: float(struct.unpack("<f", struct.pack("<I", bits << 16 | 0x8000))[0])
)


def bfloat16(bits: int) -> float:
    return float(struct.unpack("<f", struct.pack("<I", bits << 16))[0])


@given(WEIGHTS | TIES)
def test_bfloat16_is_the_nearest_and_even_on_a_tie(number: float):
    bits = int(encode(np.array([number], np.float32), ElementType.BF16, "w")[0])
    magnitude = bits & 0x7FFF
    found, below, above = (abs(bfloat16(near)) for near in (magnitude, magnitude - 1 if magnitude
                           else 0, magnitude + 1))  # fmt: skip
    distance = abs(abs(number) - found)
    for other in (below, above):
        assert distance <= abs(abs(number) - other)
        if other != found and distance == abs(abs(number) - other):
            assert magnitude % 2 == 0
    assert math.copysign(1, number) == (-1 if bits & 0x8000 else 1)


def test_the_other_types_are_numpy_s_own():
    numbers = np.array([1.5, -0.1, 3e-5], np.float32)
    assert (encode(numbers, ElementType.F32, "w") == numbers).all()
    assert (encode(numbers, ElementType.F16, "w") == numbers.astype(np.float16)).all()


def test_a_number_too_large_for_fp16_is_refused_by_name():
    with pytest.raises(CheckpointUnusable, match=r"layers.3.x cannot be written in FP16") as caught:
        encode(np.array([70000.0, 1.0], np.float32), ElementType.F16, "layers.3.x")
    assert "70000" in caught.value.evidence


@pytest.mark.parametrize("element", list(ElementType))
def test_codes_and_bytes_are_onnx_s(element: ElementType):
    onnx = pytest.importorskip("onnx", reason="compared with its own table")
    assert element_of_code(element.code) is element
    theirs = onnx.helper.tensor_dtype_to_np_dtype(element.code)
    assert theirs.itemsize == element.bytes == storage_dtype(element).itemsize


def test_an_unknown_precision_and_an_unknown_code():
    with pytest.raises(InvalidInput, match="no graph is built in precision 'int4'"):
        precision_name("int4")
    assert element_of_code(99) is None
