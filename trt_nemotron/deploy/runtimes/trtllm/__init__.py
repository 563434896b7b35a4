"""TensorRT-LLM's PyTorch backend: its configuration planned, checked, rendered and started."""
