"""What a deployment is for, and what that means in sizes."""

from dataclasses import dataclass
from typing import Literal

from trt_nemotron.errors import InvalidInput

ProfileName = Literal["latency", "balanced", "throughput", "card"]

DEFAULT_PROFILE: ProfileName = "balanced"
CARD: ProfileName = "card"


@dataclass(frozen=True, slots=True)
class Profile:
    """An intent.

    Attributes:
        on_unified: sequences at once on a board that shares its memory with the host; these have
            an eighth of the bandwidth and less.
        on_discrete: sequences at once on a board with memory of its own.
        step_tokens: tokens taken up in one step; a long prompt holds up the others that long.
    """

    name: ProfileName
    on_unified: int
    on_discrete: int
    step_tokens: int
    about: str

    def concurrency(self, *, is_unified: bool) -> int:
        """Sequences at once that the intent asks for."""
        return self.on_unified if is_unified else self.on_discrete


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("latency", 4, 8, 2048, "few sequences, short steps: each gets its tokens fast"),
        Profile("balanced", 8, 32, 8192, "the batch at which state traffic nears weight traffic"),
        Profile("throughput", 32, 128, 8192, "as many sequences as pay for their state"),
        Profile("card", 32, 32, 8192, "the model card's recipe, as it stands"),
    )
}
"""A state of 84 MB is read and written for every sequence and step. At 32 sequences that is 5.4 GB,
at 128 it is 21 GB, against 7.1 GB of BF16 weights: beyond, more sequences bring few more tokens.
Users saw the same on H100: https://github.com/NVIDIA/TensorRT-LLM/issues/13562."""


def find_profile(name: str | None) -> Profile:
    """The intent called `name`; the balanced one when none is said.

    Raises:
        InvalidInput: there is none of that name.
    """
    if name is None:
        return PROFILES[DEFAULT_PROFILE]
    if name not in PROFILES:
        import difflib

        nearest = difflib.get_close_matches(name, PROFILES, n=1, cutoff=0.4)
        raise InvalidInput(
            f"there is no profile '{name}'",
            evidence=f"known: {', '.join(PROFILES)}",
            next_step=f"Did you mean --profile {nearest[0]}?"
            if nearest
            else "Choose one of those.",
        )
    return PROFILES[name]
