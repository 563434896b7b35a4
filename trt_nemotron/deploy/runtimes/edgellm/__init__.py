"""Runtime `edgellm`: TensorRT Edge-LLM, real TensorRT engines for Thor and Spark."""
