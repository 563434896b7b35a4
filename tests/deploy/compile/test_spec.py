import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.checkpoint.architecture import hub_tensors
from trt_nemotron.deploy.checkpoint.known_model import known_checkpoint
from trt_nemotron.deploy.compile.elements import Precision
from trt_nemotron.deploy.compile.spec import (
    GraphSpec,
    check_spec,
    inputs,
    outputs,
    states,
    weight_slots,
)
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.errors import InvalidInput

SIZES = st.integers(1, 7)


@st.composite
def specs(draw: st.DrawFn) -> GraphSpec:
    groups, kv_heads = draw(SIZES), draw(SIZES)
    shape = NemotronHShape(
        pattern=draw(st.text("M*-", min_size=1, max_size=9)),
        hidden_size=draw(SIZES),
        intermediate_size=draw(SIZES),
        vocab_size=draw(SIZES),
        attention_heads=kv_heads * draw(SIZES),
        kv_heads=kv_heads,
        head_dim=draw(SIZES),
        mamba_heads=groups * draw(SIZES),
        mamba_head_dim=draw(SIZES),
        ssm_groups=groups,
        ssm_state_size=draw(SIZES),
        conv_kernel=draw(st.integers(2, 5)),
        max_position_embeddings=100,
        is_embedding_tied=draw(st.booleans()),
    )
    return GraphSpec(
        shape=shape,
        epsilon=1e-5,
        precision=draw(st.sampled_from(["fp32", "bf16", "fp16"])),
        max_seq_len=draw(st.integers(1, 100)),
        max_batch_size=draw(SIZES),
        chunk=1,
    )


@given(specs())
def test_weights_are_the_network_s_parameters_to_the_byte(spec: GraphSpec):
    slots = weight_slots(spec)
    scan = 3 * spec.shape.mamba_heads * spec.shape.mamba_layers
    wide = spec.element.bytes
    expected = (spec.shape.parameters - scan) * wide + scan * 4
    assert sum(slot.size_bytes for slot in slots) == expected
    assert len({slot.name for slot in slots}) == len(slots)
    assert {slot.source for slot in slots} == set(hub_tensors(spec.shape))


@given(specs())
def test_states_are_the_ledger_s_to_the_byte(spec: GraphSpec):
    batch, wide, shape = spec.max_batch_size, spec.element.bytes, spec.shape
    found: dict[str, int] = {"key": 0, "value": 0, "conv": 0, "ssm": 0}
    for port in states(spec):
        found[port.name.split("_")[0]] += port.elements(batch) * port.element.bytes
    cache = shape.kv_elements_per_token * spec.max_seq_len * batch * wide
    assert found["key"] == found["value"] == cache // 2
    assert found["conv"] == shape.conv_elements_per_slot * batch * wide
    assert found["ssm"] == shape.ssm_elements_per_slot * batch * 4


@given(specs())
def test_every_state_that_goes_in_comes_out_alike(spec: GraphSpec):
    past, present = inputs(spec)[2:], outputs(spec)[1:]
    assert [p.name.removeprefix("past_") for p in past] == [
        p.name.removeprefix("present_") for p in present
    ]
    assert [(p.element, p.dimensions) for p in past] == [(p.element, p.dimensions) for p in present]


def test_the_published_4b_has_the_figures_that_are_published_for_it():
    known = known_checkpoint("nemotron-3-nano-4b-bf16")
    assert known is not None
    spec = GraphSpec(shape=known.shape, epsilon=1e-5, precision="bf16", max_seq_len=8192)
    by_kind = {"key": 0, "value": 0, "conv": 0, "ssm": 0}
    for port in states(spec):
        by_kind[port.name.split("_")[0]] += port.elements(1) * port.element.bytes
    assert by_kind["key"] + by_kind["value"] == 128 * 2**20
    assert by_kind["ssm"] == 21 * 96 * 80 * 128 * 4
    assert by_kind["conv"] == 21 * 9728 * 3 * 2
    assert math.isclose(sum(slot.size_bytes for slot in weight_slots(spec)), 7.95e9, rel_tol=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chunk": 65}, "a chunk of 65 tokens does not fit into a sequence of 64"),
        ({"max_seq_len": 8193}, "was made for at most 8,192 tokens"),
    ],
)
def test_sizes_that_contradict_each_other(
    small_spec: GraphSpec, changes: dict[str, int], message: str
):
    with pytest.raises(InvalidInput, match=message):
        check_spec(msgspec.structs.replace(small_spec, **changes))


def test_a_convolution_without_state(small_spec: GraphSpec):
    shape = msgspec.structs.replace(small_spec.shape, conv_kernel=1)
    with pytest.raises(InvalidInput, match="width 1"):
        check_spec(msgspec.structs.replace(small_spec, shape=shape))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_scan_is_in_f32_whatever_the_precision(small_spec: GraphSpec, precision: Precision):
    spec = msgspec.structs.replace(small_spec, precision=precision)
    wide = {port.element.name for port in states(spec) if port.name.startswith("ssm")}
    assert wide == {"F32"}
    assert {s.element.name for s in weight_slots(spec) if s.source.endswith("A_log")} == {"F32"}
