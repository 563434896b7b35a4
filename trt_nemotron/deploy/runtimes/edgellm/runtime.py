"""The runtime `edgellm`: checkpoint to checked ONNX anywhere, to TensorRT engines on the device."""

from pathlib import Path

from trt_nemotron.deploy.bundle.placing import bytes_to_place
from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.edgellm.values import STATE_NAME, BuildState
from trt_nemotron.deploy.runtimes.protocol import (
    Launch,
    Place,
    ReportedBuffer,
    ReportedFact,
    Wishes,
)
from trt_nemotron.document import read_document
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import RuntimeName, Target
from trt_nemotron.progress import Progress

_SMALL_FILES_BYTES = 1024 * 1024


class EdgeLlm:
    """See `deploy.runtimes.protocol.Runtime`, and `deploy.runtimes.staged.Staged`."""

    name: RuntimeName = "edgellm"

    def release(self) -> RuntimeRelease:
        """The newest release whose environment can be made: those without a lock were not read."""
        from trt_nemotron.deploy.runtimes.edgellm.environment import is_lockable
        from trt_nemotron.facts.catalogue import load_release, release_names

        names = [name for name in release_names(self.name) if is_lockable(name)]
        return load_release(self.name, names[-1] if names else "")

    def plan(
        self, target: Target, machine: Machine, checkpoint: Checkpoint, wishes: Wishes
    ) -> Plan:
        """Choose every setting; a board is planned for on any machine."""
        from trt_nemotron.deploy.runtimes.edgellm.plan import plan

        return plan(target, checkpoint, wishes, self._release_for(target, wishes))

    def built_bytes(self, plan: Plan, checkpoint: Checkpoint) -> int:
        """The checkpoint, if no file of it can be linked, and an engine with its weights inside."""
        return 2 * bytes_to_place(checkpoint) + _SMALL_FILES_BYTES

    def build(
        self, plan: Plan, checkpoint: Checkpoint, model_folder: Path, progress: Progress
    ) -> str:
        """See `building.build`."""
        from trt_nemotron.deploy.runtimes.edgellm.building import build

        return build(plan, checkpoint, model_folder, progress)

    def pending(self, model_folder: Path) -> str:
        """The step that is left to the device; empty when the engine is there."""
        state = read_document(model_folder / STATE_NAME, BuildState)
        return "" if state.state == "built" else state.next_step

    def can_finish(self, plan: Plan) -> bool:
        """Whether this machine is the device.

        Where Edge-LLM's environment would have to be made to ask, a board that is the target's is
        answer enough: nothing is installed in order to look.
        """
        from trt_nemotron.deploy.boards import detect_target
        from trt_nemotron.deploy.runtimes.edgellm.device import device_tools, standing
        from trt_nemotron.deploy.runtimes.edgellm.environment import ensure_environment, is_made

        if not is_made(plan.release):
            return detect_target().target == plan.target
        return bool(standing(device_tools(ensure_environment(plan.release))).payload)

    def check_installable(self, plan: Plan) -> None:
        """See `deploy.runtimes.staged.Installing`."""
        import os

        from trt_nemotron.deploy.runtimes.edgellm.environment import PYTHON_VARIABLE, lock_path

        if not os.environ.get(PYTHON_VARIABLE):
            lock_path(plan.release)

    def image(self, plan: Plan) -> str:
        """None is published."""
        from trt_nemotron.facts.catalogue import load_release

        return load_release(self.name, plan.release).image

    def is_installed(self) -> bool:
        """Yes: its environment is made where it is missing, and the bundle says whether it fits."""
        return True

    def launch(self, bundle: Path, manifest: Manifest, plan: Plan, place: Place) -> Launch:
        """See `starting.launch`."""
        from trt_nemotron.deploy.runtimes.edgellm.starting import launch

        return launch(bundle, manifest, plan, place, self.image(plan))

    def reported_buffers(self, log: str) -> tuple[ReportedBuffer, ...]:
        """None: its log gives no sizes."""
        return ()

    def reported_facts(self, log: str) -> tuple[ReportedFact, ...]:
        """Whether CUDA graphs were captured."""
        from trt_nemotron.deploy.runtimes.edgellm.log import reported_facts

        return reported_facts(log)

    def _release_for(self, target: Target, wishes: Wishes) -> RuntimeRelease:
        from trt_nemotron.facts.catalogue import load_release

        advised = next((it.release for it in target.runtimes if it.runtime == self.name), "")
        name = wishes.release or advised
        return load_release(self.name, name) if name else self.release()


RUNTIME = EdgeLlm()
