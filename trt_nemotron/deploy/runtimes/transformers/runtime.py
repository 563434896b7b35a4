"""The runtime `transformers`: the checkpoint as it is, and `transformers serve` on the CPU.

Its server differs from the others on the wire in ways that the client has to know
(`trt_nemotron/openai/`): no `[DONE]`, usage inside the finish chunk, a first delta that precedes
generation, an empty `/v1/models`, and `NAME@main` as the model in its answers.
"""

import re
from pathlib import Path

from trt_nemotron.deploy.bundle.placing import bytes_to_place, place_checkpoint
from trt_nemotron.deploy.bundle.values import MODEL_FOLDER, Manifest
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.in_process import refuse_container
from trt_nemotron.deploy.runtimes.protocol import (
    Launch,
    Place,
    ReportedBuffer,
    ReportedFact,
    Wishes,
)
from trt_nemotron.deploy.runtimes.transformers.interpreter import check_interpreter, interpreter
from trt_nemotron.errors import CheckpointUnusable, InvalidInput
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import RuntimeName, Target
from trt_nemotron.progress import Progress

READY_PATTERN = r"Uvicorn running on (?P<url>http://127\.0\.0\.1:\d+)(?=\s|$)"
PHASES: tuple[tuple[str, str], ...] = (
    (r"Started server process", "starting to listen"),
    (r"Application startup complete", "waiting for the first token"),
)
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Transformers:
    """See `deploy.runtimes.protocol.Runtime`."""

    name: RuntimeName = "transformers"

    def release(self) -> RuntimeRelease:
        """The newest release that `engine_configs/` describes."""
        from trt_nemotron.facts.catalogue import newest_release

        return newest_release(self.name)

    def plan(
        self, target: Target, machine: Machine, checkpoint: Checkpoint, wishes: Wishes
    ) -> Plan:
        """Choose every setting."""
        from trt_nemotron.deploy.runtimes.transformers.plan import plan

        return plan(target, machine, checkpoint, wishes, self.release())

    def built_bytes(self, plan: Plan, checkpoint: Checkpoint) -> int:
        """The size of the checkpoint."""
        return bytes_to_place(checkpoint)

    def build(
        self, plan: Plan, checkpoint: Checkpoint, model_folder: Path, progress: Progress
    ) -> str:
        """Copy the checkpoint into a folder that bears the served name.

        The server answers to the path it was started with, and to nothing else; so the path is
        made the name.

        Raises:
            CheckpointUnusable: it is not a folder of safetensors.
            EnvironmentUnfit: torch or transformers is missing or too old.
            InvalidInput: a served name that cannot be a folder's.
        """
        if checkpoint.format != "safetensors":
            raise CheckpointUnusable(
                "the runtime transformers serves safetensors checkpoints only",
                evidence=f"{checkpoint.path} is {checkpoint.format}",
                next_step="Use --runtime llamacpp for GGUF files.",
            )
        if not _SAFE_NAME.fullmatch(plan.served_model_name):
            raise InvalidInput(
                f"the runtime transformers cannot serve under the name {plan.served_model_name!r}",
                evidence="it serves under a folder's name and cuts it at an @",
                next_step="Choose letters, digits, '.', '_' and '-' with --served-model-name.",
            )
        check_interpreter(interpreter())
        place_checkpoint(checkpoint, model_folder / plan.served_model_name, progress)
        return plan.served_model_name

    def image(self, plan: Plan) -> str:
        """None: it is a package."""
        return ""

    def is_installed(self) -> bool:
        """Always asked of the interpreter itself, which says what is missing."""
        return True

    def launch(self, bundle: Path, manifest: Manifest, plan: Plan, place: Place) -> Launch:
        """`transformers serve`, offline, with a hub cache of its own that stays empty.

        Raises:
            InvalidInput: a container was asked for.
        """
        refuse_container(place, self.name)
        launcher = Path(__file__).with_name("launcher.py")
        model_folder = bundle.absolute() / MODEL_FOLDER
        what = (str(model_folder), manifest.served_model_name, "--port", str(place.port))
        return Launch(
            argv=(interpreter(), str(launcher), *what, *_options(plan)),
            environment=_environment(plan),
            phases=PHASES,
            ready_pattern=READY_PATTERN,
            is_model_listed=False,
        )

    def reported_buffers(self, log: str) -> tuple[ReportedBuffer, ...]:
        """None: this server reports no sizes."""
        return ()

    def reported_facts(self, log: str) -> tuple[ReportedFact, ...]:
        """None: this server reports no figures."""
        return ()


def _options(plan: Plan) -> tuple[str, ...]:
    """Choices named like options, as options; a switch that is off is not said."""
    words: list[str] = []
    for choice in plan.choices:
        if choice.name.isupper() or choice.value is False or choice.value is None:
            continue
        words.append(f"--{choice.name}")
        if choice.value is not True:
            words.append(str(choice.value))
    return tuple(words)


def _environment(plan: Plan) -> dict[str, str]:
    """Choices named like variables, and what keeps the server off the network and off the user's
    hub cache.
    """
    from platformdirs import user_cache_path

    home = user_cache_path("trt-nemotron") / "huggingface"
    return {
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        **{choice.name: str(choice.value) for choice in plan.choices if choice.name.isupper()},
    }


RUNTIME = Transformers()
