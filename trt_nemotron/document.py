"""A document: one versioned JSON or YAML file holding one typed value.

Everything that passes from one stage to the next is such a value (see ARCHITECTURE.md). It is
parsed once, here, strictly: an unknown key is an error that names the nearest known one, a wrong
type is an error that names the place. Files are written under a temporary name and renamed, so
that a reader never meets half of one.
"""

import difflib
import functools
import hashlib
import os
import re
import tempfile
from collections.abc import Hashable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

from trt_nemotron.errors import InvalidInput

ValueT = TypeVar("ValueT", bound="Value")
DocumentT = TypeVar("DocumentT", bound="Document")

_MOST_NESTED = 100
"""Levels of a document; ours have fewer than ten, and libyaml crashes at some ten thousand."""

_MERGE_TAG = "tag:yaml.org,2002:merge"
_TIMESTAMP_TAG = "tag:yaml.org,2002:timestamp"


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen, typed value that accepts no key it does not know."""


class Document(Value, frozen=True, kw_only=True):
    """A value that is kept in a file of its own; `schema` names its kind and version."""

    SCHEMA: ClassVar[str]

    schema: str = ""

    def __post_init__(self) -> None:
        if not self.schema:
            msgspec.structs.force_setattr(self, "schema", self.SCHEMA)
        elif self.schema != self.SCHEMA:
            raise ValueError(f"schema is {self.schema!r}, this version reads {self.SCHEMA!r}")


def read_document(path: Path, kind: type[DocumentT]) -> DocumentT:
    """The value kept in `path` (JSON, or YAML by its suffix), checked against `kind`.

    Raises:
        InvalidInput: no such file, not parseable, an unknown key, a wrong type or schema.
    """
    return parse_document(read_bytes(path), kind, origin=str(path), is_yaml=_is_yaml(path))


def parse_document(
    data: bytes, kind: type[DocumentT], *, origin: str, is_yaml: bool = False
) -> DocumentT:
    """Like `read_document` for bytes already in hand; `origin` names them in messages."""
    tree = _parse_yaml(data, origin) if is_yaml else _parse_json(data, origin)
    _refuse_other_schema(tree, kind, origin)
    return convert(tree, kind, origin=origin)


def _refuse_other_schema(tree: object, kind: type[Document], origin: str) -> None:
    """Another kind of document, or another version, is called that and not measured by our keys."""
    found = tree.get("schema") if isinstance(tree, dict) else None
    if not isinstance(found, str) or found in {"", kind.SCHEMA}:
        return
    is_other_version = found.rpartition("/")[0] == kind.SCHEMA.rpartition("/")[0]
    raise InvalidInput(
        f"{origin} is of another version" if is_other_version else f"{origin} is another document",
        evidence=f"its schema is {found!r}, and {kind.SCHEMA!r} is read here",
        next_step="Read it with the trt-nemotron that wrote it, or write it again."
        if is_other_version
        else "Give the file that this place is for.",
    )


def convert(tree: object, kind: type[ValueT], *, origin: str) -> ValueT:
    """Check a tree of plain dicts and lists against `kind`.

    Raises:
        InvalidInput: naming the place, the fault and, for an unknown key, the nearest known key.
    """
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as fault:
        raise InvalidInput(
            f"{origin} is not a valid {kind.__name__}",
            evidence=str(fault),
            next_step=_suggest(str(fault), kind),
        ) from fault


def to_json(value: object) -> bytes:
    """Canonical JSON: two-space indent, fields in declared order, a final newline.

    The same value gives the same bytes, on every machine and Python version.
    """
    encoder = msgspec.json.Encoder(order="deterministic")
    return msgspec.json.format(encoder.encode(value), indent=2) + b"\n"


def to_tree(value: object) -> Any:
    """The value as plain dicts, lists, strings and numbers, for `--json` output."""
    return msgspec.to_builtins(value)


def write_document(path: Path, value: Document) -> None:
    """Write `value` as JSON, or YAML by the suffix, atomically."""
    if _is_yaml(path):
        import yaml

        text = yaml.safe_dump(to_tree(value), sort_keys=False, allow_unicode=True, width=100)
        write_atomically(path, text.encode())
    else:
        write_atomically(path, to_json(value))


def write_atomically(path: Path, data: bytes) -> None:
    """Write under a temporary name in the same folder, sync, then rename.

    A link is followed, not replaced; what is no plain file (`/dev/stdout`, a pipe) is written to.

    Raises:
        OSError: as the system says; the temporary file is removed and `path` is left as it was.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write_beside(path, data)
    except OSError as fault:  # it names no file, or the temporary one that nobody asked for
        raise OSError(fault.errno, fault.strerror, str(path)) from fault


