"""How many layers are executed: all of a small network, of a large one every kind once."""

from typing import Any

import pytest
from msgspec.structs import replace

from trt_nemotron.deploy.checkpoint.known_model import known_checkpoint
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.runtimes.edgellm.depth import (
    LAYERS_VARIABLE,
    comparing_bytes,
    first_layers,
    layers_to_execute,
)
from trt_nemotron.errors import InvalidInput


@pytest.fixture
def large() -> Checkpoint:
    found = known_checkpoint("nemotron-3-nano-4b-bf16")
    assert found is not None
    return found


def test_all_layers_of_a_small_network_are_executed(embedded: Checkpoint):
    assert layers_to_execute(embedded, {}) == 7


def test_of_a_large_one_every_kind_of_layer_is_executed_and_no_more(large: Checkpoint):
    layers = layers_to_execute(large, {})
    assert large.shape.pattern[:layers] == "M-M-M-MM-M-M*"


def test_memory_of_the_first_layers_is_a_fraction(large: Checkpoint):
    part = first_layers(large.shape, 13)
    assert (part.mamba_layers, part.mlp_layers, part.attention_layers) == (7, 5, 1)
    assert part.parameters < large.parameters / 2
    assert comparing_bytes(large.shape, 13) < 11e9
    assert comparing_bytes(large.shape, 42) > 19e9


@pytest.mark.parametrize(("said", "layers"), [("0", 0), ("20", 20), ("all", 42), ("99", 42)])
def test_variable_deepens_and_skips(large: Checkpoint, said: str, layers: int):
    assert layers_to_execute(large, {LAYERS_VARIABLE: said}) == layers


@pytest.mark.parametrize("said", ["-1", "many", "1.5", "²"])
def test_what_is_no_number_of_layers_is_refused(large: Checkpoint, said: Any):
    with pytest.raises(InvalidInput, match=LAYERS_VARIABLE):
        layers_to_execute(large, {LAYERS_VARIABLE: said})


def test_pattern_may_begin_with_attention(large: Checkpoint):
    turned = replace(large, shape=replace(large.shape, pattern="*M-M*-"))
    assert layers_to_execute(turned, {}) == 3
