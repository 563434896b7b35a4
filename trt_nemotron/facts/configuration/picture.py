"""What the server would see: file and flags put together by the release's precedence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trt_nemotron.facts.configuration.entry import Written
from trt_nemotron.facts.configuration.flags import GivenFlag
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import Target


@dataclass(frozen=True, slots=True)
class Given:
    """A value that somebody wrote: on a line of the file, or (line 0) by flag or assignment."""

    value: object
    line: int


@dataclass(frozen=True, slots=True)
class Picture:
    """All settings together; rules look at it.

    Attributes:
        release: what the server is.
        given: what was written, by key, after precedence.
        has_flags: whether the command line is known; without it nothing is said of what it may set.
        target: where the server is to run, if that was said.
    """

    release: RuntimeRelease
    given: Mapping[str, Given]
    has_flags: bool
    target: Target | None

    def get(self, key: str) -> object:
        """What was written for `key`; `None` when nothing was."""
        found = self.given.get(key)
        return found.value if found else None

    def number(self, key: str) -> float | None:
        """A number that was written for `key`, if it is one."""
        value = self.get(key)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def line(self, *keys: str) -> int:
        """The line of the first of `keys` that stands in the file."""
        lines = [self.given[key].line for key in keys if key in self.given]
        return next((line for line in lines if line), 0)

    def has(self, key: str) -> bool:
        """Whether anything was written for `key`."""
        return key in self.given

    def knows(self, key: str) -> bool:
        """Whether the release has `key` at all."""
        return any(setting.name == key for setting in self.release.keys)

    @property
    def is_memory_unified(self) -> bool:
        """Whether the target shares its memory between host and device."""
        return bool(self.target and self.target.gpu and self.target.gpu.is_memory_unified)


def picture(
    written: Written,
    flags: Sequence[GivenFlag] | None,
    release: RuntimeRelease,
    target: Target | None,
) -> Picture:
    """Join the file and the flags; `flags` is `None` when the command line is not known."""
    from_file = {entry.path: Given(entry.value, entry.line) for entry in written.entries}
    from_flags = {one.flag.key: Given(one.value, 0) for one in flags or () if one.flag.key}
    is_flag_first = release.precedence is not None and release.precedence.winner == "flag"
    joined = {**from_file, **from_flags} if is_flag_first else {**from_flags, **from_file}
    return Picture(release, joined, flags is not None, target)
