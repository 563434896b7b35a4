"""A tokenizer in which each word is a token, for peers that count tokens themselves."""

import json
from pathlib import Path

WORDS = 1021
_SPECIAL = ("<unk>", "</s>")


def write_tokenizer(folder: Path) -> Path:
    """Write one as the `tokenizers` library and `transformers` read it.

    The words of the prompts and the one word that the servers send are in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = [*_SPECIAL, "word", *(f"w{number}" for number in range(WORDS))]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "post_processor": None, "decoder": None, "pre_tokenizer": {"type": "WhitespaceSplit"},
        "added_tokens": [
            {"id": number, "content": word, **flags, "special": True}
            for number, word in enumerate(_SPECIAL)
        ],
        "model": {
            "type": "WordLevel", "unk_token": "<unk>",
            "vocab": {word: number for number, word in enumerate(vocabulary)},
        },
    }  # fmt: skip
    configuration = {
        "tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>", "eos_token": "</s>",
        "model_max_length": 1_000_000,
        "chat_template": "{% for m in messages %}{{ m['content'] }}{% endfor %}",
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration))
    return folder
