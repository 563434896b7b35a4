"""The tokenizer: byte-level BPE with Nemotron's control tokens at Nemotron's ids.

The markers of reasoning and of tool calls are added tokens but not special ones, as in
NVIDIA's tokenizer: they must survive `skip_special_tokens`, because parsers look for them.

Merges are learnt from ASCII text alone. Every other character is therefore spelt in bytes,
one token per byte, and a streaming server has to hold characters back until they are whole.
"""

import json
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from training.chat import END_OF_TURN

VOCABULARY_SIZE = 1024

UNKNOWN = "<unk>"
BEGIN = "<s>"
END = "</s>"
MARKERS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>",
           "</tool_response>")  # fmt: skip
CONTROL = (UNKNOWN, BEGIN, END, *(f"<SPECIAL_{index}>" for index in range(3, 10)),
           "<|im_start|>", END_OF_TURN)  # fmt: skip

BEGIN_ID = 1
END_ID = 2
END_OF_TURN_ID = 11
PAD_ID = 0

RESPONSE_TEMPLATE = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "reasoning_content": {
            "open_pattern": r"<think>\n?",
            "close_pattern": r"\n?</think>\n?",
            "content": "text",
        },
        "tool_calls": {
            "open_pattern": r"\s*<tool_call>\s*<function=(?P<name>[^>\n]+)>",
            "close_pattern": r"</function>\s*</tool_call>",
            "repeats": True,
            "content": "xml-inline",
            "content_args": {
                "tag_pattern": r"<parameter=(?P<key>[^>\n]+)>\s*(?P<value>.*?)\s*</parameter>",
            },
            "transform": {
                "type": "function",
                "function": {"name": "{name}", "arguments": "{content}"},
            },
        },
        "content": {"close_pattern": r"\s*(?:<\|im_end\|>|</s>)", "content": "text"},
    },
}
"""How `transformers serve` takes an answer apart, in its declarative format (5.x).

The newlines next to the thinking markers belong to the markers. Otherwise a stream opens with
the newline of the prompt, which a client may take for the first token. Arguments stay texts
here; the server gives them the types of the request's tools.
"""


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer of `VOCABULARY_SIZE` entries whose merges fit the ASCII texts among `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[*CONTROL, *MARKERS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for text in texts if text.isascii()), trainer)
    return _with_plain_markers(tokenizer)


def _with_plain_markers(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer with `MARKERS` added but not special; the trainer knows only both."""
    document = json.loads(tokenizer.to_str())
    for token in document["added_tokens"]:
        token["special"] = token["content"] not in MARKERS
    return Tokenizer.from_str(json.dumps(document))


def tokenizer_config(context_length: int) -> dict[str, object]:
    """The content of `tokenizer_config.json`."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": False,
        "add_eos_token": False,
        "bos_token": BEGIN,
        "clean_up_tokenization_spaces": False,
        "eos_token": END_OF_TURN,
        "model_max_length": context_length,
        "pad_token": UNKNOWN,
        "response_template": RESPONSE_TEMPLATE,
        "unk_token": UNKNOWN,
    }
