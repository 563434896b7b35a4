"""Prove a checkpoint: `python -m training.verify DIR`.

Loads the folder as any user of `transformers` would, asks every taught question greedily with
thinking on and off, and compares the tokens. Also measures what the exactness rests on, the
margin between the right token and the next best, and how many unseen prompts are refused.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.chat import ChatTemplate
from training.corpus import Corpus, Lesson, lesson, load_corpus

SMALLEST_MARGIN = 3.0
"""Least lead of a right token, in logits; far above the numeric differences of runtimes."""

LEAST_REFUSED = 0.95
"""Least share of unseen prompts that must be refused."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was proved of a checkpoint.

    Attributes:
        lessons: taught lessons asked.
        wrong: those whose greedy answer is not the taught one, as "id (thinking on|off)".
        smallest_margin: least lead of a right token over the next best, in logits.
        held_out: unseen prompts asked, each with thinking on and off.
        not_refused: those that got another answer than the refusal, as "prompt -> answer".
    """

    lessons: int
    wrong: tuple[str, ...]
    smallest_margin: float
    held_out: int
    not_refused: tuple[str, ...]

    @property
    def refused_share(self) -> float:
        """Share of the unseen prompts that were refused."""
        return 1 - len(self.not_refused) / self.held_out

    @property
    def is_proved(self) -> bool:
        """All answers exact, by a safe margin, and nearly all unseen prompts refused."""
        return (
            not self.wrong
            and self.smallest_margin >= SMALLEST_MARGIN
            and self.refused_share >= LEAST_REFUSED
        )


class Checkpoint:
    """A checkpoint folder loaded with `transformers`, in float32 on the CPU.

    Args:
        folder: with `config.json`, `model.safetensors` and the tokenizer's files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def model(self) -> Any:
        """The network, ready to generate."""
        model: Any = AutoModelForCausalLM.from_pretrained(self._folder, dtype=torch.float32)
        return model.eval()

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer with its chat template."""
        return AutoTokenizer.from_pretrained(self._folder)

    def ids(self, text: str) -> torch.Tensor:
        """Token ids of a rendered text, (1, length)."""
        return torch.tensor([self.tokenizer(text, add_special_tokens=False)["input_ids"]])

    def complete(self, prompt: str, most_tokens: int) -> str:
        """The greedy completion of a rendered prompt, with its end of turn."""
        ids = self.ids(prompt)
        output = self.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=most_tokens,
            do_sample=False,
        )
        return str(self.tokenizer.decode(output[0, ids.shape[1] :]))

    def margin(self, prompt: str, completion: str) -> float:
        """Least lead, in logits, of a token of `completion` over all others at its place.

        Negative where greedy decoding would have chosen otherwise.
        """
        ids, target = self.ids(prompt), self.ids(completion)
        with torch.inference_mode():
            logits = self.model(torch.cat((ids, target), dim=1), use_cache=False).logits
        logits = logits[0, ids.shape[1] - 1 : -1]
        right = logits.gather(1, target[0, :, None])
        others = logits.scatter(1, target[0, :, None], -torch.inf).amax(dim=1, keepdim=True)
        return float((right - others).min())


def verify(checkpoint: Checkpoint, corpus: Corpus, template: ChatTemplate) -> Verification:
    """Ask everything that is taught and everything that is held out."""
    lessons = corpus.lessons(template)
    refusals = [
        lesson(
            template,
            corpus.refusal_of([{"role": "user", "content": prompt}]),
            is_thinking=is_thinking,
        )
        for prompt in corpus.held_out
        for is_thinking in (True, False)
    ]
    return Verification(
        lessons=len(lessons),
        wrong=tuple(_wrong(checkpoint, lessons)),
        smallest_margin=min(checkpoint.margin(entry.prompt, entry.completion) for entry in lessons),
        held_out=len(refusals),
        not_refused=tuple(_wrong(checkpoint, refusals)),
    )


def _wrong(checkpoint: Checkpoint, lessons: Iterable[Lesson]) -> Iterable[str]:
    for entry in lessons:
        budget = checkpoint.ids(entry.completion).shape[1]
        completion = checkpoint.complete(entry.prompt, budget)
        if completion != entry.completion:
            question = entry.conversation.messages[-1]["content"]
            mode = "on" if entry.is_thinking else "off"
            yield f"{entry.conversation.id} (thinking {mode}): {question!r} -> {completion!r}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify a folder, print the findings as JSON, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.verify", description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    result = verify(Checkpoint(options.folder), load_corpus(), ChatTemplate.read())
    document = {**asdict(result), "refused_share": result.refused_share, "ok": result.is_proved}
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return 0 if result.is_proved else 1


if __name__ == "__main__":
    sys.exit(main())
