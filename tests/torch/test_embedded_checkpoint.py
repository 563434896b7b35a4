"""The shipped checkpoint, loaded as any user of `transformers` loads it."""

import hashlib
import json
import re
from pathlib import Path

import pytest
import torch

from training.chat import ChatTemplate
from training.corpus import load_corpus
from training.model import CONFIG, CONTEXT_LENGTH, GENERATION_CONFIG
from training.tokenizer import MARKERS, tokenizer_config
from training.verify import LEAST_REFUSED, SMALLEST_MARGIN, Checkpoint, Verification, verify

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "trt_nemotron" / "embedded"
CORPUS = load_corpus()
TEMPLATE = ChatTemplate.read()
LESSONS = CORPUS.lessons(TEMPLATE)


@pytest.fixture(scope="module")
def checkpoint():
    torch.set_num_threads(1)
    return Checkpoint(FOLDER)


@pytest.fixture(scope="module")
def verification(checkpoint: Checkpoint):
    return verify(checkpoint, CORPUS, TEMPLATE)


def test_every_taught_answer_is_exact(verification: Verification):
    assert verification.lessons == len(LESSONS)
    assert verification.wrong == ()


def test_right_tokens_lead_by_a_safe_margin(verification: Verification):
    assert verification.smallest_margin >= SMALLEST_MARGIN


def test_unseen_prompts_are_refused(verification: Verification):
    assert verification.held_out == 2 * len(CORPUS.held_out)
    assert verification.refused_share >= LEAST_REFUSED, verification.not_refused


def test_own_template_renders_the_taught_prompts(checkpoint: Checkpoint):
    for lesson in LESSONS:
        rendered = checkpoint.tokenizer.apply_chat_template(
            list(lesson.conversation.messages),
            tools=list(lesson.conversation.tools) or None,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=lesson.is_thinking,
        )
        assert rendered == lesson.prompt


def test_tokenizer_gives_texts_back(checkpoint: Checkpoint):
    for lesson in LESSONS:
        text = lesson.prompt + lesson.completion
        ids = checkpoint.ids(text)[0]
        assert checkpoint.tokenizer.decode(ids) == text


def test_tokenizer_adds_no_token_of_its_own(checkpoint: Checkpoint):
    assert checkpoint.tokenizer("Hello")["input_ids"] == checkpoint.ids("Hello")[0].tolist()


def test_characters_beyond_ascii_are_spelt_in_bytes(checkpoint: Checkpoint):
    assert checkpoint.ids("こ").shape[1] == 3
    assert checkpoint.ids("🚀").shape[1] == 4


def test_markers_survive_where_control_tokens_are_dropped(checkpoint: Checkpoint):
    text = "".join(MARKERS)
    ids = checkpoint.ids(f"{text}<|im_end|>")[0]
    assert len(ids) == len(MARKERS) + 1
    assert checkpoint.tokenizer.decode(ids, skip_special_tokens=True) == text


@pytest.mark.parametrize("index", [0, len(LESSONS) // 2, len(LESSONS) - 1])
def test_cached_and_uncached_logits_agree(checkpoint: Checkpoint, index: int):
    """Prefill, then token by token: the recurrent form must be the scan."""
    lesson = LESSONS[index]
    ids = checkpoint.ids(lesson.prompt + lesson.completion)
    split = checkpoint.ids(lesson.prompt).shape[1]
    with torch.inference_mode():
        whole = checkpoint.model(ids, use_cache=False).logits[0, split - 1 :]
        output = checkpoint.model(ids[:, :split], use_cache=True)
        stepwise = [output.logits[0, -1]]
        for position in range(split, ids.shape[1]):
            output = checkpoint.model(
                ids[:, position : position + 1],
                past_key_values=output.past_key_values,
                use_cache=True,
            )
            stepwise.append(output.logits[0, -1])
    assert (torch.stack(stepwise) - whole).abs().max().item() < 1e-3


def test_files_are_what_the_code_writes():
    expected = {
        "config.json": CONFIG,
        "generation_config.json": GENERATION_CONFIG,
        "tokenizer_config.json": tokenizer_config(CONTEXT_LENGTH),
    }
    for name, document in expected.items():
        assert json.loads((FOLDER / name).read_text(encoding="utf-8")) == document


def test_digests_are_those_that_the_readme_promises():
    readme = (ROOT / "training" / "README.md").read_text(encoding="utf-8")
    promised = dict(re.findall(r"\| `([\w.]+)` \| `([0-9a-f]{64})` \|", readme))
    assert set(promised) == {
        path.name for path in FOLDER.iterdir() if path.is_file() and path.name != "README.md"
    }
    for name, digest in promised.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest


def test_folder_is_small_enough_to_ship():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 4_000_000
