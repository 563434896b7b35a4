"""A check: what it is called, what it asks, and what to do where it does not pass."""

from collections.abc import Callable
from dataclasses import dataclass

from trt_nemotron.deploy.doctor.examination import Examination, Outcome
from trt_nemotron.deploy.doctor.order import Feature
from trt_nemotron.deploy.doctor.values import Group

OUR_CHOICE = "our choice"
"""The source of a check that nobody but us asks for."""

CARD = "model card of nvidia/NVIDIA-Nemotron-3-Nano-4B-BF16"
"""The source of what the card's own container is started with."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        about: what is true of a machine that passes.
        remedy: what to do where it does not pass and the check itself says nothing more exact.
        source: who says that it matters.
        needs: what the order must have for it to apply.
    """

    name: str
    group: Group
    about: str
    run: Callable[[Examination], Outcome | tuple[Outcome, ...]]
    remedy: str
    source: str
    needs: tuple[Feature, ...] = ()
