"""The runtime `llamacpp`: GGUF files, written or taken as they are, and llama.cpp's own server."""

from pathlib import Path

from trt_nemotron.deploy.bundle.placing import bytes_to_place, place_checkpoint
from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.in_process import refuse_container
from trt_nemotron.deploy.runtimes.llamacpp import log
from trt_nemotron.deploy.runtimes.llamacpp.engine import Engine, find_engine
from trt_nemotron.deploy.runtimes.llamacpp.settings import for_load_check, settings_of
from trt_nemotron.deploy.runtimes.llamacpp.storage import AS_IS
from trt_nemotron.deploy.runtimes.protocol import (
    Launch,
    Place,
    ReportedBuffer,
    ReportedFact,
    Wishes,
)
from trt_nemotron.errors import CheckpointUnusable, EnvironmentUnfit
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import RuntimeName, Target
from trt_nemotron.progress import Progress

_MODEL_FILE = "model.gguf"
_LOAD_SECONDS_PER_GB = 30.0
_LOAD_SECONDS_LEAST = 60.0
_OTHER_BYTES = 64 * 1024 * 1024  # vocabulary, template and names, at most


class LlamaCpp:
    """See `deploy.runtimes.protocol.Runtime`."""

    name: RuntimeName = "llamacpp"

    def release(self) -> RuntimeRelease:
        """The newest release that `engine_configs/` describes; the extra pins the same."""
        from trt_nemotron.facts.catalogue import newest_release

        return newest_release(self.name)

    def plan(
        self, target: Target, machine: Machine, checkpoint: Checkpoint, wishes: Wishes
    ) -> Plan:
        """Choose every setting."""
        from trt_nemotron.deploy.runtimes.llamacpp.plan import plan

        return plan(target, machine, checkpoint, wishes, self.release())

    def built_bytes(self, plan: Plan, checkpoint: Checkpoint) -> int:
        """The size of the GGUF file."""
        if plan.precision == AS_IS:
            return bytes_to_place(checkpoint)
        return plan.ledger.line("weights").size_bytes + _OTHER_BYTES

    def build(
        self, plan: Plan, checkpoint: Checkpoint, model_folder: Path, progress: Progress
    ) -> str:
        """Write or take over the GGUF file; compare it with its source; load it in the server.

        Raises:
            CheckpointUnusable: llama.cpp cannot represent or does not load it.
            EnvironmentUnfit: no llama.cpp is installed.
        """
        engine = find_engine()
        if plan.precision == AS_IS:
            place_checkpoint(checkpoint, model_folder, progress)
            loaded = _first_file(checkpoint)
        else:
            _convert(plan, checkpoint, model_folder / _MODEL_FILE, progress)
            loaded = _MODEL_FILE
        _check_loads(engine, plan, model_folder / loaded, progress)
        return loaded

    def image(self, plan: Plan) -> str:
        """None: it is a wheel."""
        return ""

    def is_installed(self) -> bool:
        """Always asked of the engine itself, which says what is missing."""
        return True

    def launch(self, bundle: Path, manifest: Manifest, plan: Plan, place: Place) -> Launch:
        """The server in a process of its own; it chooses a port when the place names none.

        Raises:
            InvalidInput: a container was asked for.
        """
        refuse_container(place, self.name)
        model = str(bundle.absolute() / manifest.model_path)
        return Launch(
            argv=find_engine().argv(settings_of(plan, model, place.port)),
            environment={"PYTHONUNBUFFERED": "1"},
            phases=log.PHASES,
            ready_pattern=log.READY_PATTERN,
        )

    def reported_buffers(self, log_text: str) -> tuple[ReportedBuffer, ...]:
        """Buffers that the start-up log reports."""
        return log.reported_buffers(log_text)

    def reported_facts(self, log_text: str) -> tuple[ReportedFact, ...]:
        """None beside the buffers."""
        return ()


def _convert(plan: Plan, checkpoint: Checkpoint, target: Path, progress: Progress) -> None:
    try:
        from trt_nemotron.deploy.runtimes.llamacpp import convert
    except ModuleNotFoundError as fault:
        raise EnvironmentUnfit(
            f"converting needs the package {fault.name}",
            next_step="Install it: pip install 'trt-nemotron[llamacpp]'",
        ) from fault
    convert.convert(
        checkpoint,
        target,
        name=plan.checkpoint.name,
        precision=convert.precision_of(plan.precision),
        progress=progress,
    )


def _first_file(checkpoint: Checkpoint) -> str:
    """The file to load: of a GGUF split into parts the first, whose header names the others."""
    names = sorted(file.name for file in checkpoint.files if file.name.endswith(".gguf"))
    if not names:
        raise CheckpointUnusable("there is no GGUF file to take as it is", evidence=checkpoint.path)
    return names[0]


def _check_loads(engine: Engine, plan: Plan, model: Path, progress: Progress) -> None:
    from trt_nemotron.deploy.runtimes.llamacpp.load_check import check_loads

    progress.phase("loading the file in llama.cpp")
    size_gb = model.stat().st_size / 1e9
    check_loads(
        engine.argv(for_load_check(settings_of(plan, str(model), port=0))),
        model.parent / ".load.log",
        timeout_s=_LOAD_SECONDS_LEAST + _LOAD_SECONDS_PER_GB * size_gb,
    )


RUNTIME = LlamaCpp()
