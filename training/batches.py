"""Lessons as token ids, in batches of like length."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from training.corpus import Lesson
from training.tokenizer import PAD_ID

IGNORED = -100
"""Target of a position that is not to be learnt; torch's default for cross entropy."""


@dataclass(frozen=True, slots=True)
class Example:
    """A lesson as token ids, and how many of them are the prompt."""

    ids: tuple[int, ...]
    prompt_length: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples padded on the right: ids (batch, length) and the next id to learn at each."""

    ids: torch.Tensor
    targets: torch.Tensor


def encode(tokenizer: Tokenizer, lesson: Lesson) -> Example:
    """The lesson's ids.

    Prompt and completion are encoded apart, as at inference: the prompt's last token stands
    before the first one of the completion is chosen.
    """
    prompt = tokenizer.encode(lesson.prompt, add_special_tokens=False).ids
    completion = tokenizer.encode(lesson.completion, add_special_tokens=False).ids
    return Example((*prompt, *completion), len(prompt))


def batched(examples: Sequence[Example], *, tokens: int, source: random.Random) -> list[Batch]:
    """All examples in batches of at most about `tokens` ids, padding counted, in random order.

    Examples of like length share a batch; `source` decides which of the like, and the order.
    """
    by_length = sorted(examples, key=lambda example: len(example.ids) + 6 * source.random())
    groups: list[list[Example]] = [[]]
    for example in by_length:
        if groups[-1] and (len(groups[-1]) + 1) * len(example.ids) > tokens:
            groups.append([])
        groups[-1].append(example)
    source.shuffle(groups)
    return [_padded(group) for group in groups]


def _padded(examples: Sequence[Example]) -> Batch:
    length = max(len(example.ids) for example in examples)
    ids = torch.full((len(examples), length), PAD_ID)
    targets = torch.full((len(examples), length), IGNORED)
    for row, example in enumerate(examples):
        values = torch.tensor(example.ids)
        ids[row, : len(values)] = values
        targets[row, example.prompt_length - 1 : len(values) - 1] = values[example.prompt_length :]
    return Batch(ids, targets)