def _write_beside(path: Path, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sha256_of(value: object) -> str:
    """Hash of the canonical JSON of `value`, in hexadecimal."""
    return hashlib.sha256(to_json(value)).hexdigest()


def _is_yaml(path: Path) -> bool:
    return path.suffix in {".yaml", ".yml"}


def read_bytes(path: Path) -> bytes:
    """The bytes of a file that the user named.

    Raises:
        InvalidInput: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as fault:
        raise InvalidInput(
            f"cannot read {path}",
            evidence=fault.strerror or str(fault),
            next_step="Check the path and its permissions.",
        ) from fault


def _parse_json(data: bytes, origin: str) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise InvalidInput(
            f"{origin} is not valid JSON",
            evidence=str(fault) if data else "the file is empty",
            next_step="Give the file that trt-nemotron wrote, or write it again.",
        ) from fault


def _parse_yaml(data: bytes, origin: str) -> object:
    import yaml

    try:
        refuse_depth(data)
        return yaml.load(data, Loader=_strict_loader())  # noqa: S506 - derived from SafeLoader
    except yaml.YAMLError as fault:
        raise InvalidInput(
            f"{origin} is not valid YAML",
            evidence=str(fault),
            next_step="Correct the line named and try again.",
        ) from fault


def refuse_depth(data: bytes | str) -> None:
    """Refuse YAML nested deeper than any document, which would overflow the loader's stack.

    Raises:
        yaml.YAMLError: too deep, or not YAML at all.
    """
    import yaml

    depth = 0
    for event in yaml.parse(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        depth += isinstance(event, yaml.events.CollectionStartEvent)
        depth -= isinstance(event, yaml.events.CollectionEndEvent)
        if depth > _MOST_NESTED:
            raise yaml.YAMLError(f"nested deeper than {_MOST_NESTED} levels: {event.start_mark}")


@functools.cache
def _strict_loader() -> type:
    """PyYAML's safe loader, stricter in two ways.

    A key that stands twice is an error: YAML itself forbids it, and PyYAML lets the last one win
    without a word. And a date stays the text that it is in JSON.
    """
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    def construct_mapping(loader: Any, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE_TAG:
                continue
            key = loader.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    "while reading a mapping",
                    node.start_mark,
                    f"key {key!r} stands twice, again on line {key_node.start_mark.line + 1}",
                    key_node.start_mark,
                )
            if isinstance(key, Hashable):
                seen.add(key)
        mapping: dict[Any, Any] = base.construct_mapping(loader, node, deep)
        return mapping

    resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if tag != _TIMESTAMP_TAG]
        for first, pairs in base.yaml_implicit_resolvers.items()
    }
    members = {"construct_mapping": construct_mapping, "yaml_implicit_resolvers": resolvers}
    return type("StrictLoader", (base,), members)


def _suggest(fault: str, kind: type[msgspec.Struct]) -> str:
    match = re.search(r"unknown field `([^`]+)`", fault)
    if match is None:
        return "Correct the value at the place named and try again."
    known = sorted(_field_names(kind))
    nearest = difflib.get_close_matches(match.group(1), known, n=1)
    if nearest:
        return f"Did you mean `{nearest[0]}`?"
    return "Remove the key, or see the documentation of this file for the keys it knows."


def _field_names(kind: type[msgspec.Struct]) -> set[str]:
    """Names of every field reachable from `kind`, so that a nested typo finds its neighbour."""
    names: set[str] = set()
    seen: set[type] = set()
    waiting: list[Any] = [kind]
    while waiting:
        current = waiting.pop()
        waiting.extend(getattr(current, "__args__", ()))
        if not (isinstance(current, type) and issubclass(current, msgspec.Struct)):
            continue
        if current in seen:
            continue
        seen.add(current)
        for field in msgspec.structs.fields(current):
            names.add(field.encode_name)
            waiting.append(field.type)
    return names
