"""Baselines in a bucket, or any other place that fsspec reaches: `s3://bucket/prefix`.

Who may write there is told by the environment, as the service's own tools have it
(https://s3fs.readthedocs.io/en/latest/#credentials); no key is ever part of the location. A service
that speaks S3 elsewhere is named by AWS_ENDPOINT_URL
(https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html).
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from trt_nemotron.errors import EnvironmentUnfit, InvalidInput
from trt_nemotron.measure.baselines.storage import refuse_other

_WITH_FOLDERS = frozenset({"file", "local", "sftp", "ssh", "smb", "hdfs"})
"""Where a folder has to be made first. In a bucket there are none, and asking for one would make
the bucket itself where its name was mistyped."""

_WEB = frozenset({"http", "https", "ftp"})
"""Pages: nothing is added there, and a host that does not answer would look like an empty place."""


class Bucket:
    """A prefix in a bucket.

    Two jobs that add at once do not meet: what they name differs by its hash, or is the same.

    Raises:
        InvalidInput: the location carries a password, or names no bucket.
        EnvironmentUnfit: the package that reaches it is missing, the service does not answer, or
            does not let us.
    """

    def __init__(self, location: str) -> None:
        if "@" in urlsplit(location).netloc:
            raise InvalidInput(
                "a location must not hold credentials",
                next_step="Hand them over by the environment, such as AWS_PROFILE.",
            )
        parts = urlsplit(location)
        if parts.scheme in _WEB or not (parts.netloc or parts.path.strip("/")):
            raise InvalidInput(
                f"{location} names no bucket",
                next_step="Name a folder, git:BRANCH or s3://BUCKET/PREFIX.",
            )
        self.location = location
        self._files, self._root = _open(location)

    def names(self) -> tuple[str, ...]:
        """All JSON files under the prefix; a listing is asked for anew each time."""
        root = self._root.rstrip("/") + "/"
        try:
            with self._reached():
                self._files.invalidate_cache()
                found = [str(name) for name in self._files.find(self._root)]
        except FileNotFoundError as fault:
            raise self._no_bucket(fault) from fault
        inside = (name[len(root) :] for name in found if name.startswith(root))
        return tuple(sorted(name for name in inside if name.endswith(".json")))

    def read(self, name: str) -> bytes:
        """The object's bytes."""
        try:
            with self._reached():
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
                self._write(self._path(name), data)

    def _write(self, path: str, data: bytes) -> None:
        protocol = self._files.protocol
        protocols = {protocol} if isinstance(protocol, str) else set(protocol)
        try:
            with self._reached():
                if protocols & _WITH_FOLDERS:
                    self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
                self._files.pipe_file(path, data)
        except FileNotFoundError as fault:
            raise self._no_bucket(fault) from fault

    def _no_bucket(self, fault: FileNotFoundError) -> InvalidInput:
        return InvalidInput(
            f"{self.location} is in no bucket that exists",
            evidence=str(fault),
            next_step="Create the bucket, or correct its name.",
        )

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """What the service or the way to it refuses, as our error; a missing file passes."""
        try:
            yield
        except FileNotFoundError:
            raise
        except _foreign_errors() as fault:
            raise EnvironmentUnfit(
                f"{self.location} cannot be reached",
                evidence=f"{type(fault).__name__}: {fault}",
                next_step="Check the credentials in the environment, such as AWS_PROFILE, and "
                "AWS_ENDPOINT_URL for a service of your own.",
            ) from fault

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
        files, root = fsspec.core.url_to_fs(location, skip_instance_cache=True)
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


def _foreign_errors() -> tuple[type[Exception], ...]:
    """What may go wrong on the way; the S3 client's own errors are known only once it is loaded."""
    client = sys.modules.get("botocore.exceptions")
    return (OSError,) if client is None else (OSError, client.BotoCoreError, client.ClientError)
