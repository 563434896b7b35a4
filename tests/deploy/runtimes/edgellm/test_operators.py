"""The reference operators against the plainest loops, on ragged batches and through states."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import trt_nemotron.deploy.runtimes.edgellm as package

Array = Any


@pytest.fixture(scope="module")
def operators() -> ModuleType:
    """The file is run by another interpreter, so it is loaded as a file here too."""
    path = Path(package.__file__).parent / "inside" / "operators.py"
    spec = importlib.util.spec_from_file_location("edgellm_operators", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OFFSETS = np.array([0, 3, 8], np.int32)
ROWS = np.array([1, 0], np.int32)
LENGTHS = np.array([3, 5], np.int32)


def test_convolution_sees_the_last_inputs_of_its_own_sequence(operators: ModuleType):
    random = np.random.default_rng(0)
    x, weight = random.normal(size=(8, 2)), random.normal(size=(2, 1, 4))
    bias, state = random.normal(size=2), random.normal(size=(2, 2, 4))
    y, new = operators.causal_conv1d(x, weight, bias, state, LENGTHS, OFFSETS, ROWS)
    for index, (start, stop) in enumerate(((0, 3), (3, 8))):
        row = ROWS[index]
        for channel in range(2):
            line = [*state[row, channel], *x[start:stop, channel]]
            for token in range(stop - start):
                last = line[token + 1 : token + 5]
                want = sum(a * b for a, b in zip(last, weight[channel, 0], strict=True))
                assert math.isclose(y[start + token, channel], want + bias[channel], rel_tol=1e-5)
            assert np.allclose(new[row, channel], line[-4:])


def test_scan_follows_the_recurrence(operators: ModuleType):
    random = np.random.default_rng(1)
    heads, size, groups, states = 4, 3, 2, 5
    x = random.normal(size=(8, heads, size))
    b, c = random.normal(size=(2, 8, groups, states))
    a, d, dt_bias = -random.uniform(1, 4, heads), random.normal(size=heads), np.zeros(heads)
    dt = random.normal(size=(8, heads))
    state = random.normal(size=(2, heads, size, states))
    y, new = operators.update_ssm_state(
        x, a, b, c, d, dt, dt_bias, state, LENGTHS, OFFSETS, ROWS, dt_softplus=1
    )
    for index, (start, stop) in enumerate(((0, 3), (3, 8))):
        held = state[ROWS[index]].copy()
        for token in range(start, stop):
            for head in range(heads):
                group = head // 2
                step = math.log1p(math.exp(dt[token, head]))
                held[head] *= math.exp(step * a[head])
                held[head] += step * np.outer(x[token, head], b[token, group])
                want = held[head] @ c[token, group] + d[head] * x[token, head]
                assert np.allclose(y[token, head], want, atol=1e-4)
        assert np.allclose(new[ROWS[index]], held, atol=1e-4)


def test_attention_goes_on_across_pages_as_if_read_at_once(operators: ModuleType):
    random = np.random.default_rng(2)
    heads, groups, size, tokens = 4, 2, 8, 150
    qkv = random.normal(size=(tokens, (heads + 2 * groups) * size)).astype(np.float32)
    sizes = {"num_q_heads": heads, "num_kv_heads": groups, "head_size": size}
    table = np.array([[[1, 0], [3, 2]]], np.int32)  # keys, then values behind both pages of keys

    def run(part: Array, pages: Array, past: int) -> tuple[Array, Array]:
        out: tuple[Array, Array] = operators.attention(
            part, pages, None, None, np.array([past]), table, np.array([0, len(part)]),
            attention_scale=size**-0.5, **sizes,
        )  # fmt: skip
        return out

    empty = np.zeros((2, 2, 128, groups, size), np.float32)
    whole, pages = run(qkv, empty, 0)
    first, between = run(qkv[:127], empty, 0)
    second, after = run(qkv[127:], between, 127)
    assert np.allclose(np.concatenate([first, second]), whole, atol=1e-5)
    assert np.array_equal(after, pages)
    assert np.any(pages[0, 1])
    assert np.any(pages[1, 1])
    packed = qkv.reshape(tokens, -1, size)
    scores = packed[-1, 3] @ packed[:, heads + 1].T * size**-0.5
    weights = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    assert np.allclose(whole[-1, 3], weights @ packed[:, heads + groups + 1], atol=1e-5)


def test_half_precision_comes_out_as_it_came_in(operators: ModuleType):
    x = np.ones((8, 2), np.float16)
    y, new = operators.causal_conv1d(
        x, np.ones((2, 1, 4), np.float16), np.zeros(2, np.float16),
        np.zeros((2, 2, 4), np.float16), LENGTHS, OFFSETS, ROWS,
    )  # fmt: skip
    assert y.dtype == new.dtype == np.float16
    assert y[:3, 0].tolist() == [1, 2, 3]
