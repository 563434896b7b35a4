"""The two compilers: which boards each makes engines for, and what it needs of the machine.

TensorRT-RTX compiles ahead of time for a list of compute capabilities and needs no GPU for it. The
list is the enumeration `ComputeCapability` of its Python package, seen in 1.7.1.116:
https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/. TensorRT proper compiles for the GPU
of the machine it runs on, and for no other.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from trt_nemotron.errors import CommandFailed, EnvironmentUnfit, InvalidInput

CompilerName = Literal["tensorrt-rtx", "tensorrt"]

AHEAD_OF_TIME = (75, 80, 86, 89, 120, 121)
"""Compute capabilities times ten that TensorRT-RTX compiles for."""

DEFAULT_SMS = (80, 86, 89, 120, 121)

BOARDS = {
    75: "Turing",
    80: "A100",
    86: "A10G, GeForce RTX 30",
    89: "L4, L40S, GeForce RTX 40",
    90: "H100, H200",
    100: "B200",
    110: "Jetson Thor",
    120: "GeForce RTX 50, RTX PRO Blackwell",
    121: "DGX Spark",
}
"""What a compute capability stands for: https://developer.nvidia.com/cuda-gpus"""

_OTHER_ROUTES = {
    90: "On the machine with the H100: --with tensorrt.",
    100: "On the machine with the GPU: --with tensorrt.",
    110: "Thor's engines come from TensorRT Edge-LLM, on the device: --target thor.",
}
_MODULES: dict[CompilerName, str] = {"tensorrt-rtx": "tensorrt_rtx", "tensorrt": "tensorrt"}
_EXTRAS: dict[CompilerName, str] = {"tensorrt-rtx": "tensorrt-rtx", "tensorrt": "tensorrt"}


def module_of(compiler: CompilerName) -> str:
    """The Python module of a compiler, which must be installed.

    Raises:
        EnvironmentUnfit: it is not.
    """
    name = _MODULES[compiler]
    if importlib.util.find_spec(name) is None:
        raise EnvironmentUnfit(
            f"the package {name} is missing, which compiles engines",
            evidence=f"no module {name} in this environment",
            next_step=f"Install it: pip install 'trt-nemotron[{_EXTRAS[compiler]}]'",
        )
    return name


def choose_sms(
    compiler: CompilerName,
    asked: Sequence[int],
    current: Callable[[], tuple[int, ...]] | None = None,
) -> tuple[int, ...]:
    """The boards to compile for, each once, in the order asked.

    Args:
        compiler: which one.
        asked: compute capabilities times ten; none means all that is usual.
        current: gives those of this machine's GPUs; without it the driver is asked.

    Raises:
        InvalidInput: the compiler makes no engine for one of them; the way that does is named.
        EnvironmentUnfit: TensorRT proper on a machine that shows no GPU.
    """
    if compiler == "tensorrt":
        return _choose_current(asked, (current or current_sms)())
    for sm in asked:
        if sm not in AHEAD_OF_TIME:
            known = ", ".join(map(str, AHEAD_OF_TIME))
            board = f" ({BOARDS[sm]})" if sm in BOARDS else ""
            raise InvalidInput(
                f"TensorRT-RTX compiles no engine for SM{sm}{board}",
                evidence=f"it compiles for {known}",
                next_step=_OTHER_ROUTES.get(sm, "Choose one of these with --sm."),
            )
    return tuple(dict.fromkeys(asked or DEFAULT_SMS))


def current_sms() -> tuple[int, ...]:
    """Compute capabilities of this machine's GPUs, as the driver shows them; none without one."""
    from trt_nemotron.command import run

    try:
        shown = run(
            ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"], timeout_s=10
        )
    except CommandFailed:
        return ()
    found = (line.strip().replace(".", "") for line in shown.stdout.splitlines())
    return tuple(int(text) for text in found if text.isdigit())


def compiler_name(text: str) -> CompilerName:
    """`text` as a compiler's name.

    Raises:
        InvalidInput: there is none of that name.
    """
    for name in get_args(CompilerName):
        if name == text:
            return name  # type: ignore[no-any-return] # get_args is not typed
    raise InvalidInput(
        f"no compiler is called {text!r}",
        next_step=f"Choose one of: {', '.join(get_args(CompilerName))}.",
    )


def _choose_current(asked: Sequence[int], found: tuple[int, ...]) -> tuple[int, ...]:
    if not found:
        raise EnvironmentUnfit(
            "TensorRT compiles for the GPU of the machine it runs on, and there is none here",
            evidence="nvidia-smi shows no GPU",
            next_step="Run this on the machine with the GPU, or compile with --with tensorrt-rtx.",
        )
    foreign = [sm for sm in asked if sm != found[0]]
    if foreign:
        raise InvalidInput(
            f"TensorRT cannot compile for SM{foreign[0]} here",
            evidence=f"the GPU of this machine is SM{found[0]}",
            next_step="Leave --sm away, or run this on the machine with that GPU.",
        )
    return (found[0],)
