"""The whole check: keys, flags, both at once, and the rules between settings."""

from collections.abc import Iterator, Sequence

from trt_nemotron.facts.configuration.engine_rules import ALL_RULES
from trt_nemotron.facts.configuration.entry import Written
from trt_nemotron.facts.configuration.finding import Finding
from trt_nemotron.facts.configuration.flags import GivenFlag, read_flags
from trt_nemotron.facts.configuration.keys import Accepting, check_keys
from trt_nemotron.facts.configuration.picture import picture
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import Target


def check_configuration(
    written: Written,
    release: RuntimeRelease,
    *,
    accepting: Accepting,
    flags: str | None = None,
    target: Target | None = None,
) -> tuple[Finding, ...]:
    """Everything found, errors first, then by line.

    Pure: what it needs of other releases is asked of `accepting`.

    Args:
        written: the file and the assignments.
        release: what it is held against.
        accepting: names of the releases that accept a key or flag that `release` does not know.
        flags: the command line, where it is known; without it nothing is said of what it may set.
        target: the board, where it is known.

    Raises:
        InvalidInput: a command line that cannot be read.
    """
    given: tuple[GivenFlag, ...] | None = None
    findings = check_keys(written, release, accepting)
    if flags is not None:
        given, of_flags = read_flags(flags, release, accepting)
        findings += [*of_flags, *_given_twice(written, given, release)]
    seen = picture(written, given, release, target)
    findings += [finding for rule in ALL_RULES for finding in rule(seen)]
    return tuple(sorted(findings, key=lambda it: (it.severity != "error", it.line, it.place)))


def _given_twice(
    written: Written, given: Sequence[GivenFlag], release: RuntimeRelease
) -> Iterator[Finding]:
    """Knobs that stand in the file and on the command line: which wins changed with 1.3.0rc18."""
    lines = {entry.path: entry.line for entry in written.entries}
    precedence = release.precedence
    for one in given:
        if one.flag.key and one.flag.key in lines and precedence is not None:
            loser = one.spelling if precedence.winner == "file" else one.flag.key
            yield Finding(
                severity="error", rule="given-twice", place=one.flag.key,
                message=f"{one.spelling} sets it too; in {release.release} the {precedence.winner}"
                " wins", fix=f"Leave out {loser}, which has no effect.",
                line=lines[one.flag.key], source=precedence.source,
            )  # fmt: skip
