"""The runtime `trtllm`: a checked configuration for TensorRT-LLM's PyTorch backend.

There is no engine to build: the TensorRT backend went with 1.3.0rc20 and never had this
architecture. A bundle holds the weights, the file that `trtllm-serve` reads and its environment.
"""

import re
import shutil
from pathlib import Path

from trt_nemotron.deploy.bundle.placing import bytes_to_place, place_checkpoint
from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import (
    Launch,
    Place,
    ReportedBuffer,
    ReportedFact,
    Wishes,
)
from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import RuntimeName, Target
from trt_nemotron.progress import Progress

CONFIG_NAME = "config.yaml"
ENVIRONMENT_NAME = "environment.env"
CONTAINER_CACHE = "/cache"
"""Where the environment file supposes a volume for compiled artefacts."""

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SMALL_FILES_BYTES = 64 * 1024


class TrtLlm:
    """See `deploy.runtimes.protocol.Runtime`."""

    name: RuntimeName = "trtllm"

    def release(self) -> RuntimeRelease:
        """The newest release that `engine_configs/` describes."""
        from trt_nemotron.facts.catalogue import newest_release

        return newest_release(self.name)

    def plan(
        self, target: Target, machine: Machine, checkpoint: Checkpoint, wishes: Wishes
    ) -> Plan:
        """Choose every setting; the machine does not matter, for a board is planned for anywhere.

        The release is the one asked for, else the card's for its recipe, else the target's.
        """
        from trt_nemotron.deploy.runtimes.trtllm.plan import plan

        return plan(target, checkpoint, wishes, self._release_for(target, wishes))

    def built_bytes(self, plan: Plan, checkpoint: Checkpoint) -> int:
        """The size of the checkpoint, if no file of it can be linked."""
        return bytes_to_place(checkpoint) + _SMALL_FILES_BYTES

    def build(
        self, plan: Plan, checkpoint: Checkpoint, model_folder: Path, progress: Progress
    ) -> str:
        """Place the weights, and write the file and the environment beside them.

        The weights' folder bears the served name: releases without `--served_model_name` answer to
        the last part of the path.

        Raises:
            CheckpointUnusable: there are no files to place.
            InvalidInput: a served name that cannot be a folder's.
        """
        from trt_nemotron.deploy.checkpoint.known_model import require_files
        from trt_nemotron.deploy.runtimes.trtllm.files import environment_text, server_file_text

        require_files(checkpoint)
        name = plan.served_model_name
        if not _SAFE_NAME.fullmatch(name):
            raise InvalidInput(
                f"TensorRT-LLM cannot serve under the name {name!r}",
                evidence="older releases serve under the name of the weights' folder",
                next_step="Choose letters, digits, '.', '_' and '-' with --model-name.",
            )
        place_checkpoint(checkpoint, model_folder / name, progress)
        _write(model_folder / CONFIG_NAME, server_file_text(plan, model=name, config=CONFIG_NAME))
        _write(model_folder / ENVIRONMENT_NAME, environment_text(plan, CONTAINER_CACHE))
        return name

    def image(self, plan: Plan) -> str:
        """NVIDIA's image of the plan's release, by its tag."""
        from trt_nemotron.facts.catalogue import load_release

        return load_release(self.name, plan.release).image

    def is_installed(self) -> bool:
        """Whether `trtllm-serve` is on PATH, as it is inside NVIDIA's image."""
        from trt_nemotron.deploy.runtimes.trtllm.render import PROGRAM

        return shutil.which(PROGRAM) is not None

    def launch(self, bundle: Path, manifest: Manifest, plan: Plan, place: Place) -> Launch:
        """`trtllm-serve` in a container, or as a process where it is installed.

        Raises:
            EnvironmentUnfit: a process is asked for and it is not on PATH.
        """
        from trt_nemotron.deploy.runtimes.trtllm import starting

        if place.engine:
            return starting.in_container(bundle, manifest, plan, place, self.image(plan))
        return starting.as_process(bundle, manifest, plan, place, self.image(plan))

    def reported_buffers(self, log: str) -> tuple[ReportedBuffer, ...]:
        """Weights, KV cache and states, as the start-up log gives them."""
        from trt_nemotron.deploy.runtimes.trtllm.log import reported_buffers

        return reported_buffers(log)

    def reported_facts(self, log: str) -> tuple[ReportedFact, ...]:
        """Tokens, slots, graphs and what else the start-up log tells."""
        from trt_nemotron.deploy.runtimes.trtllm.log import reported_facts

        return reported_facts(log)

    def _release_for(self, target: Target, wishes: Wishes) -> RuntimeRelease:
        from trt_nemotron.deploy.runtimes.trtllm.card import CARD_RELEASE
        from trt_nemotron.deploy.runtimes.trtllm.profiles import CARD
        from trt_nemotron.facts.catalogue import load_release

        advised = next((it.release for it in target.runtimes if it.runtime == self.name), "")
        name = wishes.release or (CARD_RELEASE if wishes.profile == CARD else advised)
        return load_release(self.name, name) if name else self.release()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)


RUNTIME = TrtLlm()
