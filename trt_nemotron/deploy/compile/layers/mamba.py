"""The Mamba-2 mixer: one formula for a chunk of a prompt and for a single token.

Within a call the recurrence is written as a product with a lower triangular matrix (the "state
space duality" of https://arxiv.org/abs/2405.21060, section 6), and what was before the call comes
in through the state. For one token it is the plain recurrence. The time step has no limits, as in
the model's own code; all of the scan is in f32.

Names of axes below: B batch, S tokens, G groups, R heads of a group, P head_dim, N state size.
"""

from dataclasses import dataclass

from trt_nemotron.deploy.compile.layers.norm import root_mean_square
from trt_nemotron.deploy.compile.layers.sequence import Sequence
from trt_nemotron.deploy.compile.spec import GraphSpec
from trt_nemotron.deploy.compile.writer import GraphWriter

_NO_DECAY_LEFT = -1e4
"""Exponent of a token that must not be seen: its exponential is 0 in f32."""

_TO_THE_END = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Scanned:
    """What the scan reads: `x` (B,S,GRP), `b` and `c` (B,G,S,N), `dt` and `total` (B,S,GR).

    `total` is the logarithm of how much of the state is left at each token.
    """

    x: str
    b: str
    c: str
    dt: str
    total: str


def mamba(graph: GraphWriter, spec: GraphSpec, index: int, value: str, sequence: Sequence) -> str:
    """Of `value` (batch, tokens, hidden); gives the outputs `present_conv` and `present_ssm`."""
    layer, shape = f"layers.{index}.mixer", spec.shape
    projected = graph.add("MatMul", value, f"{layer}.in_proj")
    sizes = (shape.mamba_inner_size, shape.conv_channels, shape.mamba_heads)
    gate, channels, step = graph.split(projected, *sizes)
    scanned = _scanned(graph, spec, layer, _convolved(graph, spec, index, channels), step)
    graph.give(_next_state(graph, spec, index, scanned), f"present_ssm_{index}")
    mixed = _output(graph, spec, index, scanned, sequence)
    gated = graph.add("Mul", mixed, graph.silu(graph.wide(gate)))
    grouped = graph.reshape(gated, 0, 0, shape.ssm_groups, -1)
    normal = root_mean_square(graph, grouped, spec.epsilon)
    normal = graph.reshape(normal, 0, 0, shape.mamba_inner_size)
    weighted = graph.add("Mul", graph.wide(f"{layer}.norm"), normal)
    return graph.add("MatMul", graph.narrow(weighted), f"{layer}.out_proj")


def _convolved(graph: GraphWriter, spec: GraphSpec, index: int, channels: str) -> str:
    """The causal convolution, (B,S,channels) in f32; its left context is the state."""
    layer, shape = f"layers.{index}.mixer.conv1d", spec.shape
    turned = graph.transpose(channels, 0, 2, 1)
    whole = graph.add("Concat", f"past_conv_{index}", turned, axis=2)
    start, end = graph.integers(1 - shape.conv_kernel), graph.integers(_TO_THE_END)
    last = graph.add("Slice", whole, start, end, graph.integers(2))
    graph.give(last, f"present_conv_{index}")
    convolved = graph.add(
        "Conv",
        whole,
        layer,
        f"{layer}.bias",
        group=shape.conv_channels,
        kernel_shape=[shape.conv_kernel],
    )
    return graph.wide(graph.transpose(graph.silu(convolved), 0, 2, 1))


def _scanned(
    graph: GraphWriter, spec: GraphSpec, layer: str, convolved: str, step: str
) -> _Scanned:
    shape = spec.shape
    width = shape.ssm_groups * shape.ssm_state_size
    x, b, c = graph.split(convolved, shape.mamba_inner_size, width, width)
    biased = graph.add("Add", graph.wide(step), f"{layer}.dt_bias")
    dt = graph.add("Softplus", biased)
    decay = graph.add("Mul", dt, f"{layer}.decay")
    return _Scanned(
        x=x,
        b=_by_group(graph, b, shape.ssm_groups),
        c=_by_group(graph, c, shape.ssm_groups),
        dt=dt,
        total=graph.add("CumSum", decay, graph.integer(1)),
    )


