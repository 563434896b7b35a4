"""RMS norm, in f32 whatever the precision."""

from trt_nemotron.deploy.compile.writer import GraphWriter


def root_mean_square(graph: GraphWriter, value: str, epsilon: float) -> str:
    """`value` (f32) over the root of its mean square along the last axis."""
    squared = graph.add("Mul", value, value)
    mean = graph.add("ReduceMean", squared, graph.integers(-1), keepdims=1)
    root = graph.add("Sqrt", graph.add("Add", mean, graph.real(epsilon)))
    return graph.add("Div", value, root)


def rms_norm(graph: GraphWriter, value: str, weight: str, epsilon: float) -> str:
    """The norm before a layer: `value` and the result are of the graph's precision."""
    normal = root_mean_square(graph, graph.wide(value), epsilon)
    return graph.narrow(graph.add("Mul", graph.wide(weight), normal))
