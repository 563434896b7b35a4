"""Readers of other programs' words: right on what is right, silent on what is not."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.deploy.doctor.recorded_host import RecordedHost, load_machine
from trt_nemotron.deploy.doctor.containers import (
    DOCKER_INFO,
    PODMAN_INFO,
    read_docker,
    read_image,
    read_podman,
)
from trt_nemotron.deploy.doctor.host import Answer
from trt_nemotron.deploy.doctor.nvidia import read_gpus, read_processes, read_states, used_index
from trt_nemotron.deploy.doctor.proc import read_cgroup_limit, read_limit, read_meminfo
from trt_nemotron.deploy.doctor.versions import is_at_least, version_in
from trt_nemotron.deploy.sizes import shown
from trt_nemotron.facts.catalogue import load_target


@pytest.mark.parametrize("silence", ["[N/A]", "N/A", "[Not Supported]", "Not Supported", ""])
def test_memory_that_the_driver_does_not_show_is_none(silence: str):
    (gpu,) = read_gpus(Answer(output=f"NVIDIA GB10, 580.1, 12.1, {silence}, {silence}\n"))
    assert (gpu.memory_total_bytes, gpu.memory_free_bytes) == (None, None)
    assert gpu.compute_capability == "12.1"


def test_memory_of_a_board_is_in_bytes():
    (gpu,) = read_gpus(Answer(output="NVIDIA H100 NVL, 580.126.09, 9.0, 95830, 95000\n"))
    assert gpu.memory_total_bytes == 95830 * 1024 * 1024


def test_an_error_of_the_driver_is_no_board():
    assert read_gpus(Answer(output="No devices were found\n")) == ()
    assert read_gpus(Answer(exit_code=1, output="A, 1, 2, 3, 4\n")) == ()


def test_reasons_of_clocks_are_bits():
    (state,) = read_states(Answer(output="N/A, 700.00, 700.00, 345, 1980, 0, 0x0000000000000104\n"))
    assert state.clock_reasons == 0x104
    assert state.power_limit_w == 700.0


def test_programs_on_the_board_are_known_by_their_own_names():
    processes = read_processes(
        Answer(output="1, /a/b/python, 12\n2, C:\\x\\y.exe, [N/A]\n3, serve, --key /q/a, b, 7\n")
    )
    assert processes is not None
    assert [(it.pid, it.program, it.memory) for it in processes] == [
        ("1", "python", "12"),
        ("2", "y.exe", ""),
        ("3", "serve,", "7"),
    ]


@pytest.mark.parametrize("text", ["1, x", "what is this", "1, x, 3\nrubbish"])
def test_a_list_of_processes_that_cannot_be_read_is_not_an_empty_one(text: str):
    assert read_processes(Answer(output=text)) is None
    assert read_processes(Answer(exit_code=1)) is None
    assert read_processes(Answer(output="\n")) == ()


def test_the_board_that_is_used_is_the_one_named_or_the_first_that_fits():
    gpus = read_gpus(Answer(output="RTX, 1.1, 8, 1, 1\nNVIDIA H100 PCIe, 1.1, 9.0, 1, 1\n"))
    gpu = load_target("h100-pcie").gpu
    assert used_index(gpus, gpu, {}) == 1
    assert used_index(gpus, gpu, {"CUDA_VISIBLE_DEVICES": "0"}) == 0
    assert used_index(gpus, gpu, {"CUDA_VISIBLE_DEVICES": "7"}) == 1
    assert used_index(gpus, gpu, {"CUDA_VISIBLE_DEVICES": "GPU-ab"}) == 1


def test_a_client_without_its_daemon_is_no_engine():
    machine = load_machine("debian-no-gpu")
    answer = machine.run(DOCKER_INFO)
    assert '"ClientInfo"' in answer.output
    assert read_docker(answer) is None


def test_podman_as_it_is_here():
    engine = read_podman(load_machine("debian-no-gpu").run(PODMAN_INFO))
    assert engine is not None
    assert (engine.name, engine.version, engine.cgroup) == ("podman", "4.3.1", "1")
    assert not engine.is_rootless
    assert engine.runtimes == ("runc",)
    assert engine.storage == "/var/lib/containers/storage"


def test_an_image_that_is_not_there_is_none():
    assert read_image(Answer(output="[]\n", exit_code=1)) is None
    assert read_image(Answer(output="[]\n")) is None


def test_limits_of_a_process_are_soft_and_hard():
    host = load_machine("debian-no-gpu")
    assert read_limit(host, "Max open files") == (20000.0, 20000.0)
    assert read_limit(host, "Max stack size") == (8388608.0, float("inf"))
    assert read_limit(host, "Max nonsense") is None


def test_a_group_of_version_1_without_limit_has_none():
    host = load_machine("debian-no-gpu")
    path = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
    assert host.read(path) == "9223372036854771712\n"
    assert read_cgroup_limit(host) is None
    assert read_cgroup_limit(host.having(files={path: "4096\n"})) == 4096
    assert (
        read_cgroup_limit(host.having(files={path: None, "/sys/fs/cgroup/memory.max": "max\n"}))
        is None
    )


@given(st.text(max_size=200))
def test_memory_is_what_the_kernel_says_or_nothing(text: str):
    host = RecordedHost(load_machine("debian-no-gpu").machine, {"/proc/meminfo": text})
    memory = read_meminfo(host)
    assert memory is None or memory.total > 0


def numbers() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 999999), min_size=1, max_size=4)


@given(numbers(), numbers())
@example([580], [580, 0])
@example([9, 1], [10])
def test_versions_compare_as_numbers(mine: list[int], least: list[int]):
    left, right = (".".join(map(str, it)) for it in (mine, least))
    padded = [it + [0] * (4 - len(it)) for it in (mine, least)]
    assert is_at_least(left, right) == (padded[0] >= padded[1])


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVIDIA Container Toolkit CLI version 1.20.0\ncommit: 1.2\n", "1.20.0"),
        ("10.13.3.9-1+cuda13.0", "10.13.3.9"),
        ("TempVersion  Release Build", ""),
        ("v2.40.0", "2.40.0"),
        ("580", ""),
    ],
)
def test_versions_are_found_in_sentences(text: str, version: str):
    assert version_in(text) == version


def test_sizes_are_for_people():
    assert shown(5_282_809_774) == "4.92 GiB"
    assert shown(67108864) == "64 MiB"
