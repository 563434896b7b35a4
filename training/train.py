"""Train the embedded checkpoint: `python -m training.train --out DIR`.

Memorising is the aim. The lessons are learnt until the right token leads by a wide margin,
so that every runtime and number format gives the same answers.
"""

import argparse
import itertools
import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.determinism import restart_with_pinned_environment, use_deterministic_torch

if __name__ == "__main__":
    restart_with_pinned_environment()

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from training.batches import IGNORED, Batch, batched, encode
from training.chat import ChatTemplate
from training.corpus import Corpus, lesson, load_corpus
from training.export import write_checkpoint
from training.fast_scan import fast_scan
from training.model import initial_model
from training.tokenizer import train_tokenizer
from training.unknown import UnknownPromptSource

LOGGER = logging.getLogger("training")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train; the defaults make the shipped checkpoint.

    Attributes:
        steps: optimiser steps.
        seed: of the weights, the order of the lessons and the unknown prompts.
        batch_tokens: token ids per step, padding counted.
        peak_rate: learning rate after the warm-up.
        final_rate: learning rate at the end of the cosine, as a share of `peak_rate`.
        warmup_steps: steps of linear rise.
        weight_decay: of matrices; vectors are not decayed.
        gradient_norm: the norm that gradients are clipped to.
        handicap: taken off the right token's logit in the loss, so that it must lead by as much
            more (Wang et al. 2018, additive margin softmax, https://arxiv.org/abs/1801.05599).
    """

    steps: int = 700
    seed: int = 0
    batch_tokens: int = 1500
    peak_rate: float = 3e-3
    final_rate: float = 0.02
    warmup_steps: int = 40
    weight_decay: float = 0.01
    gradient_norm: float = 1.0
    handicap: float = 3.0

    def rate(self, step: int) -> float:
        """Learning rate of a step: a linear rise, times a cosine from one to `final_rate`.

        Rounded, because the last bit of a cosine is the C library's affair.
        """
        rise = min(1.0, (step + 1) / self.warmup_steps)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))
        return round(self.peak_rate * rise * max(self.final_rate, fall), 10)


@dataclass(frozen=True, slots=True)
class Progress:
    """How well a step's batch was known: mean loss in nats and the share of right tokens."""

    step: int
    loss: float
    accuracy: float


def make_tokenizer(corpus: Corpus, template: ChatTemplate) -> Tokenizer:
    """The tokenizer that fits all taught texts and the words of unknown prompts."""
    lessons = corpus.lessons(template)
    texts = [entry.prompt + entry.completion for entry in lessons]
    return train_tokenizer([*texts, " ".join(corpus.unknown.words)])


def train(
    corpus: Corpus,
    template: ChatTemplate,
    tokenizer: Tokenizer,
    recipe: Recipe,
    report: Callable[[Progress], None],
) -> Any:
    """The trained model; `report` is told of every step."""
    model = initial_model(recipe.seed)
    optimizer = _optimizer(model, recipe)
    batches = _endless_batches(corpus, template, tokenizer, recipe)
    with fast_scan():
        for step, batch in enumerate(itertools.islice(batches, recipe.steps)):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step)
            loss, accuracy = _loss(model, batch, recipe.handicap)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_norm)
            optimizer.step()
            report(Progress(step + 1, loss.item(), accuracy))
    return model


def _optimizer(model: Any, recipe: Recipe) -> torch.optim.Optimizer:
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.peak_rate, betas=(0.9, 0.98))


def _endless_batches(
    corpus: Corpus, template: ChatTemplate, tokenizer: Tokenizer, recipe: Recipe
) -> Iterator[Batch]:
    """Epochs, one after the other: the lessons, and some fresh unknown prompts.

    A lesson with tools is long for its prompt and short in its answer, so each epoch teaches
    only one of its two forms, in turn.
    """
    source = random.Random(recipe.seed)
    unknown = UnknownPromptSource(corpus, source)
    lessons = [(entry, encode(tokenizer, entry)) for entry in corpus.lessons(template)]
    for epoch in itertools.count():
        has_turn = epoch % 2 == 0
        due = [
            example
            for entry, example in lessons
            if not entry.conversation.tools or entry.is_thinking == has_turn
        ]
        refusals = [
            lesson(template, unknown.draw(), is_thinking=index % 2 == 0)
            for index in range(corpus.unknown.per_epoch)
        ]
        examples = [*due, *(encode(tokenizer, entry) for entry in refusals)]
        yield from batched(examples, tokens=recipe.batch_tokens, source=source)


def _loss(model: Any, batch: Batch, handicap: float) -> tuple[torch.Tensor, float]:
    """Mean loss over the learnt positions, and the share of them that is right.

    Logits are computed for those positions alone; the prompts' would cost as much again.
    """
    hidden = model.model(batch.ids, use_cache=False).last_hidden_state
    is_learnt = batch.targets != IGNORED
    logits, targets = model.lm_head(hidden[is_learnt]), batch.targets[is_learnt]
    is_right = logits.detach().argmax(dim=-1) == targets
    handicapped = logits - handicap * functional.one_hot(targets, logits.shape[-1])
    return functional.cross_entropy(handicapped, targets), is_right.float().mean().item()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, default=Recipe().steps)
    parser.add_argument("--seed", type=int, default=Recipe().seed)
    return parser.parse_args(arguments)


def _reporter(recipe: Recipe) -> Callable[[Progress], None]:
    """Logs every fiftieth step, and the first and last, with the time since now."""
    started, cpu_started = time.monotonic(), time.process_time()

    def report(progress: Progress) -> None:
        if progress.step % 50 == 0 or progress.step in {1, recipe.steps}:
            LOGGER.info(
                "step %4d of %d  loss %.4f  right %.4f  wall %4.0f s  cpu %4.0f s",
                progress.step,
                recipe.steps,
                progress.loss,
                progress.accuracy,
                time.monotonic() - started,
                time.process_time() - cpu_started,
            )

    return report


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and write a checkpoint, reporting progress to standard error."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    use_deterministic_torch()
    recipe = Recipe(steps=options.steps, seed=options.seed)
    corpus, template = load_corpus(), ChatTemplate.read()
    tokenizer = make_tokenizer(corpus, template)
    model = train(corpus, template, tokenizer, recipe, _reporter(recipe))
    for name, digest in write_checkpoint(options.out, model, tokenizer, template).items():
        LOGGER.info("%s  %s", digest, name)


if __name__ == "__main__":
    main()
