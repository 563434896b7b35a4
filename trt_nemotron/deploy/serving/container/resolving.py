"""Which content a tag stands for today: asked of the engine, else of the registry."""

from collections.abc import Callable
from contextlib import suppress

from trt_nemotron.command import run
from trt_nemotron.deploy.serving.container.engine import Engine, find_engine
from trt_nemotron.deploy.serving.container.image import local_image
from trt_nemotron.deploy.serving.container.reference import DIGEST, is_pinned, pin
from trt_nemotron.document import Value
from trt_nemotron.errors import CommandFailed, EnvironmentUnfit

_ASK_TIMEOUT_S = 60.0


class ResolvedImage(Value, frozen=True, kw_only=True):
    """An image by name and by digest.

    Attributes:
        pinned: `name@sha256:...`.
        told_by: the program that told the digest; empty when the name held it.
        architecture, size_bytes: of the copy on this machine; empty and 0 when there is none.
    """

    reference: str
    pinned: str
    told_by: str = ""
    architecture: str = ""
    size_bytes: int = 0


def find_resolved(reference: str) -> ResolvedImage:
    """`resolve_image` with whatever engine answers here, if any does.

    Raises:
        EnvironmentUnfit: nobody here can tell.
    """
    engine = None
    with suppress(EnvironmentUnfit):
        engine = find_engine()
    return resolve_image(reference, engine)


def printed_by(argv: tuple[str, ...]) -> str | None:
    """What a program prints; `None` when it is missing or fails."""
    with suppress(CommandFailed):
        return run(argv, timeout_s=_ASK_TIMEOUT_S).stdout
    return None


def resolve_image(
    reference: str,
    engine: Engine | None,
    ask: Callable[[tuple[str, ...]], str | None] = printed_by,
) -> ResolvedImage:
    """`reference` by its digest: the local copy's, else what its registry says; nothing is pulled.

    Args:
        reference: `name:tag` or `name@sha256:...`.
        engine: where a local copy may be; `None` when no engine answers.
        ask: what a program prints, for those that can ask a registry.

    Raises:
        EnvironmentUnfit: nobody here can tell.
    """
    local = local_image(engine, reference) if engine is not None else None
    if local is not None and engine is not None and local.digest:
        return ResolvedImage(
            reference=reference,
            pinned=local.pinned,
            told_by=engine.name,
            architecture=local.architecture,
            size_bytes=local.size_bytes,
        )
    if is_pinned(reference):
        return ResolvedImage(reference=reference, pinned=reference)
    for argv in _questions(reference):
        found = DIGEST.search(ask(argv) or "")
        if found:
            pinned = pin(reference, found.group())
            return ResolvedImage(reference=reference, pinned=pinned, told_by=argv[0])
    raise EnvironmentUnfit(
        f"the digest of {reference} cannot be told here",
        evidence="it is not on this machine as pulled from a registry, and neither `docker buildx`"
        " nor `skopeo` could ask one",
        next_step=f"Pull it first ({engine.name if engine else 'docker'} pull {reference}), install"
        " skopeo, or name it by digest with --image.",
    )


def _questions(reference: str) -> tuple[tuple[str, ...], ...]:
    """Of a multi-platform image both tell the digest of the whole, which fits every machine."""
    buildx = ("docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}")
    skopeo = ("skopeo", "inspect", "--no-tags", "--format", "{{.Digest}}")
    return (*buildx, reference), (*skopeo, f"docker://{reference}")
