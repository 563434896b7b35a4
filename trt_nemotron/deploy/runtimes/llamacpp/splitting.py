"""How a tokenizer cuts text into pieces before merging, and llama.cpp's name for it.

llama.cpp has the cutting patterns built in and takes only a name, so a pattern can be represented
only if it is one of those it has (src/llama-vocab.cpp). A wrong name would load, and tokenize
wrongly without a word.
"""

from collections.abc import Mapping
from typing import Any

from trt_nemotron.errors import CheckpointUnusable

_GPT2 = "gpt-2"
_LETTERS_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LETTERS_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_NAMES_BY_PATTERN = {
    # Mistral's Tekken, and with it the Nemotron family's vocabulary of 131,072
    rf"[^\r\n\p{{L}}\p{{N}}]?{_LETTERS_UPPER}*{_LETTERS_LOWER}+"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_LETTERS_UPPER}+{_LETTERS_LOWER}*|\p{{N}}{_REST}": "tekken",
}


def splitting_name(tokenizer: Mapping[str, Any]) -> str:
    """The value of `tokenizer.ggml.pre` for a parsed `tokenizer.json`.

    Raises:
        CheckpointUnusable: llama.cpp has no such way of cutting.
    """
    splitter = tokenizer.get("pre_tokenizer") or {}
    match splitter:
        case {"type": "ByteLevel", "add_prefix_space": False} if splitter.get("use_regex", True):
            return _GPT2
        case {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": str(pattern)}, "behavior": "Isolated"},
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ],
        } if pattern in _NAMES_BY_PATTERN:
            return _NAMES_BY_PATTERN[pattern]
        case _:
            raise CheckpointUnusable(
                "llama.cpp has no counterpart for how this tokenizer cuts text",
                evidence=f"tokenizer.json: pre_tokenizer is {str(splitter)[:300]}",
                next_step="Use the publisher's GGUF file, or --runtime transformers.",
            )


def byte_symbols() -> frozenset[str]:
    """The 256 characters by which byte-level BPE writes bytes (GPT-2's table).

    Printable Latin-1 stands for itself; the other bytes take characters from U+0100 on, in order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = range(0x100, 0x100 + 256 - len(printable))
    return frozenset(map(chr, (*printable, *others)))
