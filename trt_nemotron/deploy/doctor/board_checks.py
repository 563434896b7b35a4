"""The checks of a board: what it is, the way into a container, its memory and its power."""

from trt_nemotron.deploy.doctor.check import CARD, OUR_CHOICE, Check
from trt_nemotron.deploy.doctor.checks import board, containers, memory, power, software

_CUDA_DRIVERS = "https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"
_CLOCK_REASONS = "https://docs.nvidia.com/deploy/nvml-api/api/group__nvmlClocksEventReasons.html"
_TOOLKIT = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"
)
_SPARK_ISSUES = "https://docs.nvidia.com/dgx/dgx-spark/known-issues.html"
_ROOTLESS = "https://rootlesscontaine.rs/getting-started/common/cgroup2/"

_BOARD = (
    Check(
        "architecture", "board", "The processor is the target's.", software.check_architecture,
        "Run this on the target, or choose another target.",
        OUR_CHOICE,
    ),
    Check(
        "board", "board", "The board is the target's.", board.check_board,
        "Run this on the target, or choose the target that this machine is.",
        "https://github.com/NVIDIA/TensorRT-LLM/issues/6294",
    ),
    Check(
        "driver-answers", "board", "The driver answers and shows a board.",
        board.check_driver_answers,
        "Install the board's driver, or load it: sudo modprobe nvidia.",
        _CUDA_DRIVERS, ("gpu",),
    ),
    Check(
        "compute-capability", "board", "The compute capability is the target's.",
        board.check_compute_capability,
        "Choose the target that this board is: `trt-nemotron targets`.",
        "https://developer.nvidia.com/cuda-gpus", ("gpu",),
    ),
    Check(
        "one-board", "board", "It is clear which board is used.", board.check_one_board,
        "Name one: export CUDA_VISIBLE_DEVICES=0",
        OUR_CHOICE, ("gpu",),
    ),
    Check(
        "mig", "board", "The whole board is used, no slice of it.", board.check_mig,
        "Switch slices off: sudo nvidia-smi -mig 0",
        "https://docs.nvidia.com/datacenter/tesla/mig-user-guide/", ("own-memory",),
    ),
    Check(
        "driver-version", "board", "The driver is new enough.", board.check_driver_version,
        "Update the driver; a board of the Jetson family takes it with JetPack.",
        _CUDA_DRIVERS, ("gpu",),
    ),
    Check(
        "payload", "board", "The runtime has a native part for this board and its software.",
        software.check_payload,
        "Update JetPack or the system to a release named, or build the runtime for this one.",
        "wheel tensorrt-edgellm 0.11.0", ("payloads", "gpu"),
    ),
    Check(
        "board-libraries", "board", "No library of the board has a known defect.",
        software.check_board_libraries,
        "Update JetPack.",
        "https://github.com/NVIDIA/TensorRT-Edge-LLM/issues/105", ("library",),
    ),
)  # fmt: skip

_CONTAINERS = (
    Check(
        "engine", "containers", "A container engine answers.", containers.check_engine,
        "Install docker or podman and start it: sudo systemctl enable --now docker",
        "https://docs.docker.com/engine/install/", ("container",),
    ),
    Check(
        "engine-root", "containers", "The engine may hand in devices and raise limits.",
        containers.check_engine_rootless,
        "Use CDI, and raise the user's own limits, or use the system's engine.",
        _TOOLKIT, ("container",),
    ),
    Check(
        "cgroup", "containers", "Containers are held by version 2 of control groups.",
        containers.check_cgroup,
        "Start the kernel with systemd.unified_cgroup_hierarchy=1, or use runc.",
        _ROOTLESS, ("container",),
    ),
    Check(
        "gpu-in-containers", "containers", "The engine can hand a GPU in.",
        containers.check_gpu_in_containers,
        "Install the NVIDIA Container Toolkit, then let it configure the engine: sudo nvidia-ctk "
        "runtime configure (docker) or cdi generate (podman).",
        _TOOLKIT, ("container", "gpu"),
    ),
    Check(
        "compose", "containers", "Compose files of bundles can be used.", containers.check_compose,
        "Install docker-compose-plugin, or podman-compose.",
        "https://docs.docker.com/compose/install/", ("container",),
    ),
    Check(
        "image", "containers", "The release's image is here, under a digest.",
        containers.check_image,
        "Pull it while there is a network.",
        "https://catalog.ngc.nvidia.com/orgs/nvidia/teams/tensorrt-llm/containers/release/tags",
        ("container",),
    ),
    Check(
        "image-architecture", "containers", "The programs in the image are for this processor.",
        containers.check_image_architecture,
        "Remove it and pull it again with --platform.",
        "https://docs.docker.com/build/building/multi-platform/", ("container",),
    ),
    Check(
        "image-kernels", "containers", "The image has kernels for the board.",
        containers.check_image_kernels,
        "Use an image that is built for the board.",
        "https://github.com/vllm-project/vllm/issues/31544", ("container", "gpu"),
    ),
)  # fmt: skip

