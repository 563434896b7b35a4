"""The examination itself: ask the machine's programs, run the checks, report."""

from trt_nemotron.deploy.boards import Detection, detect_target
from trt_nemotron.deploy.doctor.check import Check
from trt_nemotron.deploy.doctor.checks.software import TENSORRT_PACKAGES
from trt_nemotron.deploy.doctor.containers import (
    DOCKER_COMPOSE,
    DOCKER_INFO,
    PODMAN_COMPOSE,
    PODMAN_INFO,
    TOOLKIT,
    inspect_image,
)
from trt_nemotron.deploy.doctor.examination import Answers, Examination, Outcome, ask_all
from trt_nemotron.deploy.doctor.facts import doctor_facts
from trt_nemotron.deploy.doctor.host import Host
from trt_nemotron.deploy.doctor.nvidia import IDENTITY, PROCESSES, STATE, read_gpus
from trt_nemotron.deploy.doctor.order import FEATURE_WORDS, Feature, Order
from trt_nemotron.deploy.doctor.registry import CHECKS
from trt_nemotron.deploy.doctor.values import DoctorReport, Finding
from trt_nemotron.deploy.power import NVPMODEL
from trt_nemotron.errors import InvalidInput
from trt_nemotron.redaction import redact


def ask_board(host: Host) -> Answers:
    """What the driver says of the boards; the one question that comes before a target is known."""
    return ask_all(host, [IDENTITY])


def detect(host: Host, answers: Answers) -> Detection:
    """The target that the machine looks like, from the answer to `ask_board`.

    Raises:
        InvalidInput: it has boards of several targets.
    """
    return detect_target(shown_names(answers), host)


def shown_names(answers: Answers) -> tuple[str, ...]:
    """Product names of the boards, from the answer to `ask_board`."""
    return tuple(gpu.name for gpu in read_gpus(answers[IDENTITY]))


def examine(order: Order, host: Host, answers: Answers | None = None) -> DoctorReport:
    """Examine a machine; nothing of it is changed and no check raises.

    Args:
        order: what it is examined for.
        host: the machine.
        answers: of `ask_board`, where that was asked before.
    """
    told = dict(answers or ask_board(host))
    at = Examination(order=order, host=host, facts=doctor_facts(), answers=told)
    told.update(ask_all(host, _questions(at.features(), order)))
    findings = tuple(finding for check in CHECKS.values() for finding in _findings(check, at))
    seen = _seen(host, told)
    return DoctorReport(
        target=order.target.name,
        detected=seen.target,
        detection=redact(seen.evidence, host.environment()),
        runtime=order.support.runtime,
        release=order.release.release if order.release else "",
        findings=findings,
    )


def _questions(features: frozenset[Feature], order: Order) -> tuple[tuple[str, ...], ...]:
    """What is asked of the machine's programs for an order with these features."""
    engines = [order.engine] if order.engine else ["docker", "podman"]
    for_features: dict[Feature, tuple[tuple[str, ...], ...]] = {
        "gpu": (STATE, PROCESSES),
        "nvpmodel": (NVPMODEL,),
        "library": (TENSORRT_PACKAGES,),
        "container": (
            *(it for it in (DOCKER_INFO, PODMAN_INFO) if it[0] in engines),
            DOCKER_COMPOSE,
            PODMAN_COMPOSE,
            TOOLKIT,
            *(inspect_image(engine, order.image) for engine in engines),
        ),
    }
    return tuple(
        question
        for feature, questions in for_features.items()
        if feature in features
        for question in questions
    )


def _findings(check: Check, at: Examination) -> tuple[Finding, ...]:
    missing = [it for it in check.needs if it not in at.features()]
    if missing:
        words = f"only where {' and '.join(FEATURE_WORDS[it] for it in missing)}"
        return (_finding(check, Outcome("skip", words), at),)
    outcomes = check.run(at)
    return tuple(
        _finding(check, it, at) for it in (outcomes if isinstance(outcomes, tuple) else (outcomes,))
    )


def _finding(check: Check, outcome: Outcome, at: Examination) -> Finding:
    """The finding without anything that looks like a secret of the machine's environment."""
    own = check.remedy if outcome.status in {"warn", "fail"} else ""
    return Finding(
        id=f"{check.name}:{outcome.detail}" if outcome.detail else check.name,
        group=check.group,
        title=check.about,
        status=outcome.status,
        evidence=redact(outcome.evidence, at.host.environment()),
        remedy=outcome.remedy or own,
        source=outcome.source or check.source,
    )


def _seen(host: Host, answers: Answers) -> Detection:
    try:
        return detect(host, answers)
    except InvalidInput as fault:
        return Detection("", fault.evidence)
