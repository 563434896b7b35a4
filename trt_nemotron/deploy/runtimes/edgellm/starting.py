"""How the server is started: as a process on the board, or in a container for it."""

from pathlib import Path

from trt_nemotron.deploy.bundle.values import MODEL_FOLDER, Manifest
from trt_nemotron.deploy.plan import Choice, Plan
from trt_nemotron.deploy.runtimes.edgellm.environment import cache_root, ensure_environment
from trt_nemotron.deploy.runtimes.edgellm.log import PHASES, READY_PATTERN
from trt_nemotron.deploy.runtimes.edgellm.values import ENGINE_FOLDER, STATE_NAME, BuildState
from trt_nemotron.deploy.runtimes.protocol import LOOPBACK, Containment, Launch, Mount, Place
from trt_nemotron.document import read_document
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput

KEY_VARIABLE = "EDGELLM_API_KEY"
"""Handed on with `--secret`, it becomes the server's key."""

LAUNCHER = Path(__file__).with_name("launcher.py")
BUNDLE_INSIDE = "/bundle"
LAUNCHER_INSIDE = "/launcher/launcher.py"
CACHE_INSIDE = "/cache"
PORT_INSIDE = 8000
PYTHON_INSIDE = "python3"
_NO_KEY = "-"


def launch(bundle: Path, manifest: Manifest, plan: Plan, place: Place, image: str) -> Launch:
    """How to start the server of a bundle whose engine is built.

    Raises:
        EnvironmentUnfit: the bundle still waits for its device step.
        InvalidInput: a container was asked for, and no image is known.
    """
    refuse_pending(bundle, plan)
    if place.engine:
        return _in_container(bundle, manifest, plan, place, image)
    return _as_process(bundle, manifest, plan, place)


def refuse_pending(bundle: Path, plan: Plan) -> None:
    """Refuse a bundle that has no engine yet.

    Raises:
        EnvironmentUnfit: with the step that is left.
    """
    state = read_document(bundle / MODEL_FOLDER / STATE_NAME, BuildState)
    if state.state != "built":
        raise EnvironmentUnfit(
            f"{bundle} waits for its device step: it has no engine yet",
            evidence=f"its graph was exported and checked; engines are built on {plan.target} only",
            next_step=state.next_step,
        )


def server_arguments(plan: Plan, *, model: str, host: str, port: int) -> tuple[str, ...]:
    """The server's command line after its program."""
    words: list[str] = [model, "--host", host, "--port", str(port)]
    for choice in plan.choices:
        words += _words(choice)
    return tuple(words)


def _words(choice: Choice) -> list[str]:
    if not choice.name.startswith("--") or choice.value is False:
        return []
    return [choice.name] if choice.value is True else [choice.name, str(choice.value)]


def _as_process(bundle: Path, manifest: Manifest, plan: Plan, place: Place) -> Launch:
    environment = ensure_environment(plan.release)
    root = bundle.absolute()
    cache = str(_cache_folder(plan, manifest))
    arguments = server_arguments(
        plan, model=str(root / manifest.model_path), host=LOOPBACK, port=place.port
    )
    engine = str(root / MODEL_FOLDER / ENGINE_FOLDER)
    return Launch(
        argv=(
            str(environment.python),
            str(LAUNCHER),
            engine,
            cache,
            _key_variable(place) or _NO_KEY,
            *arguments,
        ),
        environment=_variables(plan),
        phases=PHASES,
        ready_pattern=READY_PATTERN,
        secret_names=place.secret_names,
        api_key_variable=_key_variable(place),
        folders=(cache,),
    )


def _in_container(
    bundle: Path, manifest: Manifest, plan: Plan, place: Place, release_image: str
) -> Launch:
    image = place.image or manifest.image or release_image
    if not image:
        raise InvalidInput(
            "no container image of Edge-LLM is known",
            evidence="NVIDIA publishes its wheel, and no image with it",
            next_step="Build one (docs/edgellm.md) and name it with --image, or serve as a process "
            "on the board.",
        )
    port = place.port if place.is_host_network else PORT_INSIDE
    host = LOOPBACK if place.is_host_network else "0.0.0.0"  # noqa: S104 - inside the container
    model = f"{BUNDLE_INSIDE}/{manifest.model_path}"
    engine = f"{BUNDLE_INSIDE}/{MODEL_FOLDER}/{ENGINE_FOLDER}"
    arguments = server_arguments(plan, model=model, host=host, port=port)
    return Launch(
        argv=(
            PYTHON_INSIDE,
            LAUNCHER_INSIDE,
            engine,
            CACHE_INSIDE,
            _key_variable(place) or _NO_KEY,
            *arguments,
        ),
        environment={"HOME": f"{CACHE_INSIDE}/home", **_variables(plan)},
        phases=PHASES,
        ready_pattern=READY_PATTERN,
        secret_names=place.secret_names,
        api_key_variable=_key_variable(place),
        container=Containment(
            image=image,
            port=port,
            is_host_network=place.is_host_network,
            mounts=(
                Mount(source=str(bundle.absolute()), target=BUNDLE_INSIDE),
                Mount(source=str(LAUNCHER), target=LAUNCHER_INSIDE),
            ),
            cache_volume=f"trt-nemotron-{_cache_key(plan, manifest)}",
            cache_target=CACHE_INSIDE,
        ),
    )


def _variables(plan: Plan) -> dict[str, str]:
    return {it.name: str(it.value) for it in plan.choices if not it.name.startswith("--")}


def _key_variable(place: Place) -> str:
    """The variable whose value the server's clients must show; empty when it was not handed on."""
    return KEY_VARIABLE if KEY_VARIABLE in place.secret_names else ""


def _cache_key(plan: Plan, manifest: Manifest) -> str:
    return f"edgellm-{plan.target}-{plan.release}-{manifest.configuration_sha256[:12]}"


def _cache_folder(plan: Plan, manifest: Manifest) -> Path:
    return cache_root() / "serve" / _cache_key(plan, manifest)
