"""Baselines on a git branch of their own, without touching the work tree, the index or HEAD.

A commit is put together from git's own parts (`hash-object`, `update-index` on an index of our own,
`write-tree`, `commit-tree`) and the branch moved by `update-ref` only if nobody moved it meanwhile.
Fetching and pushing the branch is the CI job's business.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from trt_nemotron.command import run
from trt_nemotron.errors import CommandFailed, InvalidInput
from trt_nemotron.measure.baselines.storage import refuse_other
from trt_nemotron.redaction import scrubbed_environment

_TIMEOUT_S = 120.0
_ATTEMPTS = 5
_NOBODY = {
    "GIT_AUTHOR_NAME": "trt-nemotron",
    "GIT_AUTHOR_EMAIL": "trt-nemotron@localhost",
    "GIT_COMMITTER_NAME": "trt-nemotron",
    "GIT_COMMITTER_EMAIL": "trt-nemotron@localhost",
}
_ABSENT = "0" * 40


class GitBranch:
    """A branch that holds baselines and nothing else.

    Raises:
        InvalidInput: the branch's name is none that git accepts, or there is no repository.
    """

    def __init__(self, repository: Path, branch: str) -> None:
        self.location = f"git:{branch}"
        self._repository = repository
        self._reference = f"refs/heads/{branch}"
        try:
            self._git("check-ref-format", self._reference)
            self._git("rev-parse", "--git-dir")
        except CommandFailed as fault:
            raise InvalidInput(
                f"{branch!r} is no branch in a git repository at {repository}",
                evidence=fault.evidence,
                next_step="Run it inside the repository, or name a folder.",
            ) from fault

    def names(self) -> tuple[str, ...]:
        """All files of the branch; none before the first was added."""
        if self._tip() == _ABSENT:
            return ()
        listed = self._git("ls-tree", "-r", "-z", "--name-only", self._reference)
        return tuple(sorted(name for name in listed.split("\0") if name.endswith(".json")))

    def read(self, name: str) -> bytes:
        """One file; baselines are JSON, so text."""
        try:
            return self._git("cat-file", "blob", f"{self._reference}:{name}").encode()
        except CommandFailed as fault:
            raise InvalidInput(
                f"cannot read {name} in {self.location}", evidence=fault.evidence
            ) from fault

    def add(self, files: Mapping[str, bytes], message: str) -> None:
        """All in one commit; made again when somebody else's came between."""
        for attempt in range(_ATTEMPTS):
            present = set(self.names())
            for name in present & files.keys():
                refuse_other(name, self.read(name), files[name], self.location)
            added = {name: data for name, data in files.items() if name not in present}
            if not added:
                return
            tip = self._tip()
            commit = self._commit(tip, added, message)
            try:
                self._git("update-ref", "-m", message, self._reference, commit, tip)
            except CommandFailed:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def _tip(self) -> str:
        found = run(
            ["git", "rev-parse", "--verify", "--quiet", self._reference],
            timeout_s=_TIMEOUT_S,
            cwd=self._repository,
            expected=(0, 1),
        )
        return found.stdout.strip() or _ABSENT

    def _commit(self, tip: str, files: Mapping[str, bytes], message: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            if tip != _ABSENT:
                self._git("read-tree", tip, env=index)
            for name, data in files.items():
                blob = self._git("hash-object", "-w", "--stdin", text=data.decode()).strip()
                entry = f"100644,{blob},{name}"
                self._git("update-index", "--add", "--cacheinfo", entry, env=index)
            tree = self._git("write-tree", env=index).strip()
        parents = () if tip == _ABSENT else ("-p", tip)
        return self._git("commit-tree", tree, *parents, "-m", message, env=self._author()).strip()

    def _author(self) -> dict[str, str]:
        """Nothing where git knows who we are; a CI job often has no name."""
        known = run(
            ["git", "var", "GIT_COMMITTER_IDENT"],
            timeout_s=_TIMEOUT_S,
            cwd=self._repository,
            expected=(0, 128),
        )
        return {} if known.returncode == 0 else _NOBODY

    def _git(
        self, *arguments: str, env: Mapping[str, str] | None = None, text: str | None = None
    ) -> str:
        return run(
            ["git", *arguments],
            timeout_s=_TIMEOUT_S,
            env=scrubbed_environment(env),
            cwd=self._repository,
            input=text,
        ).stdout
