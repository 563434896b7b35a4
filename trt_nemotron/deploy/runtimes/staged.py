"""A runtime whose build has a last step that only the device can take."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from trt_nemotron.deploy.plan import Plan


@runtime_checkable
class Staged(Protocol):
    """What such a runtime is asked besides."""

    def pending(self, model_folder: Path) -> str:
        """What is left to be done with a bundle's model; empty when nothing is."""

    def can_finish(self, plan: Plan) -> bool:
        """Whether it can be done on this machine."""


@runtime_checkable
class Installing(Protocol):
    """A runtime whose build installs a release of its own first."""

    def check_installable(self, plan: Plan) -> None:
        """Refuse a release that cannot be; nothing is installed in order to look.

        Raises:
            InvalidInput: this version knows no lock of it, and no interpreter is named.
        """


def check_installable(runtime: object, plan: Plan) -> None:
    """Refuse what the build of such a runtime would refuse before it writes anything."""
    if isinstance(runtime, Installing):
        runtime.check_installable(plan)


def is_to_be_finished(runtime: object, model_folder: Path, plan: Plan) -> bool:
    """Whether something is left to be done with a bundle, and can be done here."""
    if not isinstance(runtime, Staged):
        return False
    return bool(runtime.pending(model_folder)) and runtime.can_finish(plan)
