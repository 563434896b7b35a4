from types import ModuleType
from typing import get_args

import pytest

from trt_nemotron.deploy.checkpoint.architecture import gguf_tensors
from trt_nemotron.deploy.runtimes.llamacpp.storage import PRECISIONS, Precision, storage_type


@pytest.mark.parametrize("precision", PRECISIONS)
def test_matrices_take_the_precision_and_all_else_stays_f32(
    sparse: ModuleType, precision: Precision
):
    """Said the other way round: by the names that llama.cpp multiplies with."""
    multiplied = ("_embd", "output", "ssm_in", "ssm_out", "attn_q", "attn_k", "attn_v")
    multiplied += ("attn_output", "ffn_up", "ffn_down")
    for name, dimensions in gguf_tensors(sparse.REAL_4B).items():
        is_matrix = name.removesuffix(".weight").endswith(multiplied)
        expected = precision.upper() if is_matrix else "F32"
        assert storage_type(name, dimensions, precision).name == expected, name


def test_row_that_does_not_fill_q8_0_blocks_falls_back_to_f16():
    assert storage_type("blk.0.ffn_up.weight", (100, 64), "q8_0").name == "F16"
    assert storage_type("blk.0.ffn_up.weight", (100, 64), "f32").name == "F32"
    assert storage_type("blk.0.ffn_up.weight", (96, 64), "q8_0").name == "Q8_0"


def test_every_precision_is_one_of_the_type():
    assert get_args(Precision) == PRECISIONS
