"""Store a checkpoint's F32 tensors as F16: the exporter reads no F32.

watched.py store_half:main SOURCE.safetensors TARGET.safetensors RESULT.json
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


def main() -> int:
    """Write the file, and the names of tensors that FP16 cannot hold."""
    source, target, result = sys.argv[1:]
    beyond, stored = [], {}
    for name, tensor in load_file(source).items():
        with np.errstate(over="ignore"):
            half = tensor.astype(np.float16) if tensor.dtype == np.float32 else tensor
        if not np.isfinite(half).all():
            beyond.append(name)
        stored[name] = half
    save_file(stored, target, metadata={"format": "pt"})
    Path(result).write_text(json.dumps(sorted(beyond)), encoding="utf-8")
    return 0