_MEMORY = (
    Check(
        "memory", "memory", "There is memory for the model.", memory.check_memory,
        "Stop what else takes memory; see gpu-processes.",
        "https://github.com/NVIDIA/NemoClaw/issues/10524",
    ),
    Check(
        "page-cache", "memory", "Memory is free, not only available once files are forgotten.",
        memory.check_page_cache,
        "Have the kernel forget files: sudo sh -c 'sync; echo 3 > /proc/sys/vm/drop_caches'; or, "
        "without root, posix_fadvise(POSIX_FADV_DONTNEED) on the files read last.",
        "https://github.com/vllm-project/vllm/issues/35313", ("unified",),
    ),
    Check(
        "swap", "memory", "Nothing is swapped.", memory.check_swap,
        "Stop what takes the memory, then: sudo swapoff -a && sudo swapon -a",
        _SPARK_ISSUES, ("unified",),
    ),
    Check(
        "memory-limit", "memory", "No control group holds us below what the server takes.",
        memory.check_memory_limit,
        "Raise the limit: MemoryMax= of the unit, --memory of the container.",
        "https://docs.kernel.org/admin-guide/cgroup-v2.html", ("process",),
    ),
    Check(
        "shared-memory", "memory", "Shared memory is large enough.", memory.check_shared_memory,
        "Enlarge it: sudo mount -o remount,size=2G /dev/shm; in a container --shm-size or "
        "--ipc=host.",
        CARD, ("container",),
    ),
)  # fmt: skip

_POWER = (
    Check(
        "power-mode", "power", "The board is in its fastest power mode.", power.check_power_mode,
        "Choose it with nvpmodel.",
        "https://github.com/dusty-nv/jetson-containers/issues/617", ("nvpmodel",),
    ),
    Check(
        "power-limit", "power", "The board may take the power that it was made for.",
        power.check_power_limit,
        "Set it with nvidia-smi --power-limit.",
        "https://docs.nvidia.com/deploy/nvidia-smi/index.html", ("own-memory",),
    ),
    Check(
        "throttling", "power", "Nothing slows the GPU at this moment.", power.check_throttling,
        "Look after cooling and power supply; nvidia-smi -q -d PERFORMANCE says more.",
        _CLOCK_REASONS, ("gpu",),
    ),
    Check(
        "gpu-clocks", "power", "No setting holds the GPU's clocks down.", power.check_gpu_clocks,
        "Let them go: sudo nvidia-smi --reset-gpu-clocks",
        _CLOCK_REASONS, ("gpu",),
    ),
    Check(
        "gpu-processes", "power", "Nobody else is on the GPU.", power.check_gpu_processes,
        "Stop them, or measure when they are done.",
        OUR_CHOICE, ("gpu",),
    ),
    Check(
        "cpu-frequency", "power", "The processor may run as fast as it can.",
        power.check_cpu_frequency,
        "Lift the cap: sudo cpupower frequency-set --max, and look after the power supply.",
        "https://forums.developer.nvidia.com/t/362513",
    ),
    Check(
        "cpu-governor", "power", "The processor need not be woken first.", power.check_governor,
        "sudo cpupower frequency-set --governor performance (on Jetson: sudo jetson_clocks)",
        "https://docs.kernel.org/admin-guide/pm/cpufreq.html",
    ),
)  # fmt: skip

BOARD_CHECKS = (*_BOARD, *_CONTAINERS, *_MEMORY, *_POWER)
