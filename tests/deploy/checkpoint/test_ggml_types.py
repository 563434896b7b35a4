import gguf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.checkpoint.ggml_types import GGML_TYPES, GGML_TYPES_BY_NAME, GgmlType


def test_table_is_that_of_the_gguf_package():
    theirs = {int(kind): (kind.name, *sizes) for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    ours = {n: (it.name, it.block_elements, it.block_bytes) for n, it in GGML_TYPES.items()}
    assert ours == theirs


@given(kind=st.sampled_from(list(GGML_TYPES.values())), blocks=st.integers(1, 10**6))
def test_whole_blocks_are_counted_and_parts_of_one_refused(kind: GgmlType, blocks: int):
    assert kind.size_bytes(blocks * kind.block_elements) == blocks * kind.block_bytes
    if kind.block_elements > 1:
        with pytest.raises(ValueError, match="do not fill"):
            kind.size_bytes(blocks * kind.block_elements + 1)
        assert not kind.can_store_row(blocks * kind.block_elements + 1)


def test_q8_0_takes_34_bytes_for_32_elements():
    assert GGML_TYPES_BY_NAME["Q8_0"].size_bytes(3136) == 3136 // 32 * 34
