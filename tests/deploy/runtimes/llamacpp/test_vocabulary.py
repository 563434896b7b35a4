"""Tokenizers: what is carried over, and what is refused because llama.cpp would differ."""

import copy
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.runtimes.llamacpp.source_files import SourceFiles, read_source_files
from trt_nemotron.deploy.runtimes.llamacpp.splitting import byte_symbols
from trt_nemotron.deploy.runtimes.llamacpp.vocabulary import read_vocabulary
from trt_nemotron.errors import CheckpointUnusable

SIZE = 384
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.fixture
def tree(random_checkpoints: ModuleType) -> dict[str, Any]:
    """A parsed `tokenizer.json` that a test may change."""
    made: dict[str, Any] = copy.deepcopy(random_checkpoints.tokenizer(SIZE))
    return made


def files(tokenizer: dict[str, Any], **more: Any) -> SourceFiles:
    given = {
        "config": {"eos_token_id": 5},
        "generation_config": {},
        "tokenizer": tokenizer,
        "tokenizer_config": {"bos_token": "<s>", "eos_token": "<|im_end|>"},
        "chat_template": "",
    }
    return SourceFiles(**{**given, **more})


def test_tokens_are_in_the_order_of_their_ids_with_their_kinds(tree: dict[str, Any]):
    vocabulary = read_vocabulary(files(tree), SIZE)
    assert len(vocabulary.tokens) == SIZE
    assert [(token.text, token.kind) for token in vocabulary.tokens[4:8]] == [
        ("<|im_start|>", "control"),
        ("<|im_end|>", "control"),
        ("<think>", "user_defined"),
        ("</think>", "user_defined"),
    ]
    assert vocabulary.tokens[8].kind == "normal"
    assert vocabulary.splitting == "gpt-2"
    assert vocabulary.merges[:2] == ("a a", "a b")


def test_rows_of_the_embedding_beyond_the_vocabulary_are_padding(tree: dict[str, Any]):
    tokens = read_vocabulary(files(tree), SIZE + 2).tokens
    assert [(token.text, token.kind) for token in tokens[SIZE:]] == [
        (f"[PAD{SIZE}]", "unused"),
        (f"[PAD{SIZE + 1}]", "unused"),
    ]


def test_merges_may_be_written_in_both_ways(tree: dict[str, Any]):
    expected = read_vocabulary(files(tree), SIZE).merges
    tree["model"]["merges"] = [" ".join(pair) for pair in tree["model"]["merges"]]
    assert read_vocabulary(files(tree), SIZE).merges == expected


@pytest.mark.parametrize(
    ("tokenizer_config", "generation_config", "config", "ends"),
    [
        ({"eos_token": "<|im_end|>"}, {}, {}, (5,)),
        ({"eos_token": {"content": "</s>"}}, {}, {}, (2,)),
        ({}, {"eos_token_id": 5}, {"eos_token_id": 2}, (5, 2)),
        ({}, {"eos_token_id": [2, 5]}, {}, (2, 5)),
        ({"eos_token": "<|im_end|>"}, {"eos_token_id": [2, 5]}, {"eos_token_id": 5}, (5, 2)),
    ],
)
def test_every_token_that_ends_an_answer_is_found(
    tree: dict[str, Any],
    tokenizer_config: dict[str, Any],
    generation_config: dict[str, Any],
    config: dict[str, Any],
    ends: tuple[int, ...],
):
    found = read_vocabulary(
        files(
            tree,
            tokenizer_config=tokenizer_config,
            generation_config=generation_config,
            config=config,
        ),
        SIZE,
    )
    assert found.special.ends == ends


BOS = {"SpecialToken": {"id": "<s>", "type_id": 0}}
EOS = {"SpecialToken": {"id": "</s>", "type_id": 0}}
TEXT = {"Sequence": {"id": "A", "type_id": 0}}


def template(*single: dict[str, Any]) -> dict[str, Any]:
    return {"type": "TemplateProcessing", "single": list(single), "pair": [], "special_tokens": {}}


@pytest.mark.parametrize(
    ("processor", "is_added"),
    [
        (None, False),
        ({"type": "ByteLevel"}, False),
        (template(TEXT), False),
        (template(BOS, TEXT), True),
        ({"type": "Sequence", "processors": [{"type": "ByteLevel"}, template(BOS, TEXT)]}, True),
    ],
)
def test_whether_a_bos_is_put_before_a_text_is_read_from_the_processor(
    tree: dict[str, Any], processor: object, is_added: bool
):
    tree["post_processor"] = processor
    assert read_vocabulary(files(tree), SIZE).special.is_bos_added is is_added


def test_the_family_s_way_of_cutting_text_is_known(tree: dict[str, Any]):
    tree["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [
            {
                "type": "Split",
                "pattern": {"Regex": TEKKEN},
                "behavior": "Isolated",
                "invert": False,
            },
            {
                "type": "ByteLevel",
                "add_prefix_space": False,
                "trim_offsets": True,
                "use_regex": False,
            },
        ],
    }
    assert read_vocabulary(files(tree), SIZE).splitting == "tekken"


