"""A double of what Edge-LLM runs on the device; not the real thing, and as strict.

    PYTHON device_double.py MODE preflight
    PYTHON device_double.py MODE build --model-dir ... --engine-dir ... (as tensorrt-edgellm-build)
    PYTHON device_double.py MODE load ENGINE

The builder takes the flags of tensorrt-edgellm-build 0.11.0 and no others, demands a checkpoint
that it can read, and refuses F32 weights. Its engine is no engine: a header with its length, then
zeros, so that the loader can refuse what was cut off, as TensorRT does. MODE says how it fails; its
configuration lies in the file that the variable DOUBLE_CONFIG names.
"""

import argparse
import json
import os
import sys
from pathlib import Path

MAGIC = b"NOENGINE"
SIZE = 300_000


def preflight(mode: str) -> int:
    if mode == "no-device":
        sys.stdout.write(json.dumps({"fault": "NativeDetectionError: no platform"}) + "\n")
        return 0
    found = {"payload": "jetson-thor-jp72-cu13-sm110", "tensorrt": "10.16.0.72"}
    sys.stdout.write("loading plugins\n" + json.dumps(found) + "\n")
    return 0


def build(mode: str, words: list[str]) -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model-dir", required=True, type=Path)
    parser.add_argument("--engine-dir", required=True, type=Path)
    parser.add_argument("--components", default="all", choices=["all", "llm"])
    parser.add_argument("--max-input-len", type=int, default=32)
    parser.add_argument("--max-kv-cache-capacity", type=int, default=96)
    parser.add_argument("--max-batch-size", type=int, default=1)
    options = parser.parse_args(words)
    header = (options.model_dir / "model.safetensors").read_bytes()[:4096]
    if json.loads((options.model_dir / "config.json").read_bytes())["num_hidden_layers"] < 1:
        return 2
    if b'"F32"' in header:
        sys.stderr.write("TypeError: FP16Linear expects float16 input, got torch.float32\n")
        return 1
    if mode == "crashes":
        sys.stderr.write("RuntimeError: out of memory\n")
        return 1
    if mode != "writes-nothing":
        write(mode, options)
    sys.stdout.write("Engine generation completed\n")
    return 0


def write(mode: str, options: argparse.Namespace) -> None:
    config = json.loads(Path(os.environ["DOUBLE_CONFIG"]).read_bytes())
    pages = options.max_batch_size * -(-options.max_kv_cache_capacity // 128)
    config["builder_config"] |= {
        "max_input_len": options.max_input_len,
        "max_batch_size": options.max_batch_size + (mode == "other-configuration"),
        "max_kv_cache_capacity": options.max_kv_cache_capacity,
        "max_kv_pool_pages": pages,
    }
    config["checkpoint_identity"] = {"samples": []}
    body = MAGIC + SIZE.to_bytes(8, "little") + bytes(SIZE)
    length = {"truncated": len(body) - 1, "tiny": 4096}.get(mode, len(body))
    (options.engine_dir / "llm.engine").write_bytes(body[:length])
    if mode != "no-configuration":
        (options.engine_dir / "config.json").write_text(json.dumps(config))


def load(mode: str, path: Path) -> int:
    data = path.read_bytes()
    size = int.from_bytes(data[8:16], "little")
    if data[:8] != MAGIC or len(data) != size + 16:
        sys.stdout.write(json.dumps({"fault": "TensorRT cannot deserialize it"}) + "\n")
        return 0
    sys.stdout.write(json.dumps({"profiles": 1 if mode == "one-profile" else 2}) + "\n")
    return 0


def main() -> int:
    mode, what, *rest = sys.argv[1:]
    if what == "preflight":
        return preflight(mode)
    return build(mode, rest) if what == "build" else load(mode, Path(rest[0]))


if __name__ == "__main__":
    sys.exit(main())
