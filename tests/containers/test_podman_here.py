"""The shim before podman: strict about what it takes out, silent about everything else."""

import pytest

from tests.containers import podman_here

ASKED = ["run", "--rm", "--ulimit", "memlock=-1", "--ulimit", "stack=67108864", "--device",
         "nvidia.com/gpu=all", "--cap-drop", "ALL", "image", "trtllm-serve"]  # fmt: skip


def test_gpu_request_is_all_that_is_taken_out_where_limits_can_be_raised(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(podman_here, "_can_raise", lambda _: True)
    monkeypatch.setattr(podman_here, "global_options", list)
    monkeypatch.setattr(podman_here, "limit_options", list)
    assert podman_here.shimmed(ASKED) == [*ASKED[:6], *ASKED[8:]]


def test_limits_go_too_where_they_cannot_be_raised(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(podman_here, "_can_raise", lambda _: False)
    monkeypatch.setattr(podman_here, "global_options", lambda: ["--runtime", "runc"])
    monkeypatch.setattr(podman_here, "limit_options", lambda: ["--ulimit", "nofile=8:8"])
    assert podman_here.shimmed(ASKED) == [
        "--runtime", "runc", "run", "--ulimit", "nofile=8:8", "--rm", "--cap-drop", "ALL", "image",
        "trtllm-serve",
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [ASKED[:6] + ASKED[8:], [*ASKED, *podman_here.GPU_REQUEST]])
def test_container_without_one_gpu_request_is_not_started(wrong: list[str]):
    with pytest.raises(SystemExit, match="gpu=all stands"):
        podman_here.shimmed(wrong)


def test_other_commands_pass_as_they_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(podman_here, "global_options", lambda: ["--runtime", "runc"])
    words = ["ps", "--all", "--filter", "label=x"]
    assert podman_here.shimmed(words) == ["--runtime", "runc", *words]


def test_container_is_marked_as_the_tests(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(podman_here, "_can_raise", lambda _: True)
    assert podman_here.shimmed(ASKED, "x=1").count("x=1") == 1