def faults() -> dict[str, tuple[dict[str, Any], str]]:
    """Name -> (keys of `tokenizer.json` to merge in, what the refusal says)."""
    return {
        "not BPE": ({"model": {"type": "Unigram"}}, "Unigram"),
        "suffix": ({"model": {"end_of_word_suffix": "</w>"}}, "end_of_word_suffix"),
        "dropout": ({"model": {"dropout": 0.1}}, "dropout"),
        "normalizer": ({"normalizer": {"type": "NFC"}}, "normalises"),
        "prefix space": ({"pre_tokenizer": {"add_prefix_space": True}}, "cuts text"),
        "unknown cut": ({"pre_tokenizer": {"type": "Whitespace"}}, "cuts text"),
        "no cut": ({"pre_tokenizer": None}, "cuts text"),
        "eos added": ({"post_processor": template(TEXT, EOS)}, "post_processor"),
        "two added": ({"post_processor": template(BOS, BOS, TEXT)}, "post_processor"),
        "foreign processor": ({"post_processor": {"type": "BertProcessing"}}, "post_processor"),
    }


@pytest.mark.parametrize("fault", list(faults()))
def test_what_llama_cpp_would_do_otherwise_is_refused(tree: dict[str, Any], fault: str):
    changes, message = faults()[fault]
    for key, value in changes.items():
        tree[key] = {**tree[key], **value} if key in {"model", "pre_tokenizer"} and value else value
    with pytest.raises(CheckpointUnusable, match=message):
        read_vocabulary(files(tree), SIZE)


@pytest.mark.parametrize("flag", ["lstrip", "rstrip", "single_word"])
def test_added_tokens_that_swallow_blanks_are_refused(tree: dict[str, Any], flag: str):
    tree["added_tokens"][6][flag] = True
    with pytest.raises(CheckpointUnusable, match=flag):
        read_vocabulary(files(tree), SIZE)


def test_ids_with_a_gap_are_refused(tree: dict[str, Any]):
    vocab = tree["model"]["vocab"]
    vocab["zzz"] = SIZE + 7
    with pytest.raises(CheckpointUnusable, match="not contiguous"):
        read_vocabulary(files(tree), SIZE + 10)


def test_an_id_with_two_meanings_is_refused(tree: dict[str, Any]):
    tree["model"]["vocab"]["zzz"] = 20
    with pytest.raises(CheckpointUnusable, match="id 20 stands for"):
        read_vocabulary(files(tree), SIZE)
    del tree["model"]["vocab"]["zzz"]
    tree["added_tokens"][6]["id"] = 30
    with pytest.raises(CheckpointUnusable, match="id 30 stands for"):
        read_vocabulary(files(tree), SIZE)


def test_more_tokens_than_rows_are_refused(tree: dict[str, Any]):
    with pytest.raises(CheckpointUnusable, match="only 383 rows"):
        read_vocabulary(files(tree), SIZE - 1)


def test_a_byte_without_a_token_is_refused(tree: dict[str, Any]):
    vocab = tree["model"]["vocab"]
    vocab["zzz"] = vocab.pop("Ā")
    with pytest.raises(CheckpointUnusable, match="of the 256 bytes"):
        read_vocabulary(files(tree), SIZE)


@pytest.mark.parametrize(
    "merge", ["abc", ["a"], ["a", "b", "c"], "a b c", ["a b", "c"], 7, ["", "a"]]
)
def test_a_merge_that_is_no_pair_is_refused(tree: dict[str, Any], merge: object):
    tree["model"]["merges"].append(merge)
    with pytest.raises(CheckpointUnusable, match="is no pair of tokens"):
        read_vocabulary(files(tree), SIZE)


@pytest.mark.parametrize(
    ("tokenizer_config", "config"),
    [
        ({}, {}),
        ({"eos_token": "<nowhere>"}, {}),
        ({}, {"eos_token_id": 9999}),
        ({}, {"eos_token_id": [1, 2, 3, 4]}),
    ],
)
def test_ends_that_cannot_be_said_are_refused(
    tree: dict[str, Any], tokenizer_config: dict[str, Any], config: dict[str, Any]
):
    with pytest.raises(CheckpointUnusable, match=r"ends? an answer|eos_token"):
        read_vocabulary(files(tree, tokenizer_config=tokenizer_config, config=config), SIZE)


@given(st.binary(min_size=1, max_size=64))
def test_every_text_can_be_written_in_byte_symbols(data: bytes):
    """Printable Latin-1 stands for itself, so the table is found again from its definition."""
    symbols = byte_symbols()
    assert len(symbols) == 256
    printable = {chr(byte) for byte in data if 0x21 <= byte <= 0x7E}
    assert printable <= symbols
    assert " " not in symbols


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokenizer.json", None),
        ("config.json", None),
        ("tokenizer.json", "{"),
        ("config.json", "[]"),
        ("tokenizer_config.json", "\xff"),
    ],
)
def test_files_that_are_missing_or_broken_are_named(
    random_checkpoints: ModuleType, tmp_path: Path, name: str, text: str | None
):
    folder = random_checkpoints.RandomCheckpoint().write(tmp_path / "c")
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointUnusable, match=name):
        read_source_files(folder)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("one", "one"),
        ([{"name": "default", "template": "two"}, {"name": "rag", "template": "x"}], "two"),
        ([{"name": "rag", "template": "x"}], ""),
        (None, ""),
    ],
)
def test_the_chat_template_may_stand_in_the_tokenizers_config(
    random_checkpoints: ModuleType, tmp_path: Path, written: object, expected: str
):
    folder = random_checkpoints.RandomCheckpoint().write(tmp_path / "c")
    (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": written}))
    assert read_source_files(folder).chat_template == expected
