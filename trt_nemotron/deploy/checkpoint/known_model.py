"""A published checkpoint known from facts: enough to plan with before its weights are at hand."""

import math
from collections.abc import Iterator

from trt_nemotron.deploy.checkpoint.architecture import HUB_OUTPUT, hub_tensors
from trt_nemotron.deploy.checkpoint.grouping import group_by_storage
from trt_nemotron.deploy.checkpoint.quantization import FP8, NVFP4, NVFP4_BLOCK
from trt_nemotron.deploy.checkpoint.values import Checkpoint, TensorGroup
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.document import convert
from trt_nemotron.errors import CheckpointUnusable
from trt_nemotron.facts.catalogue import load_model, model_names
from trt_nemotron.facts.model import ModelFacts, ModelVariant, StoredWeights

_MAKER_PREFIX = "nvidia-"
_PLAIN_BYTES = 2


def known_names() -> tuple[str, ...]:
    """Names by which a published checkpoint can be planned: `nemotron-3-nano-4b-bf16`."""
    return tuple(_short_name(variant) for _, variant in _plannable())


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
            next_step="Download its repository and give the folder with --checkpoint.",
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
        groups=(*_weight_groups(shape, stored), *_scale_groups(shape, stored)),
        files=(),
        revision=variant.revision,
        kv_cache=stored.kv_cache,
        embedding_bytes=0
        if shape.is_embedding_tied
        else shape.vocab_size * shape.hidden_size * _PLAIN_BYTES,
        stated_quantization={FP8: "FP8", NVFP4: "NVFP4"}.get(stored.linear, ""),
    )


def _weight_groups(shape: NemotronHShape, stored: StoredWeights) -> tuple[TensorGroup, ...]:
    low = set(_quantized(shape, stored))
    triples = []
    for name, dimensions in hub_tensors(shape).items():
        elements = math.prod(dimensions)
        if name in low:
            size_bytes = elements // 2 if stored.linear == NVFP4 else elements
            triples.append((stored.linear, elements, size_bytes))
        else:
            triples.append(("BF16", elements, elements * _PLAIN_BYTES))
    return group_by_storage(triples)


def _scale_groups(shape: NemotronHShape, stored: StoredWeights) -> tuple[TensorGroup, ...]:
    """Scales of blocks are a ninth of NVFP4's bytes; single ones are a few KB and left out."""
    if stored.linear != NVFP4:
        return ()
    tensors = hub_tensors(shape)
    low = _quantized(shape, stored)
    elements = sum(math.prod(tensors[name]) for name in low) // NVFP4_BLOCK
    return (
        TensorGroup(
            storage=FP8, tensors=len(low), elements=elements, size_bytes=elements, is_scale=True
        ),
    )


def _quantized(shape: NemotronHShape, stored: StoredWeights) -> tuple[str, ...]:
    if stored.linear == "BF16":
        return ()
    kept = {f"layers.{index}." for index in stored.kept_layers}
    return tuple(
        name
        for name in hub_tensors(shape)
        if name.endswith("_proj.weight")
        and name != HUB_OUTPUT
        and not any(name.startswith(layer) for layer in kept)
    )
