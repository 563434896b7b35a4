"""A byte-level BPE tokenizer as llama.cpp wants it: tokens, their kinds, merges, special ids.

Read from `tokenizer.json` (https://huggingface.co/docs/tokenizers) and the configs beside it; no
id is assumed. What llama.cpp would tokenize differently is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trt_nemotron.deploy.runtimes.llamacpp.source_files import SourceFiles
from trt_nemotron.deploy.runtimes.llamacpp.splitting import byte_symbols, splitting_name
from trt_nemotron.errors import CheckpointUnusable

TokenKind = Literal["normal", "control", "user_defined", "unused"]


@dataclass(frozen=True, slots=True)
class Token:
    """One entry: `control` tokens are never shown as text, `user_defined` ones are."""

    text: str
    kind: TokenKind


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """Ids with a meaning; `ends` are all that end an answer, the main one first."""

    bos: int | None
    ends: tuple[int, ...]
    unknown: int | None
    padding: int | None
    is_bos_added: bool


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Everything about the tokenizer that a GGUF file holds.

    Attributes:
        splitting: llama.cpp's name (`tokenizer.ggml.pre`) for how text is cut before merging.
        tokens: one for each id from 0 on; the embedding has as many rows.
    """

    splitting: str
    tokens: tuple[Token, ...]
    merges: tuple[str, ...]
    special: SpecialIds


def read_vocabulary(files: SourceFiles, size: int) -> Vocabulary:
    """The vocabulary of a checkpoint whose embedding has `size` rows.

    Raises:
        CheckpointUnusable: not byte-level BPE, ids that do not fit the embedding, or a feature
            that llama.cpp has no counterpart for.
    """
    model = files.tokenizer.get("model") or {}
    if model.get("type") != "BPE":
        raise _refused(f"its model is {model.get('type')!r}, only byte-level BPE is converted")
    for name in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
        if model.get(name):
            raise _refused(f"model.{name} is {model[name]!r}")
    if files.tokenizer.get("normalizer") is not None:
        raise _refused("it normalises text, llama.cpp does not")
    tokens = _tokens(model.get("vocab") or {}, files.tokenizer.get("added_tokens") or [], size)
    return Vocabulary(
        splitting=splitting_name(files.tokenizer),
        tokens=tokens,
        merges=tuple(_merge(entry) for entry in model.get("merges") or ()),
        special=_special_ids(files, {token.text: i for i, token in enumerate(tokens)}),
    )


def _tokens(
    vocabulary: Mapping[str, int], added: list[Mapping[str, Any]], size: int
) -> tuple[Token, ...]:
    by_id: dict[int, Token] = {}
    for text, token_id in vocabulary.items():
        if token_id in by_id:
            raise _refused(f"id {token_id} stands for {by_id[token_id].text!r} and for {text!r}")
        by_id[token_id] = Token(text, "normal")
    for entry in added:
        by_id[_added_id(entry, by_id)] = _added_token(entry)
    _check_ids(by_id, size)
    missing = byte_symbols() - {token.text for token in by_id.values()}
    if missing:
        raise _refused(f"{len(missing)} of the 256 bytes have no token: some text has no encoding")
    return tuple(by_id.get(i) or Token(f"[PAD{i}]", "unused") for i in range(size))


def _added_id(entry: Mapping[str, Any], by_id: Mapping[int, Token]) -> int:
    token_id, text = int(entry["id"]), entry["content"]
    if token_id in by_id and by_id[token_id].text != text:
        raise _refused(f"id {token_id} stands for {by_id[token_id].text!r} and for {text!r}")
    return token_id


def _added_token(entry: Mapping[str, Any]) -> Token:
    for flag in ("lstrip", "rstrip", "single_word"):
        if entry.get(flag):
            raise _refused(f"added token {entry['content']!r} has {flag}, llama.cpp ignores it")
    return Token(entry["content"], "control" if entry.get("special") else "user_defined")


def _check_ids(by_id: Mapping[int, Token], size: int) -> None:
    """Ids run from 0 without a gap; rows of the embedding beyond them are padding."""
    expected = range(len(by_id))
    wrong = sorted(by_id.keys() ^ set(expected))
    if wrong:
        raise _refused(f"its ids are not contiguous: {len(by_id)} tokens, but see id {wrong[0]}")
    if len(by_id) > size:
        raise _refused(f"it has {len(by_id)} tokens, the embedding only {size} rows")


def _merge(entry: object) -> str:
    match entry:
        case [str(left), str(right)]:
            pair = [left, right]
        case str(text):
            pair = text.split(" ")
        case _:
            pair = []
    if len(pair) != 2 or any(" " in part or not part for part in pair):
        raise _refused(f"the merge {entry!r} is no pair of tokens")
    return " ".join(pair)


def _special_ids(files: SourceFiles, ids: Mapping[str, int]) -> SpecialIds:
    bos = _id_of(files, ids, "bos")
    return SpecialIds(
        bos=bos,
        ends=_end_ids(files, ids),
        unknown=_id_of(files, ids, "unk"),
        padding=_id_of(files, ids, "pad"),
        is_bos_added=_is_bos_added(files.tokenizer.get("post_processor"), bos, ids),
    )


def _id_of(files: SourceFiles, ids: Mapping[str, int], role: str) -> int | None:
    """The id of a role: by the tokenizer's text for it, else by the number in the configs."""
    text = files.tokenizer_config.get(f"{role}_token")
    if isinstance(text, dict):
        text = text.get("content")
    if isinstance(text, str):
        if text not in ids:
            raise _refused(f"{role}_token is {text!r}, which the vocabulary does not have")
        return ids[text]
    for config in (files.generation_config, files.config):
        number = config.get(f"{role}_token_id")
        if isinstance(number, int) and 0 <= number < len(ids):
            return number
    return None


def _end_ids(files: SourceFiles, ids: Mapping[str, int]) -> tuple[int, ...]:
    """Every id that ends an answer. GGUF has names for three: eos, eot and eom."""
    found: list[int] = []
    main = _id_of(files, ids, "eos")
    if main is not None:
        found.append(main)
    for config in (files.generation_config, files.config):
        listed = config.get("eos_token_id")
        found.extend(listed if isinstance(listed, list) else [] if listed is None else [listed])
    ends = tuple(dict.fromkeys(found))
    if not ends:
        raise _refused("no token ends an answer: no eos_token in its configs")
    if len(ends) > 3 or any(not 0 <= end < len(ids) for end in ends):
        raise _refused(f"the ids that end an answer are {list(ends)}; up to three can be named")
    return ends


def _is_bos_added(processor: object, bos: int | None, ids: Mapping[str, int]) -> bool:
    """Whether encoding a text puts the bos token before it, as the post-processor says."""
    match processor:
        case None | {"type": "ByteLevel"}:
            return False
        case {"type": "Sequence", "processors": [*parts]}:
            return any(_is_bos_added(part, bos, ids) for part in parts)
        case {"type": "TemplateProcessing", "single": [{"Sequence": _}]}:
            return False
        case {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": str(text)}}, {"Sequence": _}],
        } if bos is not None and ids.get(text) == bos:
            return True
        case _:
            raise _refused("its post_processor adds tokens other than one bos at the start")


def _refused(evidence: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        "llama.cpp cannot represent this tokenizer",
        evidence=f"tokenizer.json: {evidence}",
        next_step="Use the tokenizer published with the model, or --runtime transformers.",
    )
