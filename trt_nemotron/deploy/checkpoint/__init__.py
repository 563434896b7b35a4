"""Weights on disk: headers, shape, quantization; safetensors folders and GGUF files."""
