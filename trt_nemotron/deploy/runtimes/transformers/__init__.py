"""Runtime `transformers`: `transformers serve`, opt-in."""
