"""Prompts: unique within a run and between runs, of a wished number of tokens, from a seed.

A server that has seen a prompt before answers faster (prefix cache), so no two prompts share their
beginning. How many tokens a word is, the server's own count tells: two probes of different length
give the cost of a word and of the template around the prompt.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

_WORDS = (
    "river",
    "stone",
    "window",
    "garden",
    "letter",
    "summer",
    "bridge",
    "market",
    "signal",
    "copper",
    "engine",
    "harbor",
    "island",
    "kettle",
    "ladder",
    "meadow",
    "needle",
    "orange",
    "pencil",
    "quarry",
    "ribbon",
    "saddle",
    "tunnel",
    "velvet",
    "walnut",
    "yellow",
    "anchor",
    "basket",
    "candle",
    "desert",
    "falcon",
    "glacier",
    "hammer",
    "ivory",
    "jacket",
    "lantern",
    "mirror",
    "nickel",
    "oyster",
    "pepper",
    "rocket",
    "silver",
    "timber",
    "violin",
    "winter",
    "acorn",
    "barrel",
    "cactus",
    "dragon",
    "feather",
)
_TOKENS_PER_WORD = 1.5
"""Taken until the server has counted; the measured prompts use its own figure."""


@dataclass(frozen=True, slots=True)
class LengthModel:
    """Tokens of a prompt: `overhead + words * per_word`."""

    overhead: float
    per_word: float

    def words_for(self, tokens: int) -> int:
        """Words that come nearest to `tokens`; at least one."""
        return max(1, round((tokens - self.overhead) / self.per_word))


GUESS = LengthModel(overhead=16.0, per_word=_TOKENS_PER_WORD)


def fit_length_model(words: Sequence[int], tokens: Sequence[int]) -> LengthModel:
    """The line through two or more counted prompts, or a guess where they give none."""
    known = [(w, t) for w, t in zip(words, tokens, strict=True) if t > 0]
    if len({w for w, _ in known}) < 2:
        return GUESS
    mean_words = sum(w for w, _ in known) / len(known)
    mean_tokens = sum(t for _, t in known) / len(known)
    covariance = sum((w - mean_words) * (t - mean_tokens) for w, t in known)
    per_word = covariance / sum((w - mean_words) ** 2 for w, _ in known)
    if per_word <= 0:
        return GUESS
    return LengthModel(mean_tokens - per_word * mean_words, per_word)


def make_prompt(seed: int, run: str, index: int, words: int) -> str:
    """The prompt number `index` of a run, `words` long; the same arguments give the same text.

    `run` tells this run from every other, e.g. its starting time.
    """
    digest = hashlib.sha256(f"{seed} {run} {index}".encode()).digest()
    source = random.Random(digest)  # noqa: S311 - prompts, not secrets
    # 50^6 marks: that two prompts of a run begin alike is as good as impossible.
    return " ".join(source.choice(_WORDS) for _ in range(words))
