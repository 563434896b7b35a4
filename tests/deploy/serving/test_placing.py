"""Where a server runs: as a process where its program is, else in a container."""

from dataclasses import dataclass
from typing import Any, cast

import pytest

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import Place, Runtime
from trt_nemotron.deploy.serving.container.engine import Engine
from trt_nemotron.deploy.serving.placing import PlaceWish, choose_place
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput

PLAN = cast("Plan", None)


@dataclass
class RuntimeDouble:
    """As much of a runtime as choosing a place looks at."""

    its_image: str = "nvcr.io/nvidia/tensorrt-llm/release:1"
    installed: bool = False

    def image(self, plan: Plan) -> str:
        return self.its_image

    def is_installed(self) -> bool:
        return self.installed


def place(wish: PlaceWish, *, pinned: str = "", **facts: Any) -> Place:
    manifest = Manifest(
        name="n", tool_version="1", target="spark", runtime="trtllm", release="1",
        served_model_name="m", configuration_sha256="c", model_path="model", files=(), image=pinned,
    )  # fmt: skip
    runtime = cast("Runtime", RuntimeDouble(**facts))
    return choose_place(
        runtime, PLAN, manifest, wish, port=1, find=lambda name: Engine(name or "podman", "1")
    )


def test_a_program_that_is_here_is_a_process():
    assert place(PlaceWish(), installed=True) == Place(port=1)


def test_a_program_that_is_not_here_runs_in_a_container():
    assert place(PlaceWish()).engine == "podman"


def test_a_runtime_without_an_image_is_a_process():
    assert place(PlaceWish(), its_image="").engine == ""


def test_the_engine_asked_for_is_taken_unasked():
    """A dry run shows what would be done, also where the engine is not."""
    assert place(PlaceWish(engine="docker"), installed=True).engine == "docker"


@pytest.mark.parametrize("wish", [PlaceWish(image="x:1"), PlaceWish(is_host_network=True)])
def test_what_only_a_container_has_asks_for_one(wish: PlaceWish):
    assert place(wish, installed=True).engine == "podman"
    with pytest.raises(InvalidInput, match="for servers in containers"):
        place(wish, its_image="")


@pytest.mark.parametrize("wish", [{"image": "x:1"}, {"is_host_network": True}])
def test_a_process_has_neither_image_nor_network_of_its_own(wish: Any):
    with pytest.raises(InvalidInput, match="for servers in containers"):
        place(PlaceWish(engine="process", **wish))


def test_the_image_asked_for_goes_before_the_pinned_one():
    assert place(PlaceWish(), pinned="x@sha256:1").image == "x@sha256:1"
    assert place(PlaceWish(image="y:2"), pinned="x@sha256:1").image == "y:2"
    assert place(PlaceWish()).image == ""  # the release's, which the runtime knows


def test_secrets_go_along_by_name():
    assert place(PlaceWish(secret_names=("HF_TOKEN",))).secret_names == ("HF_TOKEN",)


def test_without_an_engine_the_reason_is_told():
    def none(name: object) -> Engine:
        raise EnvironmentUnfit("no container engine answers here")

    runtime = cast("Runtime", RuntimeDouble())
    with pytest.raises(EnvironmentUnfit, match="no container engine"):
        choose_place(runtime, PLAN, cast("Manifest", None), find=none)
