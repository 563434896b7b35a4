"""A command line of `trtllm-serve` against the flags of a release."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.configuration.finding import Finding
from trt_nemotron.facts.configuration.keys import Accepting
from trt_nemotron.facts.configuration.values import fault_of, nearest_word
from trt_nemotron.facts.release import Flag, RuntimeRelease


@dataclass(frozen=True, slots=True)
class GivenFlag:
    """A flag as it was typed, with the value it has in a configuration file's terms."""

    flag: Flag
    spelling: str
    value: object


def read_flags(
    text: str, release: RuntimeRelease, accepting: Accepting
) -> tuple[tuple[GivenFlag, ...], list[Finding]]:
    """The flags in `text` that the release knows, and what is wrong with the rest.

    Args:
        text: a command line, with or without `trtllm-serve` and the model before the flags.
        release: what it is held against.
        accepting: asked only about flags that `release` does not know.

    Raises:
        InvalidInput: quotes that are not closed.
    """
    try:
        words = shlex.split(text)
    except ValueError as fault:
        raise InvalidInput(
            "the command line cannot be read",
            evidence=str(fault),
            next_step="Close the quotes in --flags.",
        ) from fault
    return _Flags(release, accepting).read(words)


class _Flags:
    """One release's flags, by every spelling."""

    def __init__(self, release: RuntimeRelease, accepting: Accepting) -> None:
        self._release = release
        self._accepting = accepting
        self._by_spelling = {
            spelling: flag for flag in release.flags for spelling in (flag.name, *flag.aliases)
        }

    def read(self, words: list[str]) -> tuple[tuple[GivenFlag, ...], list[Finding]]:
        given: list[GivenFlag] = []
        findings: list[Finding] = []
        waiting = list(words)
        while waiting:
            word = waiting.pop(0)
            if not word.startswith("--"):
                continue
            spelling, equals, value = word.partition("=")
            flag = self._by_spelling.get(spelling)
            if flag is None:
                findings.append(self._unknown(spelling))
                if waiting and not waiting[0].startswith("--"):
                    waiting.pop(0)
            elif flag.type == "bool":
                given.append(GivenFlag(flag, spelling, not spelling.startswith("--no-")))
            elif equals or (waiting and not waiting[0].startswith("--")):
                given.append(GivenFlag(flag, spelling, _typed(flag, value or waiting.pop(0))))
            else:
                findings.append(
                    _finding(spelling, "wrong-type", "no value follows it", "Give one.")
                )
        findings += [finding for one in given for finding in self._check(one)]
        findings += _repeated(given)
        return tuple(given), findings

    def _check(self, given: GivenFlag) -> Iterator[Finding]:
        fault = fault_of(given.flag, given.value)
        if fault:
            rule, message, fix = fault
            yield _finding(given.spelling, rule, message, fix, source=given.flag.source)
        if given.flag.certainty == "likely":
            yield _finding(
                given.spelling, "not-confirmed",
                f"that {self._release.release} has it is likely, not confirmed",
                "Try it on the device before relying on it.",
                severity="warning", source=given.flag.source,
            )  # fmt: skip
        if given.flag.is_deprecated:
            yield _finding(
                given.spelling, "deprecated", f"{self._release.release} calls it deprecated",
                "Leave it out.", severity="warning", source=given.flag.source,
            )  # fmt: skip

    def _unknown(self, spelling: str) -> Finding:
        for move in self._release.moved:
            if move.old == spelling:
                fix = f"Write {move.new}." if move.new else move.note
                return _finding(
                    spelling, "moved-flag", "this release does not take it", fix, source=move.source
                )
        releases = self._accepting(spelling)
        if releases:
            message = f"{self._release.release} does not have it; {', '.join(releases)} do"
            fix = f"Leave it out, or use {releases[-1]}."
            return _finding(spelling, "unknown-flag", message, fix)
        key = spelling.removeprefix("--").replace("-", "_")
        if key in {setting.name.rpartition(".")[2] for setting in self._release.keys} and (
            f"--{key}" not in self._by_spelling
        ):
            names = [it.name for it in self._release.keys if it.name.rpartition(".")[2] == key]
            return _finding(
                spelling, "unknown-flag", "it is a key of the file, not a flag",
                f"Write {names[0]} into the file.",
            )  # fmt: skip
        nearest = nearest_word(spelling, list(self._by_spelling))
        fix = f"Did you mean {nearest}?" if nearest else "Leave it out."
        message = f"{self._release.release} does not have it, nor does any release read"
        return _finding(spelling, "unknown-flag", message, fix)


def _typed(flag: Flag, text: str) -> object:
    """The word as the flag's type; the word itself where it is none."""
    try:
        if flag.type == "int":
            return int(text)
        return float(text) if flag.type == "float" else text
    except ValueError:
        return text


def _repeated(given: list[GivenFlag]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for one in given:
        before = seen.get(one.flag.name)
        if before is not None and not one.flag.is_repeatable:
            yield _finding(
                one.spelling, "given-twice", f"it repeats {before}; the last one wins in silence",
                "Keep one of the two.",
            )  # fmt: skip
        seen[one.flag.name] = one.spelling


def _finding(
    place: str, rule: str, message: str, fix: str, *, severity: str = "error", source: str = ""
) -> Finding:
    return Finding(
        severity="warning" if severity == "warning" else "error",
        rule=rule, place=place, message=message, fix=fix, source=source,
    )  # fmt: skip
