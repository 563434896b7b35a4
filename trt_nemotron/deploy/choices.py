"""The list of a plan's choices as it grows: each with its value, reason and source."""

from trt_nemotron.deploy.plan import Choice, ChoiceValue
from trt_nemotron.facts.release import RuntimeRelease

ASKED_FOR = "asked for"


class Choices:
    """Collects choices for one release; a knob that the release does not have cannot be chosen."""

    def __init__(self, release: RuntimeRelease) -> None:
        self._release = release
        self._chosen: dict[str, Choice] = {}

    def add(self, name: str, value: ChoiceValue, reason: str = "", *, source: str = "") -> None:
        """Choose `value` for the knob called `name`.

        Reason and source default to what the release's facts say of the knob.

        Raises:
            KeyError: the release has no such knob.
            ValueError: the knob was chosen before, or does not take the value.
        """
        setting = self._release.setting(name)
        if name in self._chosen:
            raise ValueError(f"{name} was chosen before")
        if setting.allowed and value not in setting.allowed:
            raise ValueError(f"{name} takes {setting.allowed}, not {value!r}")
        self._chosen[name] = Choice(
            name=name,
            value=value,
            reason=reason or setting.trap,
            source=source or setting.source,
        )

    def all(self) -> tuple[Choice, ...]:
        """Every choice, in the order in which they were made."""
        return tuple(self._chosen.values())
