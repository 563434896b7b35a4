"""What a deployment is for, and what that means in sizes of an engine."""

import difflib
from dataclasses import dataclass

from trt_nemotron.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Profile:
    """An intent.

    Attributes:
        batch: sequences at once. Never 1: the builder then changes how layers are fused, for
            TensorRT 10.13.3.9 miscompiles there (NVIDIA/TensorRT-Edge-LLM issue 105).
        capacity: tokens of prompt and answer.
        snapshots: states kept for each sequence, so that a conversation's next turn goes on.
    """

    name: str
    batch: int
    capacity: int
    snapshots: int
    about: str


DEFAULT_PROFILE = "balanced"
PROFILES = {
    it.name: it
    for it in (
        Profile("latency", 2, 8192, 2, "few sequences; a conversation's next turn starts early"),
        Profile("balanced", 4, 8192, 0, "a handful of sequences"),
        Profile("throughput", 8, 8192, 0, "the largest batch with published figures"),
    )
}


def find_profile(name: str | None) -> Profile:
    """The intent called `name`; the balanced one when none is said.

    Raises:
        InvalidInput: there is none of that name.
    """
    if name is None or name in PROFILES:
        return PROFILES[name or DEFAULT_PROFILE]
    nearest = difflib.get_close_matches(name, PROFILES, n=1, cutoff=0.4)
    raise InvalidInput(
        f"there is no profile '{name}' for the runtime edgellm",
        evidence=f"known: {', '.join(PROFILES)}",
        next_step=f"Did you mean --profile {nearest[0]}?" if nearest else "Choose one of those.",
    )