def _output(
    graph: GraphWriter, spec: GraphSpec, index: int, scanned: _Scanned, sequence: Sequence
) -> str:
    """What the scan says at every token: of this call, of the state before it, and D times x."""
    shape = spec.shape
    groups, heads = shape.ssm_groups, shape.mamba_heads // shape.ssm_groups
    apart = graph.reshape(scanned.x, 0, 0, groups, heads, shape.mamba_head_dim)
    within = graph.add(
        "MatMul",
        _influence(graph, spec, scanned, sequence),
        graph.transpose(apart, 0, 2, 3, 1, 4),
    )
    state = graph.reshape(f"past_ssm_{index}", 0, groups, -1, shape.ssm_state_size)
    before = graph.add("MatMul", scanned.c, graph.transpose(state, 0, 1, 3, 2))
    before = graph.reshape(graph.transpose(before, 0, 2, 1, 3), 0, 0, groups, heads, -1)
    left = graph.reshape(graph.add("Exp", scanned.total), 0, 0, groups, heads, 1)
    skip = graph.reshape(f"layers.{index}.mixer.D", groups, heads, 1)
    mixed = graph.add("Add", graph.transpose(within, 0, 3, 1, 2, 4), graph.add("Mul", left, before))
    mixed = graph.add("Add", mixed, graph.add("Mul", skip, apart))
    return graph.reshape(mixed, 0, 0, shape.mamba_inner_size)


def _influence(graph: GraphWriter, spec: GraphSpec, scanned: _Scanned, sequence: Sequence) -> str:
    """How much of each token's x reaches each later token of the call: (B,G,R,S,S)."""
    total, dt = (_by_head(graph, spec, name) for name in (scanned.total, scanned.dt))
    between = graph.add("Sub", graph.unsqueeze(total, 4), graph.unsqueeze(total, 3))
    seen = graph.add("Where", sequence.is_seen, between, graph.real(_NO_DECAY_LEFT))
    similar = graph.add("MatMul", scanned.c, graph.transpose(scanned.b, 0, 1, 3, 2))
    decayed = graph.add("Mul", graph.unsqueeze(similar, 2), graph.add("Exp", seen))
    return graph.add("Mul", decayed, graph.unsqueeze(dt, 3))


def _next_state(graph: GraphWriter, spec: GraphSpec, index: int, scanned: _Scanned) -> str:
    """The state after the last token of the call: (B,GR,P,N)."""
    shape = spec.shape
    start, end = graph.integers(-1), graph.integers(_TO_THE_END)
    last = graph.add("Slice", scanned.total, start, end, graph.integers(1))
    left = graph.add("Exp", graph.add("Sub", last, scanned.total))
    weight = graph.unsqueeze(graph.add("Mul", left, scanned.dt), 3)
    heads = graph.reshape(scanned.x, 0, 0, shape.mamba_heads, shape.mamba_head_dim)
    weighted = graph.reshape(graph.add("Mul", heads, weight), 0, 0, shape.ssm_groups, -1)
    new = graph.add("MatMul", graph.transpose(weighted, 0, 2, 3, 1), scanned.b)
    dimensions = (shape.mamba_heads, shape.mamba_head_dim, shape.ssm_state_size)
    kept = graph.reshape(graph.add("Exp", last), 0, shape.mamba_heads, 1, 1)
    old = graph.add("Mul", kept, f"past_ssm_{index}")
    return graph.add("Add", old, graph.reshape(new, 0, *dimensions))


def _by_group(graph: GraphWriter, value: str, groups: int) -> str:
    """(B,S,G*n) as (B,G,S,n)."""
    return graph.transpose(graph.reshape(value, 0, 0, groups, -1), 0, 2, 1, 3)


def _by_head(graph: GraphWriter, spec: GraphSpec, value: str) -> str:
    """(B,S,G*R) as (B,G,R,S)."""
    return graph.transpose(graph.reshape(value, 0, 0, spec.shape.ssm_groups, -1), 0, 2, 3, 1)
