"""Which server is meant: one of ours by its name, or any by its URL."""

import os
from pathlib import Path

import psutil
import pytest

from trt_nemotron.cli.endpoint_options import find_subject
from trt_nemotron.deploy.bundle.values import MANIFEST_NAME, Manifest
from trt_nemotron.deploy.serving.registry import Registry
from trt_nemotron.deploy.serving.values import Endpoint, EndpointState
from trt_nemotron.document import write_document
from trt_nemotron.errors import InvalidInput

MANIFEST = Manifest(
    name="a-bundle", tool_version="0", target="cpu", runtime="llamacpp", release="1",
    served_model_name="the-model", configuration_sha256="ab" * 32, model_path="model/m.gguf",
    files=(),
)  # fmt: skip


def put_on_record(name: str, state: EndpointState, bundle: Path) -> None:
    """An endpoint whose processes are this test's own: they live."""
    started = psutil.Process().create_time()
    write_document(bundle / MANIFEST_NAME, MANIFEST)
    endpoint = Endpoint(
        name=name, state=state, url="http://127.0.0.1:8123", model="the-model",
        runtime="llamacpp", bundle=str(bundle), log="", guard_pid=os.getpid(),
        guard_started=started, server_pid=os.getpid(), server_started=started,
    )  # fmt: skip
    registry = Registry()
    write_document(registry.document_path(name), endpoint)


def test_a_name_is_its_server_with_its_model_and_its_bundle(tmp_path: Path):
    put_on_record("demo", "ready", tmp_path)
    subject = find_subject("demo", None, "")
    assert (subject.url, subject.model) == ("http://127.0.0.1:8123", "the-model")
    assert subject.manifest == MANIFEST
    assert find_subject("demo", None, "another").model == "another"


def test_a_server_that_is_not_ready_is_not_asked(tmp_path: Path):
    put_on_record("demo", "starting", tmp_path)
    with pytest.raises(InvalidInput, match="'demo' is starting"):
        find_subject("demo", None, "")


def test_a_name_that_is_not_on_record_is_told_those_that_are(tmp_path: Path):
    put_on_record("demo", "ready", tmp_path)
    with pytest.raises(InvalidInput, match="'dmeo' is not on record") as caught:
        find_subject("dmeo", None, "")
    assert "demo" in caught.value.evidence


def test_of_a_url_nothing_but_the_url_is_known():
    subject = find_subject(None, "http://127.0.0.1:1", "")
    assert (subject.url, subject.model, subject.manifest) == ("http://127.0.0.1:1", "", None)


@pytest.mark.parametrize(("name", "url"), [(None, None), ("demo", "http://127.0.0.1:1")])
def test_one_of_both_is_needed(name: str | None, url: str | None):
    with pytest.raises(InvalidInput, match="either"):
        find_subject(name, url, "")
