"""Each check on a machine where all is well, and on one where it is not."""

import json
from typing import Any

import pytest

from tests.deploy.doctor.golden import report_of
from tests.deploy.doctor.recorded_host import RecordedHost, load_machine
from trt_nemotron.deploy.doctor.checks.software import TENSORRT_PACKAGES
from trt_nemotron.deploy.doctor.containers import (
    DOCKER_COMPOSE,
    DOCKER_INFO,
    TOOLKIT,
    inspect_image,
)
from trt_nemotron.deploy.doctor.host import Answer
from trt_nemotron.deploy.doctor.nvidia import IDENTITY, PROCESSES, STATE
from trt_nemotron.deploy.doctor.registry import CHECKS
from trt_nemotron.deploy.doctor.values import Finding
from trt_nemotron.deploy.power import NVPMODEL

SPARK_IMAGE = "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc14"
CPUFREQ = "/sys/devices/system/cpu/cpufreq/policy5"
LIMITS = (
    "Max stack size            8388608              8388608              bytes     \n"
    "Max open files            1024                 524288               files     \n"
    "Max locked memory         8388608              8388608              bytes     \n"
)


def h100(**gpu: str) -> dict[tuple[str, ...], Answer]:
    """Answers of one H100 SXM with these fields changed; assembled."""
    identity = {
        "name": "NVIDIA H100 80GB HBM3", "driver": "580.82.07", "capability": "9.0",
        "total": "81559", "free": "81072",
    }  # fmt: skip
    state = {
        "mig": "Disabled", "limit": "700.00", "default": "700.00", "clock": "1980",
        "most": "1980", "busy": "0", "reasons": "0x0000000000000001",
    }  # fmt: skip
    rows = (
        ", ".join(gpu.get(name, value) for name, value in fields.items()) + "\n"
        for fields in (identity, state)
    )
    return dict(zip((IDENTITY, STATE), (Answer(output=row) for row in rows), strict=True)) | {
        PROCESSES: Answer(output="")
    }


def image_of(architecture: str = "arm64", cuda: str = "9.0 10.0 12.0+PTX") -> Answer:
    """What `docker image inspect` says; assembled."""
    told = {
        "Architecture": architecture, "Size": 21474836480,
        "RepoDigests": [f"nvcr.io/nvidia/tensorrt-llm/release@sha256:{'0' * 64}"],
        "Config": {"Env": ["PATH=/usr/bin", f"TORCH_CUDA_ARCH_LIST={cuda}"]},
    }  # fmt: skip
    return Answer(output=json.dumps([told]))


def with_image(**said: str) -> dict[str, Any]:
    return {"answers": {inspect_image("docker", SPARK_IMAGE): image_of(**said)}}


def docker_said(**changes: Any) -> dict[str, Any]:
    told = {
        "ServerVersion": "29.2.1", "CgroupVersion": "2", "DockerRootDir": "/var/lib/docker",
        "Runtimes": {"runc": {}, "nvidia": {}}, "SecurityOptions": ["name=seccomp"],
    }  # fmt: skip
    return {"answers": {DOCKER_INFO: Answer(output=json.dumps({**told, **changes}))}}


def answers(*pairs: tuple[tuple[str, ...], Answer | None]) -> dict[str, Any]:
    return {"answers": dict(pairs)}


def file(path: str, text: str | None) -> dict[str, Any]:
    return {"files": {path: text}}


MEMINFO = "MemTotal: 127601228 kB\nMemFree: {free} kB\nMemAvailable: {available} kB\n"
EDGELLM_R40 = "# R40 (release), REVISION: 1.0, GCID: 1\n"

