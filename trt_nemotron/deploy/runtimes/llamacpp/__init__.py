"""Runtime `llamacpp`: GGUF files served by llama.cpp's own OpenAI server."""
