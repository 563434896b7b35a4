"""Write docs/shapes.md: what the published networks of the family take, counted to the byte.

python tools/write_shapes.py            # write the page
python tools/write_shapes.py --check    # exit 1 when it is not current
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from generated_page import keep_page, linked

from trt_nemotron.deploy.checkpoint.hub_config import shape_of_config
from trt_nemotron.deploy.checkpoint.stored_form import stored_groups
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.facts.model import StoredWeights

FAMILY = Path(__file__).resolve().parent.parent / "tests" / "deploy" / "nemotron_h_family.json"
FORMS: tuple[Literal["BF16", "F8_E4M3", "NVFP4"], ...] = ("BF16", "F8_E4M3", "NVFP4")
INTRO = """\
# Shapes

Written by `tools/write_shapes.py` from `tests/deploy/nemotron_h_family.json`; do not edit it.

Six published NemotronH networks, counted from their `config.json`. The tests hold every figure
against a second formula that shares no code, the cache and the states against `kvfit` 0.3.0, the
parameters against transformers' own modules on a device without memory, and all of it against what
was published, where it was.

## Layers and parameters

Active are the parameters that one token meets. The 30B-A3B's 3.6 billion count the token
embeddings, of which a step gathers single rows; without them it is 3.2 billion.

| network | layers: Mamba-2, MLP, experts, attention | parameters | published | active |
|---|---|---|---|---|
"""
SEQUENCE = """
## One sequence

The state is what one sequence takes in all Mamba layers, however long it is: the scan's in float32
or in 16 bits, the convolution's in 16 bits. The KV cache is that of one token in all attention
layers.

In bytes, and the tokens of BF16 cache that a float32 state equals:

| network | state, float32 | state, 16 bits | KV, BF16 | KV, FP8 | in tokens |
|---|---|---|---|---|---|
"""
WEIGHTS = """
## Weights

With all linear layers in the named form and the rest in BF16; NVFP4 with its scales of blocks, and
without single scales, which are a few KB. A published checkpoint may keep layers in BF16 and is
then larger: a plan reads its files. Routed experts are in the sums whole; of these a step reads at
least the share that one token visits.

| network | BF16 (bytes) | FP8 (bytes) | NVFP4 (bytes) |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    models: dict[str, Any] = json.loads(FAMILY.read_text())["models"]
    shapes = {
        name: shape_of_config(model["config"], FAMILY.parent / name / "config.json")
        for name, model in models.items()
    }
    parameters = "".join(
        _parameter_row(name, shape, models[name]["published"]) for name, shape in shapes.items()
    )
    sequences = "".join(_sequence_row(name, shape) for name, shape in shapes.items())
    weights = "".join(_weight_row(name, shape) for name, shape in shapes.items())
    sources = "".join(_sources(models))
    return f"{INTRO}{parameters}{SEQUENCE}{sequences}{WEIGHTS}{weights}\nSources:\n\n{sources}"


def _parameter_row(name: str, shape: NemotronHShape, published: dict[str, Any]) -> str:
    layers = (shape.mamba_layers, shape.mlp_layers, shape.expert_layers, shape.attention_layers)
    exact = f"{published['exact']:,}" if "exact" in published else published["total"]
    return (
        f"| {name} | {', '.join(map(str, layers))} | {shape.parameters:,} | {exact} | "
        f"{shape.active_parameters:,} |\n"
    )


def _sequence_row(name: str, shape: NemotronHShape) -> str:
    conv = 2 * shape.conv_elements_per_slot
    wide, narrow = (width * shape.ssm_elements_per_slot + conv for width in (4, 2))
    kv = shape.kv_elements_per_token
    return f"| {name} | {wide:,} | {narrow:,} | {2 * kv:,} | {kv:,} | {wide / (2 * kv):,.0f} |\n"


def _weight_row(name: str, shape: NemotronHShape) -> str:
    sizes = (
        sum(
            group.size_bytes
            for group in stored_groups(
                shape, StoredWeights(linear=form, status="derived", source="")
            )
        )
        for form in FORMS
    )
    return f"| {name} | {' | '.join(f'{size:,}' for size in sizes)} |\n"


def _sources(models: dict[str, Any]) -> Iterator[str]:
    for name, model in models.items():
        links = ", ".join(f"<{source}>" for source in model["sources"])
        said = model["published"]["source"]
        yield f"- {name} (`{model['repository']}`): {links}; parameters: {linked(said)}\n"


if __name__ == "__main__":
    sys.exit(keep_page("shapes.md", page, "The page of shapes."))
