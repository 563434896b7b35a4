"""What a runtime is to the rest: one small interface, one implementation a module.

A runtime turns a checkpoint into an endpoint. It does no supervision itself: it says what to build
and how to start; `deploy.bundle` writes and `deploy.serving` starts, waits and stops.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.document import Value
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import RuntimeName, Target
from trt_nemotron.progress import Progress

LOOPBACK = "127.0.0.1"

EngineName = Literal["docker", "podman"]

BufferName = Literal["weights", "kv_cache", "ssm_state", "conv_state", "compute", "output"]


class LatencyGoal(Value, frozen=True, kw_only=True):
    """Latencies that a deployment should keep, in milliseconds; `None` for one that was not said.

    Attributes:
        ttft_ms: until the first token.
        tpot_ms: for each token after it.
    """

    ttft_ms: float | None = None
    tpot_ms: float | None = None


class Wishes(Value, frozen=True, kw_only=True):
    """What the user asked for; `None` leaves the choice to the plan.

    Attributes:
        settings: `key.key=value` each, put over what is planned.
        overrides: text of a configuration file that is put over what is planned.
        overrides_name: its name, for messages.
        observed: text of what a start showed (`deploy.observed`), to plan with measured figures.
        observed_name: its file's name, for messages.
        is_experimental: whether what is known to be unsupported may be tried.
    """

    precision: str | None = None
    context_tokens: int | None = None
    slots: int | None = None
    threads: int | None = None
    served_model_name: str | None = None
    release: str | None = None
    profile: str | None = None
    max_concurrency: int | None = None
    max_seq_len: int | None = None
    slo: LatencyGoal | None = None
    settings: tuple[str, ...] = ()
    overrides: str | None = None
    overrides_name: str = ""
    observed: str | None = None
    observed_name: str = ""
    is_experimental: bool = False


class Place(Value, frozen=True, kw_only=True):
    """Where a server is to run and to listen; always on the loopback interface.

    Attributes:
        port: on this machine; 0 leaves the choice to the server, where it can choose.
        engine: the container engine to run it with; empty for a process.
        image: a container image in place of the bundle's or the release's own; empty for that one.
        is_host_network: whether a container uses this machine's network instead of its own.
        secret_names: variables of our own environment that the server gets too.
    """

    port: int = 0
    engine: EngineName | Literal[""] = ""
    image: str = ""
    is_host_network: bool = False
    secret_names: tuple[str, ...] = ()


class Mount(Value, frozen=True, kw_only=True):
    """A folder or file of this machine inside a container; read-only unless said."""

    source: str
    target: str
    is_writable: bool = False


class Containment(Value, frozen=True, kw_only=True):
    """The container around a server: what an engine is told beside the server's own command.

    What is the same for every server (no capabilities, no new privileges, a read-only root, labels,
    an init process) is the engine's business (`deploy.serving.container`) and not said here.

    Attributes:
        image: `name:tag` or `name@sha256:...`.
        port: where the server listens inside; with the host's network, on this machine.
        needs_gpu: whether all of this machine's GPUs are handed in.
        mounts: what is seen inside.
        cache_volume, cache_target: a named volume of the engine for compiled artefacts, and where
            it is seen inside; empty for none.
        ipc: `host` or `private`.
        ulimits: limits by name, as engines write them: `memlock` to `-1`.
        scratch: paths inside that are writable memory file systems, for all else is read-only.
    """

    image: str
    port: int
    needs_gpu: bool = True
    is_host_network: bool = False
    mounts: tuple[Mount, ...] = ()
    cache_volume: str = ""
    cache_target: str = ""
    ipc: Literal["private", "host"] = "private"
    ulimits: Mapping[str, str] = msgspec.field(default_factory=dict)
    scratch: tuple[str, ...] = ("/tmp",)  # noqa: S108 - inside the container


class Launch(Value, frozen=True, kw_only=True):
    """How to start a server.

    Attributes:
        argv: the program and its arguments, never a shell string; no secret is in it.
        environment: variables of the server. A process has ours besides, but for MPI's and those
            that look like secrets; a container has these alone.
        ready_pattern: a regular expression that the log shows once the server listens; its group
            `url`, where it has one, is the address (for servers that choose their own port).
        phases: (regular expression, phase text) in the order in which the log shows them.
        secret_names: variables of our own environment that are handed on although their names look
            like secrets (`HF_TOKEN`); their values are never written or shown.
        is_model_listed: whether `/v1/models` names the model once it is ready; `transformers
            serve` lists nothing.
        generate_route: a path that answers 200 once a token was generated; empty for none.
        warmups: requests whose answers are thrown away before the server counts as ready.
        api_key_variable: the variable that holds the key it asks its clients for; empty for none.
        folders: made before it starts, where they are not there.
        container: the container that `argv` and `environment` are meant for; `None` for a process.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    phases: tuple[tuple[str, str], ...] = ()
    ready_pattern: str = ""
    secret_names: tuple[str, ...] = ()
    is_model_listed: bool = True
    generate_route: str = ""
    warmups: int = 0
    api_key_variable: str = ""
    folders: tuple[str, ...] = ()
    container: Containment | None = None


class ReportedFact(Value, frozen=True, kw_only=True):
    """A figure that the server itself printed at its start.

    Attributes:
        name: `kv_cache_tokens`, `ssm_state_slots`, `cuda_graphs`, `kv_cache_bytes`, ...; its unit
            is its last word.
        value: as printed, in that unit.
        line: the line of the log that says so.
    """

    name: str
    value: float
    line: str


class ReportedBuffer(Value, frozen=True, kw_only=True):
    """A buffer whose size the server itself printed.

    Attributes:
        resolution_bytes: half of the last printed digit: the report's own rounding error.
    """

    name: BufferName
    size_bytes: int
    resolution_bytes: int


class Runtime(Protocol):
    """One runtime at one release."""

    @property
    def name(self) -> RuntimeName:
        """The name used on the command line and in plans."""

    def release(self) -> RuntimeRelease:
        """The release in use, as `engine_configs/` describes it."""

    def plan(
        self, target: Target, machine: Machine, checkpoint: Checkpoint, wishes: Wishes
    ) -> Plan:
        """Choose every setting. Pure: no I/O.

        Raises:
            PlanRefused: the checkpoint cannot be represented or cannot fit.
            InvalidInput: a wish that this runtime does not know.
        """

    def built_bytes(self, plan: Plan, checkpoint: Checkpoint) -> int:
        """Bytes that `build` will write at most, for the check of disk space before it."""

    def build(
        self, plan: Plan, checkpoint: Checkpoint, model_folder: Path, progress: Progress
    ) -> str:
        """Write what the server loads into `model_folder` and verify it by loading it back.

        Returns:
            The path to load, relative to `model_folder` (`.` for the folder itself).
        """

    def image(self, plan: Plan) -> str:
        """The container image that serves this plan; empty for a runtime without one."""

    def is_installed(self) -> bool:
        """Whether its server can be started as a process here."""

    def launch(self, bundle: Path, manifest: Manifest, plan: Plan, place: Place) -> Launch:
        """How to start the server of a bundle at `place`. Pure but for looking for programs.

        Raises:
            EnvironmentUnfit: its program is not here.
            InvalidInput: it cannot run at such a place.
        """

    def reported_buffers(self, log: str) -> tuple[ReportedBuffer, ...]:
        """Buffers that the server's start-up log reports."""

    def reported_facts(self, log: str) -> tuple[ReportedFact, ...]:
        """Other figures that the server's start-up log reports."""
