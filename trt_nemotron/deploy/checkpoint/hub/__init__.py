"""A checkpoint on the hub: its reference, its place in the cache, its download and its lock."""
