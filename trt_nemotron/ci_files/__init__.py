"""The files that run the gate in a repository's CI, written by `trt-nemotron ci init`."""
