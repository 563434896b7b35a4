"""Baselines in a bucket, or any other place that fsspec reaches: `s3://bucket/prefix`.

Who may write there is told by the environment, as the service's own tools have it
(https://s3fs.readthedocs.io/en/latest/#credentials); no key is ever part of the location.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from trt_nemotron.errors import EnvironmentUnfit, InvalidInput
from trt_nemotron.measure.baselines.storage import refuse_other


class Bucket:
    """A prefix in a bucket.

    Raises:
        InvalidInput: the location carries a password.
        EnvironmentUnfit: the package that reaches it is missing.
    """

    def __init__(self, location: str) -> None:
        if "@" in urlsplit(location).netloc:
            raise InvalidInput(
                "a location must not hold credentials",
                next_step="Hand them over by the environment, such as AWS_PROFILE.",
            )
        self.location = location
        self._files, self._root = _open(location)

    def names(self) -> tuple[str, ...]:
        """All JSON files under the prefix; a listing is asked for anew each time."""
        self._files.invalidate_cache()
        root = self._root.rstrip("/") + "/"
        found = (str(name) for name in self._files.find(self._root))
        inside = (name[len(root) :] for name in found if name.startswith(root))
        return tuple(sorted(name for name in inside if name.endswith(".json")))

    def read(self, name: str) -> bytes:
        """The object's bytes."""
        try:
            return bytes(self._files.cat_file(self._path(name)))
        except FileNotFoundError as fault:
            raise InvalidInput(f"cannot read {name} in {self.location}") from fault

    def add(self, files: Mapping[str, bytes], message: str) -> None:
        """Each object at once, in order; an upload that did not end leaves none."""
        present = set(self.names())
        for name, data in files.items():
            if name in present:
                refuse_other(name, self.read(name), data, self.location)
            else:
                self._files.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
                self._files.pipe_file(self._path(name), data)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def _open(location: str) -> tuple[Any, str]:
    try:
        import fsspec  # type: ignore[import-untyped]
    except ImportError as fault:
        raise EnvironmentUnfit(
            f"{location} needs fsspec, which is not installed",
            next_step="pip install 'trt-nemotron[baselines]', or keep baselines in a folder or on "
            "a git branch.",
        ) from fault
    try:
        files, root = fsspec.core.url_to_fs(location)
    except ImportError as fault:
        raise EnvironmentUnfit(
            f"{location} needs another package", evidence=str(fault), next_step=f"{fault}."
        ) from fault
    except ValueError as fault:
        raise InvalidInput(
            f"{location} is no place that fsspec knows",
            evidence=str(fault),
            next_step="Name a folder, git:BRANCH or s3://BUCKET/PREFIX.",
        ) from fault
    return files, str(root)
