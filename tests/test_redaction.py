"""Secrets and launchers' variables: what is not handed on, and what is not shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.redaction import redact, redacted_environment, scrubbed_environment


def test_the_environment_loses_mpi_and_secrets():
    inherited = {
        "PATH": "/bin", "HOME": "/h", "OMPI_COMM_WORLD_RANK": "0", "PMIX_RANK": "0",
        "PMI_SIZE": "2", "SLURM_JOB_ID": "7", "HF_TOKEN": "t", "NGC_API_KEY": "k",
        "DB_PASSWORD": "p", "my_secret": "s", "CUDA_VISIBLE_DEVICES": "0",
    }  # fmt: skip
    kept = scrubbed_environment({"NEW": "1"}, named=("HF_TOKEN",), inherited=inherited)
    assert set(kept) == {"PATH", "HOME", "HF_TOKEN", "CUDA_VISIBLE_DEVICES", "NEW"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("https://user:geheim@host/x", "https://user:***@host/x"),
        ("token hf_abcdefghijkl ends", "token *** ends"),
        ("key nvapi-ABCDEFGH12345", "key ***"),
        ("loss 0.5 at http://127.0.0.1:8000/v1", "loss 0.5 at http://127.0.0.1:8000/v1"),
    ],
)
def test_known_shapes_of_secrets_are_hidden(text: str, shown: str):
    assert redact(text, {}) == shown


@given(st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=6), st.text())
def test_a_secret_never_survives_redaction(secret: str, around: str):
    shown = redact(f"{around}{secret}{around}", {"THE_TOKEN": secret})
    assert secret in "***" or secret not in shown.replace("***", "\0")


def test_an_environment_is_shown_without_its_secrets():
    shown = redacted_environment({"HF_TOKEN": "abcdef", "URL": "http://u:pw1234@h", "N": "1"})
    assert shown == {"HF_TOKEN": "***", "URL": "http://u:***@h", "N": "1"}
