"""One module per kind of layer: what it computes, in standard ONNX operators."""
