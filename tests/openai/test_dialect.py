import pytest

from trt_nemotron.errors import InvalidInput
from trt_nemotron.openai.dialect import (
    DIALECTS,
    OPENAI,
    TRANSFORMERS_SERVE,
    find_dialect,
    recognize_dialect,
)

ROUTES = ["/v1/chat/completions", "/v1/completions", "/load_model", "/reset", "/health"]


def test_the_common_form_lacks_nothing() -> None:
    assert not OPENAI.missing
    assert OPENAI.sends_done


def test_what_transformers_serve_lacks_has_a_reason_with_a_version() -> None:
    assert not TRANSFORMERS_SERVE.sends_done
    assert "model_list" in TRANSFORMERS_SERVE.missing
    assert all("5.23.0" in reason for reason in TRANSFORMERS_SERVE.missing.values())


def test_a_dialect_is_found_by_its_name() -> None:
    assert [find_dialect(name).name for name in DIALECTS] == list(DIALECTS)
    with pytest.raises(InvalidInput, match="openai, transformers-serve"):
        find_dialect("klingon")


def test_transformers_serve_is_known_by_its_routes() -> None:
    assert recognize_dialect({"paths": {route: {} for route in ROUTES}}) is TRANSFORMERS_SERVE


@pytest.mark.parametrize(
    "description",
    [None, [], {}, {"paths": []}, {"paths": {"/v1/chat/completions": {}, "/health": {}}}],
)
def test_anything_else_is_the_common_form(description: object) -> None:
    assert recognize_dialect(description) is OPENAI


def test_edge_llm_is_recognized_by_its_routes():
    routes = ("/health", "/health/ready", "/v1/messages", "/v1/voices", "/v1/chat/completions")
    assert recognize_dialect({"paths": {route: {} for route in routes}}).name == "edgellm"
    assert recognize_dialect({"paths": {"/v1/messages": {}}}).name == "openai"
