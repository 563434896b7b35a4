"""The settings of one plan as they are chosen: file keys, flags and variables, each in one place.

A choice is named as the server knows it, which also says where it stands: `--tool_parser` is a
flag, `TRITON_CACHE_DIR` a variable of the environment, everything else a key of the file.
"""

from collections.abc import Iterator

from trt_nemotron.deploy.choices import ASKED_FOR
from trt_nemotron.deploy.plan import Choice, ChoiceValue
from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.configuration.entry import Entry, Written
from trt_nemotron.facts.release import RuntimeRelease, Setting


class Settings:
    """Collects choices for one release; the user's own go before what is planned."""

    def __init__(self, release: RuntimeRelease, given: Written) -> None:
        self._keys = {setting.name: setting for setting in release.keys}
        self._flags = {flag.name: flag for flag in release.flags}
        self._given = {entry.path: entry for entry in given.entries}
        self._chosen: dict[str, Choice] = {}

    def knows(self, name: str) -> bool:
        """Whether the release has a key or flag of this name."""
        return name in self._keys or name in self._flags

    def is_confirmed(self, name: str) -> bool:
        """Whether the release is known to have a key or flag of this name, not only likely to."""
        return self.knows(name) and self._setting(name).certainty == "confirmed"

    def given(self, key: str) -> object:
        """What the user gave for `key`; `None` when nothing, or null, was given."""
        entry = self._given.get(key)
        return entry.value if entry else None

    def is_given(self, *keys: str) -> bool:
        """Whether the user gave any of `keys`."""
        return any(key in self._given for key in keys)

    def put(self, name: str, value: ChoiceValue, reason: str = "", *, source: str = "") -> None:
        """Choose a file key or a flag, unless the user has decided on it or on its section.

        Reason and source default to what the release's facts say of it.

        Raises:
            KeyError: the release has no such key or flag.
        """
        setting = self._setting(name)
        if any(head in self._given for head in _heads(name)):
            return
        self._chosen[name] = Choice(
            name=name,
            value=value,
            reason=reason or setting.trap,
            source=source or setting.source,
        )

    def put_variable(self, name: str, value: str, reason: str, source: str) -> None:
        """Choose a variable of the environment."""
        self._chosen[name] = Choice(name=name, value=value, reason=reason, source=source)

    def all(self) -> tuple[Choice, ...]:
        """File keys first, the user's among them, then flags, then variables."""
        asked = (_asked(entry) for entry in self._given.values())
        chosen = (*self._chosen.values(), *asked)
        return tuple(sorted(chosen, key=lambda choice: _place(choice.name)))

    def written(self) -> Written:
        """All file keys, as the check of configurations takes them; the user's keep their lines."""
        planned = (
            Entry(choice.name, _plain(choice.value))
            for choice in self._chosen.values()
            if is_key(choice.name)
        )
        return Written((*planned, *self._given.values()))

    def _setting(self, name: str) -> Setting:
        return self._flags[name] if is_flag(name) else self._keys[name]


def is_flag(name: str) -> bool:
    """Whether a choice of this name stands on the command line."""
    return name.startswith("--")


def is_variable(name: str) -> bool:
    """Whether a choice of this name stands in the environment."""
    return name.isupper()


def is_key(name: str) -> bool:
    """Whether a choice of this name stands in the file."""
    return not is_flag(name) and not is_variable(name)


def _place(name: str) -> int:
    return 1 if is_flag(name) else 2 if is_variable(name) else 0


def _heads(name: str) -> Iterator[str]:
    """`a`, `a.b` and `a.b.c` for `a.b.c`."""
    parts = name.split(".")
    return (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _asked(entry: Entry) -> Choice:
    value = entry.value
    if isinstance(value, list) and all(isinstance(it, int | float | str) for it in value):
        value = tuple(value)
    if value is not None and not isinstance(value, int | float | bool | str | tuple):
        raise InvalidInput(
            f"{entry.path} cannot be set to {value!r}",
            evidence="a plan keeps numbers, words, switches and lists of them",
            next_step="Give its keys one by one, as key.key=value.",
        )
    return Choice(name=entry.path, value=value, reason="The user's choice.", source=ASKED_FOR)


def _plain(value: ChoiceValue) -> object:
    return list(value) if isinstance(value, tuple) else value
