"""A configuration as its author wrote it: keys with the lines they stand on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trt_nemotron.document import refuse_depth
from trt_nemotron.errors import InvalidInput

MERGE_TAG = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key with a value: `line` is 0 when it came from an assignment."""

    path: str
    value: object
    line: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """Everything that a file and the assignments after it say.

    Attributes:
        entries: keys with scalars, lists or empty mappings, in their order.
        sections: line of every key that holds a mapping with something in it.
        repeated: keys that stand twice in one mapping, where they stand again.
    """

    entries: tuple[Entry, ...] = ()
    sections: Mapping[str, int] = field(default_factory=dict)
    repeated: tuple[Entry, ...] = ()


def read_yaml(data: bytes, origin: str) -> Written:
    """The keys of a YAML file, with their lines.

    Args:
        data: the file's bytes.
        origin: its name, for messages.

    Raises:
        InvalidInput: not YAML, or something else than a mapping at the top.
    """
    import yaml

    try:
        refuse_depth(data)
        loader = yaml.SafeLoader(data)
        node = loader.get_single_node()
        if node is None:
            return Written()
        if not isinstance(node, yaml.MappingNode):
            raise InvalidInput(
                f"{origin} holds no mapping",
                evidence=f"line {node.start_mark.line + 1} starts something else",
                next_step="Write keys with values, such as `max_batch_size: 8`.",
            )
        return _Walk(loader).read(node)
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise InvalidInput(
            f"{origin} is not valid YAML",
            evidence=str(fault),
            next_step="Correct the line named and try again.",
        ) from fault
    except RecursionError as fault:
        raise InvalidInput(
            f"{origin} holds a mapping that contains itself",
            evidence="an alias (`*name`) stands within what it names (`&name`)",
            next_step="Write the mapping out.",
        ) from fault


def with_assignments(written: Written, assignments: Sequence[str]) -> Written:
    """`written` with each `a.b=value` added, replacing what the file says there.

    Raises:
        InvalidInput: no equals sign, or a value that is not YAML.
    """
    added = [_assignment(text) for text in assignments]
    replaced = {entry.path for entry in added}
    kept = [entry for entry in written.entries if entry.path not in replaced]
    return Written((*kept, *added), written.sections, written.repeated)


def _assignment(text: str) -> Entry:
    import yaml

    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise InvalidInput(
            f"cannot read the assignment {text!r}", next_step="Write it as key.key=value."
        )
    try:
        refuse_depth(value)
        return Entry(path.strip(), yaml.safe_load(value))
    except yaml.YAMLError as fault:
        raise InvalidInput(f"cannot read the value of {path!r}", evidence=str(fault)) from fault


class _Walk:
    """One walk through the nodes of a YAML file."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._sections: dict[str, int] = {}
        self._repeated: list[Entry] = []

    def read(self, root: Any) -> Written:
        entries = tuple(self._mapping(root, ""))
        return Written(entries, self._sections, tuple(self._repeated))

    def _mapping(self, node: Any, prefix: str) -> Iterator[Entry]:
        self._note_repeated(node, prefix)
        self._loader.flatten_mapping(node)
        for key_node, value_node in node.value:
            key = self._loader.construct_object(key_node, deep=True)
            yield from self._value(value_node, f"{prefix}{key}", key_node.start_mark.line + 1)

    def _value(self, node: Any, path: str, line: int) -> Iterator[Entry]:
        if node.id == "mapping" and node.value:
            self._sections[path] = line
            yield from self._mapping(node, f"{path}.")
        else:
            yield Entry(path, self._loader.construct_object(node, deep=True), line)

    def _note_repeated(self, node: Any, prefix: str) -> None:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == MERGE_TAG:
                continue
            path = f"{prefix}{key_node.value}"
            if path in seen:
                self._repeated.append(Entry(path, None, key_node.start_mark.line + 1))
            seen.add(path)
