"""Readers of TensorRT-LLM's own source files: facts out, no text and no code."""
