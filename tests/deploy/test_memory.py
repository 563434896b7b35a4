import re
from collections.abc import Callable
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.checkpoint.architecture import gguf_tensors, hub_tensors
from trt_nemotron.deploy.checkpoint.ggml_types import GGML_TYPES_BY_NAME
from trt_nemotron.deploy.memory import (
    conv_state_line,
    kv_cache_line,
    reserve_line,
    ssm_state_line,
    state_bytes_per_slot,
    weights_line,
)
from trt_nemotron.deploy.plan import LedgerLine
from trt_nemotron.deploy.shape import NemotronHShape, round_up

F32, F16, BF16, Q8_0 = (GGML_TYPES_BY_NAME[name] for name in ("F32", "F16", "BF16", "Q8_0"))


@st.composite
def shapes(draw: st.DrawFn) -> NemotronHShape:
    def number(least: int, most: int) -> int:
        return draw(st.integers(least, most))

    groups, kv_heads = number(1, 8), number(1, 8)
    return NemotronHShape(
        pattern="".join(draw(st.lists(st.sampled_from("M*-"), min_size=1, max_size=60))),
        hidden_size=32 * number(1, 100),
        intermediate_size=32 * number(1, 400),
        vocab_size=number(1, 200_000),
        attention_heads=kv_heads * number(1, 8),
        kv_heads=kv_heads,
        head_dim=32 * number(1, 8),
        mamba_heads=groups * number(1, 16),
        mamba_head_dim=number(1, 128),
        ssm_groups=groups,
        ssm_state_size=number(1, 256),
        conv_kernel=number(2, 8),
        chunk_size=number(1, 512),
        max_position_embeddings=number(256, 1 << 20),
        is_embedding_tied=draw(st.booleans()),
    )


def elements(dimensions: tuple[int, ...]) -> int:
    product = 1
    for dimension in dimensions:
        product *= dimension
    return product


@given(shapes())
def test_parameters_are_the_elements_of_all_tensors_in_both_spellings(shape: NemotronHShape):
    """Three counts that share no formula: by layer, by hub tensors, by GGUF tensors."""
    hub = sum(elements(it) for it in hub_tensors(shape).values())
    ours = sum(elements(it) for it in gguf_tensors(shape).values())
    assert shape.parameters == hub == ours
    assert len(hub_tensors(shape)) == len(gguf_tensors(shape))


@given(shapes(), st.integers(1, 300), st.integers(1, 64))
def test_bytes_equal_a_second_count_layer_by_layer(shape: NemotronHShape, tokens: int, slots: int):
    kv = ssm = conv = 0
    for kind in shape.pattern:
        for _ in range(slots):
            if kind == "M":
                width = shape.mamba_heads * shape.mamba_head_dim
                ssm += width * shape.ssm_state_size * 4
                bc = shape.ssm_groups * shape.ssm_state_size
                conv += (width + bc + bc) * (shape.conv_kernel - 1) * 4
        if kind == "*":
            kv += (shape.kv_heads * shape.head_dim + shape.kv_heads * shape.head_dim) * 2 * tokens
    assert kv_cache_line(shape, tokens, F16).size_bytes == kv
    assert ssm_state_line(shape, slots).size_bytes == ssm
    assert conv_state_line(shape, slots).size_bytes == conv
    assert state_bytes_per_slot(shape) * slots == ssm + conv


def test_figures_of_the_real_4b(sparse: ModuleType):
    shape = sparse.REAL_4B
    assert shape.parameters == 3_973_556_832
    assert (shape.mamba_layers, shape.mlp_layers, shape.attention_layers) == (21, 17, 4)
    assert ssm_state_line(shape, 1).size_bytes == 82_575_360
    assert conv_state_line(shape, 1, element_bytes=2).size_bytes == 1_225_728
    assert kv_cache_line(shape, 1, BF16).size_bytes == 16_384
    assert kv_cache_line(shape, 262_144, BF16).size_bytes == 4 << 30


def test_quantized_cache_is_counted_in_blocks(sparse: ModuleType):
    half = kv_cache_line(sparse.REAL_4B, 4096, F16).size_bytes
    assert kv_cache_line(sparse.REAL_4B, 4096, Q8_0).size_bytes == half * 17 // 32


@pytest.mark.parametrize(
    ("make", "formula"),
    [
        (
            lambda shape: kv_cache_line(shape, 4096, F16),
            "2 (K, V) x 4 attention layers x 8 KV heads x 128 x 4,096 tokens x 2 B",
        ),
        (
            lambda shape: kv_cache_line(shape, 4096, Q8_0),
            "2 (K, V) x 4 attention layers x 8 KV heads x 128 x 4,096 tokens x 34/32 B",
        ),
        (
            lambda shape: ssm_state_line(shape, 1),
            "21 Mamba layers x 96 heads x 80 x 128 state x 1 slot x 4 B",
        ),
        (
            lambda shape: conv_state_line(shape, 2),
            "21 Mamba layers x 9,728 channels x (4 - 1) x 2 slots x 4 B",
        ),
    ],
)
def test_formula_computes_to_the_bytes(
    sparse: ModuleType, make: Callable[[NemotronHShape], LedgerLine], formula: str
):
    """The text is arithmetic: what a reader works out by it is what stands beside it."""

    line = make(sparse.REAL_4B)
    assert line.formula == formula
    assert line.status == "exact"
    words = re.sub(r"\(K, V\)|[A-Za-z,]", "", formula.replace(" x ", " * "))
    assert eval(words) == line.size_bytes  # noqa: S307 - our own digits and operators


def test_reserve_is_the_target_s_but_never_more_than_a_quarter():
    assert reserve_line(2 << 30, 16 << 30).size_bytes == 2 << 30
    assert reserve_line(2 << 30, 1 << 30).size_bytes == 256 << 20
    assert "quarter" in reserve_line(2 << 30, 1 << 30).formula


def test_weights_are_exact():
    assert weights_line(10, 5, "F16").status == "exact"


@given(st.integers(1, 10**9), st.integers(1, 4096))
def test_round_up_reaches_the_least_multiple(number: int, multiple: int):
    result = round_up(number, multiple)
    assert result % multiple == 0
    assert number <= result < number + multiple
