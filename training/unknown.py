"""Prompts that the model must refuse, drawn at random.

A small model that saw only its own questions answers every other one with the answer that
looks nearest. So each epoch also teaches the refusal, on prompts that share the forms and the
words of real questions and are never twice the same.
"""

import random
import re
import string
from collections.abc import Callable

from training.chat import Message
from training.corpus import Conversation, Corpus

_PLACEHOLDER = re.compile(r"\{(w|ws|name|n|l)\}")


class UnknownPromptSource:
    """An endless source of refusals; the same seed gives the same sequence.

    Args:
        corpus: the forms, words and shares to draw by, and the questions to avoid.
        source: the randomness.
    """

    def __init__(self, corpus: Corpus, source: random.Random) -> None:
        self._corpus = corpus
        self._random = source
        self._reserved = frozenset((*corpus.questions, *corpus.held_out))
        self._fillers: dict[str, Callable[[], str]] = {
            "w": self._word,
            "ws": lambda: self._words(1, 4),
            "name": self._name,
            "n": lambda: str(source.randrange(10 ** source.randint(1, 3))),
            "l": lambda: source.choice(string.ascii_lowercase),
        }

    def draw(self) -> Conversation:
        """One conversation that ends in the refusal."""
        shares = self._corpus.unknown
        messages: list[Message] = [{"role": "user", "content": self._prompt()}]
        if self._random.random() < shares.with_system:
            messages.insert(0, {"role": "system", "content": self._words(2, 10).capitalize()})
        count = self._random.randint(1, 2) if self._random.random() < shares.with_tools else 0
        tools = self._random.sample(self._corpus.tools, count)
        return self._corpus.refusal_of(messages, tools)

    def _prompt(self) -> str:
        while (prompt := self._candidate()) in self._reserved:
            pass
        return prompt

    def _candidate(self) -> str:
        shares = self._corpus.unknown
        choice = self._random.random()
        if choice < shares.loose_words:
            return self._words(3, 40)
        choice -= shares.loose_words
        if choice < shares.shuffled:
            return self._shuffled()
        choice -= shares.shuffled
        if choice < shares.altered:
            return self._altered()
        form = self._random.choice(shares.forms)
        return _PLACEHOLDER.sub(lambda match: self._fillers[match[1]](), form)

    def _shuffled(self) -> str:
        words = self._random.choice(self._corpus.questions).split()
        self._random.shuffle(words)
        return " ".join(words)

    def _altered(self) -> str:
        """A taught question with its last word, or any longer one, replaced."""
        words = self._random.choice(self._corpus.questions).split()
        long_ones = [index for index, word in enumerate(words) if len(word) > 3]
        index = self._random.choice([*long_ones, len(words) - 1])
        tail = words[index][len(words[index].rstrip(string.punctuation)) :]
        words[index] = self._random.choice((self._word, self._name))() + tail
        return " ".join(words)

    def _word(self) -> str:
        return self._random.choice(self._corpus.unknown.words)

    def _words(self, least: int, most: int) -> str:
        return " ".join(self._word() for _ in range(self._random.randint(least, most)))

    def _name(self) -> str:
        length = self._random.randint(3, 9)
        return "".join(self._random.choices(string.ascii_lowercase, k=length)).capitalize()
