"""The network as a plain ONNX graph, and engines compiled from it on a machine without a GPU."""