# check, machine and target, what is changed, status, a word of the evidence
WELL: list[tuple[str, str, str, dict[str, Any]]] = [
    ("architecture", "spark", "spark", {}),
    ("board", "spark", "spark", {}),
    ("board", "debian-no-gpu", "cpu", {}),
    ("board", "h100-nvl-no-driver", "h100-nvl", {}),
    ("driver-answers", "thor", "thor", {}),
    ("compute-capability", "thor", "thor", {}),
    ("one-board", "spark", "spark", {}),
    ("one-board", "h100-sxm-busy", "h100-sxm", {"environment": {"CUDA_VISIBLE_DEVICES": "3"}}),
    ("mig", "h100-sxm-busy", "h100-sxm", {}),
    ("mig", "h100-sxm-busy", "h100-sxm", {"answers": h100(mig="[N/A]")}),
    ("driver-version", "spark", "spark", {}),
    ("driver-version", "spark", "spark", answers((IDENTITY, None), (STATE, None), (PROCESSES,
     None))),
    ("driver-version", "h100-sxm-busy", "h100-sxm", {"answers": h100()}),
    ("payload", "thor", "thor", {}),
    ("board-libraries", "thor", "thor",
     answers((TENSORRT_PACKAGES, Answer(output="tensorrt\t10.16.0.72-1+cuda13.2\n")))),
    ("engine", "spark", "spark", {}),
    ("engine", "debian-no-gpu", "spark", {}),
    ("engine-root", "spark", "spark", {}),
    ("cgroup", "spark", "spark", {}),
    ("gpu-in-containers", "spark", "spark", {}),
    ("gpu-in-containers", "debian-no-gpu", "spark",
     file("/etc/cdi/nvidia.yaml", "---\ncdiVersion: 0.5.0\nkind: nvidia.com/gpu\n")),
    ("gpu-in-containers", "debian-no-gpu", "spark",
     file("/var/run/cdi/gpu.json", '{\n  "cdiVersion": "0.5.0",\n  "kind": "nvidia.com/gpu"\n}')),
    ("compose", "spark", "spark", {}),
    ("image", "spark", "spark", with_image()),
    ("image-architecture", "spark", "spark", with_image()),
    ("image-kernels", "spark", "spark", with_image()),
    ("image-kernels", "spark", "spark", with_image(cuda="9.0+PTX")),
    ("image-kernels", "spark", "spark", with_image(cuda="12.1a")),
    ("memory", "spark", "spark", {}),
    ("memory", "h100-sxm-busy", "h100-sxm", {"answers": h100()}),
    ("memory", "debian-no-gpu", "cpu", {}),
    ("page-cache", "thor", "thor", {}),
    ("swap", "spark", "spark", {}),
    ("memory-limit", "debian-no-gpu", "cpu", {}),
    ("memory-limit", "debian-no-gpu", "cpu", file("/sys/fs/cgroup/memory.max", "8589934592\n")),
    ("shared-memory", "spark", "spark", {}),
    ("power-mode", "thor", "thor", answers((NVPMODEL, Answer(output="NV Power Mode: MAXN\n0\n")))),
    ("power-limit", "h100-sxm-busy", "h100-sxm", {"answers": h100()}),
    ("throttling", "spark", "spark", {}),
    ("gpu-clocks", "spark", "spark", {}),
    ("gpu-processes", "thor", "thor", {}),
    ("cpu-frequency", "spark", "spark", {}),
    ("cpu-governor", "spark", "spark", {}),
    ("disk", "spark", "spark", {}),
    ("open-files", "spark", "spark", {}),
    ("locked-memory", "spark", "spark", {}),
    ("inotify", "spark", "spark", {}),
    ("huge-pages", "spark", "spark", {}),
    ("port", "spark", "spark", {}),
    ("state-folder", "spark", "spark", {}),
    ("load", "spark", "spark", {}),
    ("steal", "spark", "spark", {}),
    ("python", "spark", "spark", {}),
    ("runtime-installed", "debian-no-gpu", "cpu", {}),
    ("runtime-installed", "debian-no-gpu", "cpu", {"modules": (), "programs": ("llama-server",)}),
    ("hub-token", "spark", "spark", {}),
    ("offline", "spark", "spark", {"environment": {"HF_HUB_OFFLINE": "0"}}),
    ("mpi-variables", "spark", "spark", {}),
    ("proxy", "spark", "spark",
     {"environment": {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "localhost, 127.0.0.1"}}),
    ("proxy", "spark", "spark", {"environment": {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}}),
    ("clock-synchronised", "spark", "spark", {}),
    ("clock-resolution", "spark", "spark", {}),
    ("clock-source", "spark", "spark", {}),
    ("packet-stamps", "spark", "spark", {}),
    ("support", "spark", "spark", {}),
    ("defect", "debian-no-gpu", "cpu", {}),
]  # fmt: skip

