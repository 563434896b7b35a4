"""The MLP: up, squared ReLU, down."""

from trt_nemotron.deploy.compile.writer import GraphWriter


def mlp(graph: GraphWriter, layer: str, value: str) -> str:
    """Of `value` (batch, tokens, hidden)."""
    up = graph.add("Relu", graph.add("MatMul", value, f"{layer}.up_proj"))
    return graph.add("MatMul", graph.add("Mul", up, up), f"{layer}.down_proj")
