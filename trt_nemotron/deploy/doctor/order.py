"""What is to be examined: a target, a runtime at a release, and where its things will lie."""

from dataclasses import dataclass
from typing import Literal

from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import EngineName
from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import RuntimeSupport, Target

Feature = Literal[
    "gpu", "unified", "own-memory", "container", "process", "nvpmodel", "payloads", "library",
    "port", "release",
]  # fmt: skip
"""What a target or an order has, by which checks apply to it."""

FEATURE_WORDS: dict[Feature, str] = {
    "gpu": "the target has a GPU",
    "unified": "the GPU shares the host's memory",
    "own-memory": "the GPU has memory of its own",
    "container": "the runtime is started in a container",
    "process": "the runtime is started as a process",
    "nvpmodel": "power modes are set with nvpmodel",
    "payloads": "the runtime has a native part for each platform",
    "library": "a library of the board matters to the runtime",
    "port": "`--port` is given",
    "release": "the runtime's release is known",
}


PROCESS_MODULES: dict[str, tuple[str, ...]] = {
    "llamacpp": ("xllamacpp", "gguf", "numpy"),
    "transformers": ("torch", "transformers"),
}
"""Runtimes that are started as a process, and the packages of their extras."""

SERVERS: dict[str, str] = {"trtllm": "trtllm-serve"}
"""Runtimes of containers, and the program by which the inside of one is known."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things are to lie: bundles and weights, our state, compiled artefacts."""

    work: str
    state: str
    cache: str


@dataclass(frozen=True, slots=True)
class Order:
    """What is examined for.

    Attributes:
        release: what is known of the runtime's release; `None` when nothing is.
        image: the container image to serve with; empty for none.
        engine: the container engine to use; empty for whichever answers.
        port: where the server is to listen; 0 for any.
        plan: of the bundle to be served; `None` to judge by the least that is known.
    """

    target: Target
    support: RuntimeSupport
    folders: Folders
    release: RuntimeRelease | None = None
    image: str = ""
    engine: EngineName | Literal[""] = ""
    port: int = 0
    plan: Plan | None = None


def make_order(
    target: Target,
    folders: Folders,
    *,
    runtime: str = "",
    release: str = "",
    image: str = "",
    engine: EngineName | Literal[""] = "",
    port: int = 0,
    plan: Plan | None = None,
) -> Order:
    """The order for these names; a plan settles runtime and release where they are not said.

    Raises:
        InvalidInput: the target does not know the runtime, or nobody knows the release.
    """
    support = _support(target, runtime or (plan.runtime if plan else ""))
    wanted = release or (plan.release if plan else "") or support.release
    known = _release(support, wanted, is_said=bool(release))
    return Order(
        target=target,
        support=support,
        folders=folders,
        release=known,
        image=image or (known.image if known else ""),
        engine=engine,
        port=port,
        plan=plan,
    )


def _support(target: Target, runtime: str) -> RuntimeSupport:
    for support in target.runtimes:
        if not runtime or support.runtime == runtime:
            return support
    raise InvalidInput(
        f"runtime '{runtime}' is not known for target '{target.name}'",
        evidence=f"known: {', '.join(it.runtime for it in target.runtimes)}",
        next_step=f"Use the default: --runtime {target.runtimes[0].runtime}",
    )


def _release(support: RuntimeSupport, wanted: str, *, is_said: bool) -> RuntimeRelease | None:
    """The release wanted, else the newest; a runtime without any known release has none."""
    from trt_nemotron.facts.catalogue import load_release, newest_release, release_names

    names = release_names(support.runtime)
    if is_said or wanted in names:
        return load_release(support.runtime, wanted)
    return newest_release(support.runtime) if names else None