ILL: list[tuple[str, str, str, dict[str, Any], str, str]] = [
    ("architecture", "debian-no-gpu", "spark", {}, "fail", "x86_64"),
    ("board", "debian-no-gpu", "spark", {}, "fail", "no board is seen"),
    ("board", "spark", "thor", {}, "fail", "NVIDIA GB10"),
    ("board", "h100-sxm-busy", "h100-pcie", {}, "fail", "NVIDIA H100 80GB HBM3"),
    ("driver-answers", "h100-nvl-no-driver", "h100-nvl", {}, "fail", "not on PATH"),
    ("driver-answers", "spark", "spark", answers((IDENTITY, Answer(exit_code=18, output=(
        "Failed to initialize NVML: Driver/library version mismatch\n"
        "NVML library version: 570.124\n")))), "fail",
     "the kernel has 580.126.09, the library is 570.124"),
    ("driver-answers", "spark", "spark", answers((IDENTITY, Answer(exit_code=6, output=(
        "No devices were found\n")))), "fail", "No devices were found"),
    ("driver-answers", "spark", "spark", answers((IDENTITY, Answer(fault="failed"))), "fail",
     "longer"),
    ("compute-capability", "h100-sxm-busy", "h100-sxm", {"answers": h100(capability="8.0")},
     "fail", "9.0"),
    ("one-board", "h100-sxm-busy", "h100-sxm", {}, "warn", "8 x NVIDIA H100"),
    ("mig", "h100-sxm-busy", "h100-sxm", {"answers": h100(mig="Enabled")}, "fail",
     "MIG is enabled"),
    ("driver-version", "h100-sxm-busy", "h100-sxm", {}, "fail", "550.90.07"),
    ("driver-version", "h100-sxm-busy", "h100-sxm", {"answers": h100(driver="575.57.08")},
     "warn", "580"),
    ("payload", "thor", "thor", file("/etc/nv_tegra_release", EDGELLM_R40), "warn", "R40.1.0"),
    ("board-libraries", "thor", "thor", {}, "warn", "10.13.3.9"),
    ("engine", "h100-nvl-no-driver", "h100-nvl", {}, "fail", "podman: not on PATH"),
    ("engine", "spark", "spark", answers((DOCKER_INFO, Answer(exit_code=1, errors=(
        "permission denied while trying to connect to the Docker daemon socket"
        " at unix:///var/run/docker.sock\n")))), "fail", "permission denied"),
    ("engine-root", "spark", "spark", docker_said(SecurityOptions=["name=rootless"]), "warn",
     "without root"),
    ("cgroup", "debian-no-gpu", "spark", {}, "warn", "version 1"),
    ("gpu-in-containers", "debian-no-gpu", "spark", {}, "fail", "nvidia-ctk is not on PATH"),
    ("gpu-in-containers", "h100-sxm-busy", "h100-sxm",
     answers((TOOLKIT, Answer(output="NVIDIA Container Toolkit CLI version 1.18.0\n"))),
     "fail", "though toolkit 1.18.0"),
    ("gpu-in-containers", "debian-no-gpu", "spark",
     file("/etc/cdi/nvidia-pva.yaml", "kind: nvidia.com/pva\n"), "fail", "CDI"),
    ("compose", "spark", "spark", answers((DOCKER_COMPOSE, Answer(exit_code=1))), "warn",
     "neither"),
    ("image", "spark", "spark", {}, "warn", "is not here"),
    ("image-architecture", "spark", "spark", with_image(architecture="amd64"), "fail", "amd64"),
    ("image-kernels", "spark", "spark", with_image(cuda="9.0 10.0"), "fail", "sm_121"),
    ("image-kernels", "spark", "spark", with_image(cuda="12.2"), "fail", "sm_121"),
    ("memory", "spark", "spark", file("/proc/meminfo", MEMINFO.format(free=1000000,
     available=2000000)),
     "fail", "1.91 GiB available"),
    ("memory", "spark", "spark", file("/proc/meminfo", MEMINFO.format(free=1000000,
     available=9000000)),
     "warn", "8.58 GiB available"),
    ("memory", "h100-sxm-busy", "h100-sxm", {"answers": h100(free="1024")}, "fail",
     "1.00 GiB free"),
    ("memory", "debian-no-gpu", "cpu", file("/proc/meminfo", "MemTotal: 1024 kB\n"), "fail",
     "1 MiB"),
    ("page-cache", "spark", "spark", {}, "warn", "1.82 GiB free, 24.33 GiB available"),
    ("swap", "spark", "spark", file("/proc/meminfo", MEMINFO.format(free=9, available=9)
     + "SwapTotal: 16777212 kB\nSwapFree: 6777212 kB\n"), "warn", "9.54 GiB"),
    ("swap", "thor", "thor", file("/proc/swaps", "/dev/zram0 partition 4 0 5\n"), "warn", "zram"),
    ("memory-limit", "debian-no-gpu", "cpu", file("/sys/fs/cgroup/memory.max", "1048576\n"),
     "fail", "1 MiB"),
    ("shared-memory", "h100-nvl-no-driver", "h100-nvl", {}, "warn", "64 MiB"),
    ("power-mode", "thor", "thor", {}, "warn", "120W"),
    ("power-limit", "h100-sxm-busy", "h100-sxm", {"answers": h100(limit="350.00")}, "warn",
     "350 W"),
    ("throttling", "h100-sxm-busy", "h100-sxm", {"answers": h100(reasons="0x0000000000000044")},
     "warn", "power cap, hardware thermal slowdown"),
    ("throttling", "spark", "spark", answers((STATE, Answer(
        output="[N/A], [N/A], [N/A], 630, 3003, 95, 0x0000000000000000\n"))), "warn",
     "630 MHz at 95 %"),
    ("gpu-clocks", "h100-sxm-busy", "h100-sxm",
     {"answers": h100(reasons="0x0000000000000002", clock="1200")}, "warn", "1200 MHz of 1980"),
    ("gpu-processes", "spark", "spark", {}, "warn", "python (114687, 19135 MiB)"),
    ("cpu-frequency", "spark", "spark", file(f"{CPUFREQ}/scaling_max_freq", "1500000\n"), "warn",
     "1.50 of 3.90 GHz"),
    ("cpu-governor", "thor", "thor", {}, "warn", "schedutil"),
    ("disk", "h100-nvl-no-driver", "h100-nvl", {"disks": {"/": (1, 9, 4 << 30)}}, "fail",
     "4.00 GiB"),
    ("disk", "spark", "spark", {"disks": {"/": (1, 9, 34 << 30)}}, "fail", "34.86 GiB are needed"),
    ("open-files", "spark", "spark", file("/proc/self/limits", LIMITS), "warn", "1,024"),
    ("locked-memory", "spark", "spark",
     docker_said(SecurityOptions=["name=rootless"]) | file("/proc/self/limits", LIMITS), "warn",
     "8 MiB"),
    ("inotify", "spark", "spark", file("/proc/sys/fs/inotify/max_user_instances", "16\n"),
     "warn", "16"),
    ("huge-pages", "spark", "spark", {"files": {
        "/sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n",
        "/sys/kernel/mm/transparent_hugepage/defrag": "[always] defer madvise never\n"}}, "warn",
     "always"),
    ("port", "spark", "spark", {"taken_ports": (8000,)}, "fail", "8000"),
    ("state-folder", "spark", "spark", {"unwritable": ("/home/user/.state",)}, "fail", ".state"),
    ("load", "debian-no-gpu", "cpu", file("/proc/loadavg", "3.00 1.00 1.00 1/1 1\n"), "warn",
     "3.00"),
    ("steal", "spark", "spark", file("/proc/stat", "cpu  90 0 0 0 0 0 0 10 0 0\n"), "warn",
     "10.00%"),
    # A guest's time is in the user time too, and counts once.
    ("steal", "spark", "spark", file("/proc/stat", "cpu  98 0 0 0 0 0 0 2 98 0\n"), "warn",
     "2.00%"),
    ("python", "spark", "spark", {"python": "3.9.18"}, "fail", "3.9.18"),
    ("runtime-installed", "debian-no-gpu", "cpu", {"modules": ("numpy",)}, "fail",
     "xllamacpp, gguf"),
    ("hub-token", "thor", "thor", {}, "warn", "HF_TOKEN"),
    ("hub-token", "thor", "thor", {"environment": {"HF_TOKEN": ""}}, "warn", "set and empty"),
    ("offline", "spark", "spark", {"environment": {"HF_HUB_OFFLINE": "1"}}, "warn",
     "HF_HUB_OFFLINE"),
    ("mpi-variables", "spark", "spark", {"environment": {"OMPI_COMM_WORLD_RANK": "0",
     "SLURM_JOB_ID": "7"}},
     "warn", "OMPI_COMM_WORLD_RANK, SLURM_JOB_ID"),
    ("proxy", "spark", "spark", {"environment": {"http_proxy": "http://p:1",
     "no_proxy": "localhost"}},
     "warn", "HTTP_PROXY is set, and NO_PROXY does not except 127.0.0.1"),
    ("clock-synchronised", "debian-no-gpu", "cpu", {}, "warn", "not"),
    ("clock-resolution", "spark", "spark", {"clock_resolution_s": 0.004}, "warn", "4,000,000 ns"),
    ("clock-source", "h100-nvl-no-driver", "h100-nvl", {}, "warn", "hpet"),
    ("packet-stamps", "spark", "spark", {"stamps_packets": False}, "warn", "not stamped"),
    ("support", "thor", "thor trtllm", {}, "warn", "experimental"),
    ("support", "h100-sxm-busy", "h100-sxm edgellm", {}, "fail", "SM90"),
    ("payload", "h100-sxm-busy", "h100-sxm edgellm", {}, "fail", "none of"),
    ("defect:jetson-not-supported", "thor", "thor trtllm", {}, "fail", "SM110"),
    ("defect:weights-mapping-hangs-gb10", "spark", "spark", {}, "warn", "power-cycled"),
]  # fmt: skip


