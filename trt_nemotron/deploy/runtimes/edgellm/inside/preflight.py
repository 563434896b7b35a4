"""Whether Edge-LLM's native part for exactly this board, system and TensorRT loads here.

PYTHON preflight.py        prints one JSON object: `payload`, or `fault`
"""

import json
import sys


def main() -> int:
    """Select, verify and load the payload, as the server will."""
    from tensorrt_edgellm import runtime
    from tensorrt_edgellm._native.load import resolve_payload

    try:
        payload = resolve_payload().variant_id
        runtime.load()
        import tensorrt

        found = {"payload": payload, "tensorrt": tensorrt.__version__}
    except (runtime.NativeRuntimeError, ImportError, OSError) as fault:
        found = {"fault": f"{type(fault).__name__}: {fault}"}
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
