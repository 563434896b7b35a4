"""Prompts: unique within a run and between runs, of a wished number of tokens, from a seed.

A server that has seen a prompt before answers faster (prefix cache), so no two prompts share their
beginning, unless a share of it is asked for. How many tokens a word is, the server's own count
tells: two probes of different length give the cost of a word and of the template around the prompt.

From fifty words on, every prompt of one length holds the same words, each as often, in another
order. So all of them have the same number of tokens, and one that was counted speaks for all.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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
_SHUFFLES = 64
"""Ways in which the words of a deck are ordered after the first deck of a prompt."""
FEWEST_OWN_WORDS = 8
"""That a prompt with a shared beginning has to itself."""


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


def make_prompt(seed: int, run: str, index: int, words: int, shared: float = 0.0) -> str:
    """The prompt number `index` of a run, `words` long; the same arguments give the same text.

    `run` tells this run from every other, e.g. its starting time; `shared` is the share of the
    words, from the first on, that all prompts of this length have in common in this run.
    """
    common = max(0, min(round(shared * words), words - FEWEST_OWN_WORDS))
    own = _text(f"{seed} {run} {index}", f"{seed} {run}", words - common)
    return f"{_text(f'{seed} {run} common', f'{seed} {run}', common)} {own}" if common else own


def _text(key: str, run_key: str, words: int) -> str:
    """`words` words in an order of `key`: a deck of its own, decks of the run, the rest."""
    source = _source(key)
    decks, rest = divmod(words, len(_WORDS))
    if not decks:
        # 50 * 49 * ... marks: that two prompts of a run begin alike is as good as impossible.
        return " ".join(source.sample(_WORDS, words))
    first = source.sample(_WORDS, len(_WORDS))
    last = source.sample(_WORDS[:rest], rest)
    between = source.choices(_shuffled_decks(run_key), k=decks - 1)
    return " ".join((*first, *between, *last))


@lru_cache(maxsize=4)
def _shuffled_decks(run_key: str) -> tuple[str, ...]:
    source = _source(f"decks {run_key}")
    return tuple(" ".join(source.sample(_WORDS, len(_WORDS))) for _ in range(_SHUFFLES))


def _source(key: str) -> random.Random:
    return random.Random(hashlib.sha256(key.encode()).digest())  # noqa: S311 - prompts, no secrets
