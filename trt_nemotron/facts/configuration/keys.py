"""Keys against a release: unknown, moved, of the wrong kind, not confirmed."""

import difflib
from collections.abc import Callable, Iterator

from trt_nemotron.facts.configuration.entry import Entry, Written
from trt_nemotron.facts.configuration.finding import Finding
from trt_nemotron.facts.configuration.values import TYPE_WORDS, fault_of
from trt_nemotron.facts.contract import MovedKey
from trt_nemotron.facts.release import RuntimeRelease, Setting

Accepting = Callable[[str], tuple[str, ...]]
"""Names of the releases that accept a key or flag, oldest first."""


def check_keys(written: Written, release: RuntimeRelease, accepting: Accepting) -> list[Finding]:
    """What is wrong with the keys and their values, one by one.

    Args:
        written: the configuration.
        release: what it is held against.
        accepting: asked only about keys that `release` does not know.
    """
    return list(_Keys(release, accepting).check(written))


class _Keys:
    """One release's keys, ready to be asked."""

    def __init__(self, release: RuntimeRelease, accepting: Accepting) -> None:
        self._release = release
        self._accepting = accepting
        self._settings = {setting.name: setting for setting in release.keys}
        self._moved = {move.old: move for move in release.moved}

    def check(self, written: Written) -> Iterator[Finding]:
        for entry in written.repeated:
            yield _finding(
                entry, "given-twice", "it stands twice; YAML keeps the last in silence",
                "Keep one of the two.",
            )  # fmt: skip
        told: set[str] = set()
        for entry in written.entries:
            place = self._unknown_part(entry.path)
            if place is None:
                yield from self._check_known(entry, written, told)
            elif place not in told:
                told.add(place)
                yield self._unknown(Entry(place, None, written.sections.get(place, entry.line)))

    def _unknown_part(self, path: str) -> str | None:
        """The shortest beginning of `path` that the release does not know; nothing if it does."""
        parts = path.split(".")
        for length in range(1, len(parts) + 1):
            head = ".".join(parts[:length])
            setting = self._settings.get(head)
            if setting is None:
                return head
            if setting.is_open or setting.type != "object":
                return None
        return None

    def _check_known(self, entry: Entry, written: Written, told: set[str]) -> Iterator[Finding]:
        setting = self._nearest_setting(entry.path)
        if setting.name != entry.path:
            if not setting.is_open and setting.name not in told:
                told.add(setting.name)
                wanted = TYPE_WORDS[setting.type]
                yield _finding(
                    Entry(setting.name, None, written.sections.get(setting.name, entry.line)),
                    "wrong-type",
                    f"a mapping stands where {wanted} belongs",
                    f"Write {wanted}.",
                )
            return
        fault = fault_of(setting, entry.value)
        if fault:
            rule, message, fix = fault
            yield _finding(entry, rule, message, fix, source=setting.source)
        yield from self._standing(entry, setting)

    def _nearest_setting(self, path: str) -> Setting:
        """The setting at `path`, or above it where that one is not looked into."""
        while path not in self._settings:
            path = path.rpartition(".")[0]
        return self._settings[path]

    def _standing(self, entry: Entry, setting: Setting) -> Iterator[Finding]:
        """Deprecated, or not confirmed for this release."""
        move = self._moved.get(entry.path)
        if setting.is_deprecated:
            fix = f"Write {move.new}." if move and move.new else "Leave it out."
            yield _finding(
                entry, "deprecated", f"{self._release.release} calls it deprecated", fix,
                severity="warning", source=move.source if move else setting.source,
            )  # fmt: skip
        if setting.certainty == "likely":
            yield _finding(
                entry, "not-confirmed",
                f"that {self._release.release} has it is likely, not confirmed",
                "Try it on the device before relying on it.",
                severity="warning", source=setting.source,
            )  # fmt: skip

    def _unknown(self, entry: Entry) -> Finding:
        move = self._moved.get(entry.path)
        if move is not None:
            return self._moved_finding(entry, move)
        releases = self._accepting(entry.path)
        release = self._release.release
        if releases:
            message = f"{release} does not know it; {', '.join(releases)} do"
            fix = f"Leave it out, or use {releases[-1]}."
            return _finding(entry, "unknown-key", message, fix)
        nearest = self._nearest(entry.path)
        fix = f"Did you mean {nearest}?" if nearest else "Leave it out."
        return _finding(
            entry, "unknown-key", f"{release} does not know it, nor does any release read", fix
        )

    def _moved_finding(self, entry: Entry, move: MovedKey) -> Finding:
        message = f"{self._release.release} does not take it here"
        fix = " ".join(
            part for part in (f"Write {move.new}." if move.new else "", move.note) if part
        )
        return _finding(
            entry, "moved-key", message, fix or "Leave it out.", source=move.source
        )  # fmt: skip

    def _nearest(self, path: str) -> str:
        """The known keys of the same last name, or a flag's, or the one spelt most like it."""
        last = path.rpartition(".")[2]
        same = [name for name in self._settings if name.rpartition(".")[2] == last]
        if same:
            return " or ".join(sorted(same))
        for flag in self._release.flags:
            if flag.key and f"--{last}" in {flag.name, *flag.aliases}:
                return flag.key
        section = path.rpartition(".")[0]
        siblings = [name for name in self._settings if name.rpartition(".")[0] == section]
        for names in (siblings, list(self._settings)):
            found = difflib.get_close_matches(path, names, n=1, cutoff=0.6)
            if found:
                return found[0]
        lasts = {name.rpartition(".")[2]: name for name in self._settings}
        found = difflib.get_close_matches(last, lasts, n=1, cutoff=0.6)
        return lasts[found[0]] if found else ""


def _finding(
    entry: Entry,
    rule: str,
    message: str,
    fix: str,
    *,
    severity: str = "error",
    source: str = "",
) -> Finding:
    return Finding(
        severity="warning" if severity == "warning" else "error",
        rule=rule, place=entry.path, message=message, fix=fix, line=entry.line, source=source,
    )  # fmt: skip
