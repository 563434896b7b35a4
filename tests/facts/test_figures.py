"""Every number of a target, a model or a release says where it comes from, when, and how sure."""

import re
from collections.abc import Iterator

import msgspec
import pytest

from trt_nemotron.facts import catalogue
from trt_nemotron.facts.figure import Figure

DOCUMENTS = [
    *(catalogue.load_target(name) for name in catalogue.target_names()),
    *(catalogue.load_model(name) for name in catalogue.model_names()),
    *(
        catalogue.load_release(runtime, name)
        for runtime in ("llamacpp", "transformers", "trtllm")
        for name in catalogue.release_names(runtime)
    ),
]


def figures_in(value: object, place: str) -> Iterator[tuple[str, Figure]]:
    if isinstance(value, Figure):
        yield place, value
    elif isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            yield from figures_in(getattr(value, field.name), f"{place}.{field.name}")
    elif isinstance(value, tuple | list):
        for number, item in enumerate(value):
            yield from figures_in(item, f"{place}[{number}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from figures_in(item, f"{place}.{name}")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda it: getattr(it, "name", it.schema))
def test_every_figure_has_a_source_and_a_date(document: msgspec.Struct):
    for place, figure in figures_in(document, type(document).__name__):
        assert len(figure.source) > 8, place
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", figure.date), place
        assert figure.value >= 0, place


@pytest.mark.parametrize("name", catalogue.target_names())
def test_every_runtime_of_a_target_says_who_says_so(name: str):
    target = catalogue.load_target(name)
    assert target.runtimes[0].status == "supported"
    for support in target.runtimes:
        assert support.reason
        assert support.source
        known = catalogue.release_names(support.runtime)
        assert not support.release or support.release in known
