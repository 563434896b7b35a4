"""Whether an engine can be loaded on this board: TensorRT's own reader is asked.

PYTHON load_engine.py ENGINE        prints one JSON object: `profiles`, or `fault`
"""

import json
import sys
from pathlib import Path


def main() -> int:
    """Deserialize the engine with the plugins of the selected payload."""
    from tensorrt_edgellm import runtime

    runtime.load()
    import tensorrt

    reader = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.WARNING))
    engine = reader.deserialize_cuda_engine(Path(sys.argv[1]).read_bytes())
    found = (
        {"fault": "TensorRT cannot deserialize it"}
        if engine is None
        else {"profiles": engine.num_optimization_profiles}
    )
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
