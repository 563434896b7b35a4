"""Reading TensorRT Edge-LLM's sources without running them."""