def find(name: str, machine: str, target: str, changes: dict[str, Any]) -> Finding:
    target, _, runtime = target.partition(" ")
    host: RecordedHost = load_machine(machine).having(**changes)
    report = report_of(host, target, runtime, port=8000)
    return next(finding for finding in report.findings if finding.id == name)


@pytest.mark.parametrize(
    ("name", "machine", "target", "changes"), WELL, ids=lambda it: str(it)[:30]
)
def test_all_is_well(name: str, machine: str, target: str, changes: dict[str, Any]):
    finding = find(name, machine, target, changes)
    assert finding.status == "ok", finding
    assert finding.evidence
    assert not finding.remedy


@pytest.mark.parametrize(
    ("name", "machine", "target", "changes", "status", "word"), ILL, ids=lambda it: str(it)[:30]
)
def test_what_is_wrong_is_found_with_evidence_and_remedy(  # noqa: PLR0917 - a table's columns
    name: str, machine: str, target: str, changes: dict[str, Any], status: str, word: str
):
    finding = find(name, machine, target, changes)
    assert finding.status == status, finding
    assert word in finding.evidence
    assert finding.remedy
    assert finding.source


def test_every_check_is_seen_to_pass_and_not_to_pass():
    assert {row[0] for row in WELL} == CHECKS.keys()
    assert {row[0].partition(":")[0] for row in ILL} == CHECKS.keys()


