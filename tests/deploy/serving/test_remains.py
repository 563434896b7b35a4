"""What is left of a server whose guard has gone."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from trt_nemotron.command import Completed
from trt_nemotron.deploy.serving.remains import end_remains
from trt_nemotron.deploy.serving.values import Endpoint

ENDPOINT = Endpoint(
    name="demo", state="ready", url="", model="m", runtime="trtllm", bundle="/b", log="/l",
    guard_pid=0, guard_started=0.0, instance="no-process-carries-this",
)  # fmt: skip


class Engine:
    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, argv: Sequence[str], **more: Any) -> Completed:
        self.asked.append(tuple(argv))
        return Completed((), 0, "left-over\n" if argv[1] == "ps" else "", "")


def test_its_container_is_ended_through_its_engine():
    engine = Engine()
    end_remains(replace(ENDPOINT, engine="podman", container="left-over"), engine)
    assert engine.asked[0][:2] == ("podman", "ps")
    assert "label=io.trt-nemotron.instance=no-process-carries-this" in engine.asked[0]
    assert engine.asked[1][:2] == ("podman", "rm")
    assert engine.asked[1][-1] == "left-over"


def test_a_process_needs_no_engine():
    engine = Engine()
    end_remains(ENDPOINT, engine)
    assert engine.asked == []


def test_without_an_instance_nothing_is_told_apart_so_nothing_is_ended():
    engine = Engine()
    end_remains(replace(ENDPOINT, engine="docker", instance=""), engine)
    assert engine.asked == []
