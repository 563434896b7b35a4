"""What the server says of its own latency, read between legs and set beside the client's."""