def test_checks_whose_evidence_is_missing_do_not_pass():
    """A machine that says nothing at all is not well."""
    bare = RecordedHost(load_machine("debian-no-gpu").machine).having(
        is_clock_synchronised=None, stamps_packets=None, disks={}, modules=(), listings={}
    )
    bare = bare.having(answers={it.argv: None for it in bare.machine.answers})
    for target in ("spark", "thor", "h100-sxm", "cpu"):
        for finding in report_of(bare, target).findings:
            if finding.status == "ok":
                assert finding.id in SILENCE_IS_WELL, finding
            if finding.status == "unknown":
                assert finding.evidence


SILENCE_IS_WELL = {
    # what was asked of the interpreter and its environment, which always answer
    "python", "clock-resolution", "offline", "mpi-variables", "proxy", "state-folder",
    # no limit is no file; any computer is a computer; the facts are ours
    "memory-limit", "board", "architecture", "support", "defect",
}  # fmt: skip


def test_unknown_says_what_it_means_and_gives_no_remedy_for_what_may_be_well():
    findings = report_of(load_machine("h100-nvl-no-driver"), "h100-nvl").having("unknown")
    assert findings
    assert all(finding.evidence and not finding.remedy for finding in findings)


def test_boards_of_another_target_are_named():
    finding = find("board", "spark", "thor", {})
    assert finding.remedy == "Examine for what it is: --target spark."
    assert find("board", "h100-nvl-no-driver", "h100-sxm", {}).remedy.endswith("h100-nvl.")


def test_a_rooted_engine_is_told_how_to_hand_gpus_in():
    ctk = answers((TOOLKIT, Answer(output="NVIDIA Container Toolkit CLI version 1.18.0\n")))
    assert "--runtime=docker" in find("gpu-in-containers", "h100-sxm-busy", "h100-sxm", ctk).remedy
    assert "cdi generate" in find("gpu-in-containers", "debian-no-gpu", "spark", ctk).remedy


def test_a_busy_board_of_several_is_judged_by_the_one_that_is_used():
    two = "".join(f"NVIDIA H100 80GB HBM3, 580.82.07, 9.0, 81559, {free}\n" for free in (9, 81000))
    changes = answers((IDENTITY, Answer(output=two)))
    assert find("memory", "h100-sxm-busy", "h100-sxm", changes).status == "fail"
    chosen = {**changes, "environment": {"CUDA_VISIBLE_DEVICES": "1"}}
    assert find("memory", "h100-sxm-busy", "h100-sxm", chosen).status == "ok"
