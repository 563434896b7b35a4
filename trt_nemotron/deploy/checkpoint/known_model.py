"""A published checkpoint known from facts: enough to plan with before its weights are at hand."""

from collections.abc import Iterator

from trt_nemotron.deploy.checkpoint.quantization import FP8, NVFP4
from trt_nemotron.deploy.checkpoint.stored_form import (
    stored_embedding_bytes,
    stored_groups,
    stored_routed_bytes,
)
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.document import convert
from trt_nemotron.errors import CheckpointUnusable
from trt_nemotron.facts.catalogue import load_model, model_names
from trt_nemotron.facts.model import ModelFacts, ModelVariant, StoredWeights

_MAKER_PREFIX = "nvidia-"


def known_names() -> tuple[str, ...]:
    """Names by which a published checkpoint can be planned: `nemotron-3-nano-4b-bf16`."""
    return tuple(_short_name(variant) for _, variant in _plannable())


def published_variant(name: str) -> ModelVariant | None:
    """The published variant called `name`, in any case; nothing when there is none."""
    asked = name.casefold()
    for _, variant in _plannable():
        if asked in {_short_name(variant), variant.name.casefold()}:
            return variant
    return None


def known_checkpoint(name: str) -> Checkpoint | None:
    """The published checkpoint called `name`, in any case, as its model's facts describe it.

    It has no files: it can be planned, and not built. Nothing when no model has such a variant.
    """
    for facts, variant in _plannable():
        if name.casefold() in {_short_name(variant), variant.name.casefold()}:
            return _checkpoint(facts, variant)
    return None


def require_files(checkpoint: Checkpoint) -> None:
    """Refuse to work on a checkpoint of which only facts are known.

    Raises:
        CheckpointUnusable: it has no files.
    """
    if not checkpoint.files:
        raise CheckpointUnusable(
            f"{checkpoint.name} is known from its facts only: it can be planned, not built",
            evidence=f"no file or folder is called {_short(checkpoint.name)!r}",
            next_step=f"trt-nemotron fetch {_short(checkpoint.name)}, which says how to name it to "
            "--checkpoint; or give a folder with its files.",
        )


def _plannable() -> Iterator[tuple[ModelFacts, ModelVariant]]:
    for model in model_names():
        facts = load_model(model)
        for variant in facts.variants:
            if variant.stored is not None:
                yield facts, variant


def _short_name(variant: ModelVariant) -> str:
    return _short(variant.name)


def _short(name: str) -> str:
    return name.casefold().removeprefix(_MAKER_PREFIX)


def _checkpoint(facts: ModelFacts, variant: ModelVariant) -> Checkpoint:
    shape = convert(facts.shape, NemotronHShape, origin=f"the shape of {facts.name}")
    stored = variant.stored or StoredWeights(linear="BF16", status="unverified", source="")
    return Checkpoint(
        name=variant.name,
        format="safetensors",
        path="",
        shape=shape,
        quantization=stored.linear,
        groups=stored_groups(shape, stored),
        files=(),
        revision=variant.revision,
        kv_cache=stored.kv_cache,
        embedding_bytes=stored_embedding_bytes(shape),
        routed_bytes=stored_routed_bytes(shape, stored),
        stated_quantization={FP8: "FP8", NVFP4: "NVFP4"}.get(stored.linear, ""),
    )
