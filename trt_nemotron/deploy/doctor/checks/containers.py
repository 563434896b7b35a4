"""The way into a container: an engine that answers, GPUs inside, the image and what is in it."""

import re

from trt_nemotron.deploy.doctor.containers import (
    DOCKER_COMPOSE,
    DOCKER_INFO,
    PODMAN_COMPOSE,
    PODMAN_INFO,
    TOOLKIT,
    Image,
    cdi_files,
    find_engine,
    inspect_image,
    read_image,
)
from trt_nemotron.deploy.doctor.examination import Examination, Outcome, fail, ok, unknown, warn
from trt_nemotron.deploy.doctor.versions import version_in
from trt_nemotron.deploy.serving.container.image import architecture_of
from trt_nemotron.deploy.sizes import shown

_NO_ENGINE = "no container engine answers"


def check_engine(at: Examination) -> Outcome:
    """Docker or podman answers."""
    engine = find_engine(at)
    if engine is not None:
        return ok(f"{engine.name} {engine.version}")
    wanted = at.order.engine
    questions = {"docker": DOCKER_INFO, "podman": PODMAN_INFO}
    asked = {name: at.answer(argv) for name, argv in questions.items() if wanted in {"", name}}
    words = [
        f"{name}: {'not on PATH' if it.fault == 'missing' else _last_line(it.errors)}"
        for name, it in asked.items()
    ]
    if any("permission denied" in it.errors.lower() for it in asked.values()):
        return fail(
            "; ".join(words),
            "Let yourself use the daemon: sudo usermod -aG docker $USER, then log in again.",
        )
    return fail("; ".join(words))


def check_engine_rootless(at: Examination) -> Outcome:
    """The engine may raise limits and hand in devices."""
    engine = find_engine(at)
    if engine is None:
        return unknown(_NO_ENGINE)
    if engine.is_rootless:
        return warn(f"{engine.name} runs without root")
    return ok(f"{engine.name} runs with root")


def check_cgroup(at: Examination) -> Outcome:
    """Containers are held by version 2 of control groups."""
    engine = find_engine(at)
    if engine is None or engine.cgroup not in {"1", "2"}:
        return unknown("the engine does not say; with version 1 crun and rootless limits fail")
    evidence = f"{engine.name} uses version {engine.cgroup}"
    return ok(evidence) if engine.cgroup == "2" else warn(evidence)


def check_gpu_in_containers(at: Examination) -> Outcome:
    """The engine can hand a GPU in."""
    engine = find_engine(at)
    if engine is None:
        return unknown(f"{_NO_ENGINE}, so nothing can be handed in")
    toolkit = at.answer(TOOLKIT)
    version = version_in(toolkit.output) if toolkit.is_good else ""
    ways = [f"CDI ({path})" for path in cdi_files(at.host)]
    if "nvidia" in engine.runtimes:
        ways.insert(0, "the runtime nvidia")
    if ways:
        return ok(f"{engine.name} has {', '.join(ways)}; toolkit {version or 'not on PATH'}")
    has = ", ".join(engine.runtimes) or "none"
    evidence = f"{engine.name} has neither the runtime nvidia (it has: {has}) nor a CDI description"
    if not version:
        return fail(f"{evidence}; nvidia-ctk is not on PATH")
    remedy = (
        "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
        if engine.name == "docker"
        else "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
    )
    return fail(f"{evidence}, though toolkit {version} is there", remedy)


def check_compose(at: Examination) -> Outcome:
    """Compose files of bundles can be used."""
    for question in (DOCKER_COMPOSE, PODMAN_COMPOSE):
        answer = at.answer(question)
        if answer.is_good and (version := version_in(answer.output)):
            return ok(
                f"{question[0]} compose {version}".replace(
                    "podman-compose compose", "podman-compose"
                )
            )
    return warn(
        "neither `docker compose` nor podman-compose is there; only the compose file needs it"
    )


def check_image(at: Examination) -> Outcome:
    """The image is here, under a digest."""
    if find_engine(at) is None:
        return unknown(f"{_NO_ENGINE}, so there are no images")
    name, image = at.order.image, _image(at)
    if image is None:
        return warn(f"{name} is not here; the first start pulls it")
    if not image.digests:
        return warn(
            f"{name} is here and has no digest: it was built or loaded here",
            "A bundle that is to run elsewhere needs an image from a registry.",
        )
    return ok(f"{image.digests[0]}, {shown(image.size_bytes)}")


def check_image_architecture(at: Examination) -> Outcome:
    """The programs in the image are for this processor."""
    image = _image(at)
    if image is None:
        return unknown("the image is not here")
    wanted = architecture_of(at.host.architecture())
    evidence = f"the image is {image.architecture or 'silent'}, this machine is {wanted}"
    if not image.architecture:
        return unknown(evidence)
    return ok(evidence) if image.architecture == wanted else fail(evidence)


def check_image_kernels(at: Examination) -> Outcome:
    """The image has kernels for the board."""
    image, gpu = _image(at), at.order.target.gpu
    listed = image.environment.get("TORCH_CUDA_ARCH_LIST", "") if image else ""
    if gpu is None or not listed:
        return unknown("the image does not say; 'no kernel image is available' would be the error")
    evidence = f"{gpu.sm_name or gpu.sm}; the image's list is {listed}"
    return ok(evidence) if _has_kernels(listed, gpu.sm) else fail(evidence)


def _has_kernels(listed: str, sm: int) -> bool:
    """A kernel runs on its own major version, from its minor on; `+PTX` on all that came later."""
    for major, minor, ptx in re.findall(r"([0-9]{1,3})\.([0-9])[a-z]?(\+PTX)?", listed):
        compiled = int(major) * 10 + int(minor)
        if compiled <= sm and (compiled // 10 == sm // 10 or ptx):
            return True
    return False


def _image(at: Examination) -> Image | None:
    engine = find_engine(at)
    if engine is None:
        return None
    return read_image(at.answer(inspect_image(engine.name, at.order.image)))


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it says nothing"
