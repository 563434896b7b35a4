"""A bundle as one file: packed for a device without a network, and restored there."""
