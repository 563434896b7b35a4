"""The checks of what is around a board: system, environment, clock, and what releases do wrong."""

from trt_nemotron.deploy.doctor.check import CARD, OUR_CHOICE, Check
from trt_nemotron.deploy.doctor.checks import clock, software, surroundings, system

_SYSTEM = (
    Check(
        "disk", "system", "There is room for weights, image and caches.", system.check_disk,
        "Free some space, or choose other folders.",
        "https://github.com/NVIDIA/TensorRT-LLM/issues/103",
    ),
    Check(
        "open-files", "system", "A server may hold many files and connections open.",
        system.check_open_files,
        "Have the administrator raise `nofile` in /etc/security/limits.conf.",
        OUR_CHOICE,
    ),
    Check(
        "locked-memory", "system", "Containers can have the limits that the runtime asks for.",
        system.check_locked_memory,
        "Have the administrator raise memlock to unlimited and stack to 64 MiB for you.",
        CARD, ("container",),
    ),
    Check(
        "inotify", "system", "The engine can watch files.", system.check_inotify,
        "sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=65536",
        "https://docs.kernel.org/admin-guide/sysctl/fs.html", ("container",),
    ),
    Check(
        "huge-pages", "system", "Memory is not compacted while somebody waits.",
        system.check_huge_pages,
        "sudo sh -c 'echo madvise > /sys/kernel/mm/transparent_hugepage/defrag'",
        "https://docs.kernel.org/admin-guide/mm/transhuge.html",
    ),
    Check(
        "port", "system", "The server can listen.", system.check_port,
        "Choose another port, or let the system choose: --port 0.",
        OUR_CHOICE, ("port",),
    ),
    Check(
        "state-folder", "system", "This tool can keep its records.", system.check_state_folder,
        "Name a folder of yours: export TRT_NEMOTRON_STATE_DIR=...",
        OUR_CHOICE,
    ),
    Check(
        "load", "system", "The machine is quiet.", system.check_load,
        "Measure when other work is done.",
        OUR_CHOICE,
    ),
    Check(
        "steal", "system", "No other virtual machine takes our time.", system.check_steal,
        "Ask for cores of your own; figures taken here scatter.",
        "https://man7.org/linux/man-pages/man5/proc_stat.5.html",
    ),
    Check(
        "python", "system", "The interpreter is one that this tool is made for.",
        software.check_python,
        "Install this tool into a newer Python.",
        "pyproject.toml",
    ),
    Check(
        "runtime-installed", "system", "What serves the model is installed.",
        software.check_runtime_installed,
        "Install the runtime's extra.",
        "pyproject.toml", ("process",),
    ),
)  # fmt: skip

_ENVIRONMENT = (
    Check(
        "hub-token", "environment", "Weights can be fetched under one's own name.",
        surroundings.check_hub_token,
        "export HF_TOKEN=... before a download; without it the hub's limits are lower.",
        "https://huggingface.co/docs/hub/rate-limits", ("gpu",),
    ),
    Check(
        "offline", "environment", "Weights can be fetched.", surroundings.check_offline,
        "Unset it for the download, or give a local folder.",
        "https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables",
        ("gpu",),
    ),
    Check(
        "mpi-variables", "environment", "No launcher makes a server think it is one of many.",
        surroundings.check_mpi_variables,
        "Servers of this tool do not get them; unset them before starting one by hand.",
        "https://github.com/NVIDIA/TensorRT-LLM/pull/18741",
    ),
    Check(
        "proxy", "environment", "Requests to this machine go to no proxy.",
        surroundings.check_proxy,
        "export NO_PROXY=127.0.0.1,localhost",
        "https://requests.readthedocs.io/en/latest/user/advanced/#proxies",
    ),
)  # fmt: skip

_CLOCK = (
    Check(
        "clock-synchronised", "clock", "The clock agrees with those of others.",
        clock.check_clock_synchronised,
        "Start a time daemon: sudo timedatectl set-ntp true",
        "https://man7.org/linux/man-pages/man2/adjtimex.2.html",
    ),
    Check(
        "clock-resolution", "clock", "The clock that measures is fine enough.",
        clock.check_clock_resolution,
        "Start the kernel with highres=on.",
        "https://man7.org/linux/man-pages/man7/time.7.html",
    ),
    Check(
        "clock-source", "clock", "The clock is read from the processor itself.",
        clock.check_clock_source,
        "See dmesg for why tsc was given up; clocksource=tsc on the kernel's command line asks for "
        "it.",
        "https://docs.kernel.org/virt/kvm/x86/timekeeping.html",
    ),
    Check(
        "packet-stamps", "clock", "The kernel tells when packets came.",
        clock.check_packet_timestamps,
        "Run the bench outside this sandbox; without stamps a late client is seen less well.",
        "https://docs.kernel.org/networking/timestamping.html",
    ),
)  # fmt: skip

_FACTS = (
    Check(
        "support", "facts", "The runtime is supported on the target.", software.check_support,
        "Choose another runtime: `trt-nemotron targets`.",
        "engine_configs/targets",
    ),
    Check(
        "defect", "facts", "Nothing that the release does wrong hits the target.",
        software.check_defects,
        "Choose another release with --release.",
        "engine_configs/runtimes", ("release",),
    ),
)  # fmt: skip

SYSTEM_CHECKS = (*_SYSTEM, *_ENVIRONMENT, *_CLOCK, *_FACTS)
