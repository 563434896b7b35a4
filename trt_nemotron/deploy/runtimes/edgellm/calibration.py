"""Calibration data: a file of documents, a line each, named by its hash in what is made with it.

Edge-LLM's quantizer knows data sets by name and downloads what the hub holds that day, without a
revision. So only a file is taken: it is handed over in the place of its default data set, through
the variable that it has for machines without a network.
"""

import hashlib
import json
from pathlib import Path

from trt_nemotron.deploy.runtimes.edgellm.values import Calibration
from trt_nemotron.document import write_atomically
from trt_nemotron.errors import InvalidInput

DATASET = "cnn_dailymail"
VARIABLE = "EDGELLM_QUANT_DATASET_CNN_DAILYMAIL"
MAX_TOKENS = 512
"""What the quantizer cuts a document to; no option changes it."""

_FIELDS = ("text", "article")
_MOST_BYTES = 1 << 30


def read_calibration(path: Path, samples: int) -> tuple[Calibration, tuple[str, ...]]:
    """What is to be said of a file, and its first documents that are not empty.

    Args:
        path: JSON Lines: objects with `text` (or `article`), or strings.
        samples: documents to take at most.

    Raises:
        InvalidInput: it cannot be read, or a line of it is neither; the line is named.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise _refused(path, f"{path.stat().st_size:,} bytes", "Give at most 1 GiB.")
        content = path.read_bytes()
        lines = content.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise _refused(path, str(fault), "Give a file of JSON Lines in UTF-8.") from fault
    texts: list[str] = []
    for number, line in enumerate(lines, 1):
        if len(texts) == samples:
            break
        if line.strip():
            text = _document(path, number, line)
            texts += [text] if text.strip() else []
    if not texts:
        raise _refused(path, "it holds no document", 'Write {"text": "..."} on each line.')
    said = Calibration(
        name=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        samples=len(texts),
        max_tokens=MAX_TOKENS,
    )
    return said, tuple(texts)


def write_for_quantizer(texts: tuple[str, ...], path: Path) -> None:
    """The documents as the quantizer reads its default data set."""
    lines = (json.dumps({"article": text}, ensure_ascii=False) for text in texts)
    write_atomically(path, "\n".join((*lines, "")).encode())


def _document(path: Path, number: int, line: str) -> str:
    try:
        tree = json.loads(line)
    except (ValueError, RecursionError) as fault:
        raise _refused(path, f"line {number}: {fault}", "Correct the line.") from fault
    found = tree if isinstance(tree, str) else None
    if isinstance(tree, dict):
        found = next((tree[name] for name in _FIELDS if isinstance(tree.get(name), str)), None)
    if found is None:
        raise _refused(
            path, f"line {number} has no text", 'Write {"text": "..."} or a string on each line.'
        )
    return found


def _refused(path: Path, evidence: str, next_step: str) -> InvalidInput:
    return InvalidInput(f"{path} cannot be calibrated with", evidence=evidence, next_step=next_step)
