import pytest

from trt_nemotron.errors import InvalidInput
from trt_nemotron.openai.url import normalize_url


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000"),
        ("https://host/prefix/v1", "https://host/prefix"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_url_is_brought_to_its_root(given: str, root: str) -> None:
    assert normalize_url(given) == root


@pytest.mark.parametrize(
    "given",
    ["", "127.0.0.1:8000", "localhost", "ftp://host", "http://", "http://host:99999",
     "http://host:port", "http://host/?a=1", "http://host/#a", "http://[::1",
     "http://two words:80"],
)  # fmt: skip
def test_what_is_no_url_of_a_server_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput, match="not the URL"):
        normalize_url(given)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput) as caught:
        normalize_url("http://user:hunter2@host")
    assert "hunter2" not in str(caught.value)
