"""A real container engine where there is one; an image of a few kilobytes to try it with."""

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from trt_nemotron.command import Completed
from trt_nemotron.deploy.serving.container.engine import Engine, find_engine
from trt_nemotron.errors import CommandFailed, EnvironmentUnfit


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Podman, for it needs no service; on a CI machine it has to be there."""
    try:
        return find_engine("podman")
    except EnvironmentUnfit as fault:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no podman here: {fault.evidence}")


@pytest.fixture(scope="session")
def image(engine: Engine) -> Iterator[str]:
    """An image that holds one text file: enough to be looked at, not to be run."""
    tag = f"localhost/trt-nemotron-test-empty:{os.getpid()}"
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))
    subprocess.run(
        ["podman", "import", "-", tag], input=data.getvalue(), check=True, capture_output=True
    )
    yield tag
    subprocess.run(["podman", "rmi", "--force", tag], check=False, capture_output=True)


@pytest.fixture
def docker_client() -> str:
    """The docker client: it refuses flags that it does not know before it asks its engine.

    On a CI machine it has to be there.
    """
    path = shutil.which("docker")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("no docker client here")
        pytest.skip("no docker client here")
    return path


class Recorded:
    """A runner that answers from a script and keeps what it was asked: no engine is needed.

    As `command.run`, it fails on an exit code that was not expected.
    """

    def __init__(self, *answers: Completed | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, ...]] = []

    def __call__(
        self, argv: Any, *, expected: Any = (0,), listener: Any = None, **more: Any
    ) -> Completed:
        self.asked.append(tuple(argv))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if answer.returncode not in expected:
            raise CommandFailed("an exit code that was not expected", evidence=answer.stderr)
        for line in answer.stdout.splitlines() if listener else ():
            listener(line)
        return answer


@pytest.fixture
def recorded() -> type[Recorded]:
    return Recorded
