"""NVIDIA-Nemotron-3-Nano-4B on an edge device, known with numbers to be right and fast.

Importing the package loads nothing heavy: no runtime, no numpy, no network library.
"""

__version__ = "0.2.0"
