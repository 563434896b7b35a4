"""JSON that somebody else wrote: whatever is wrong with it is one error."""

import msgspec


def read_json(data: bytes | str) -> object:
    """What it says.

    Raises:
        ValueError: malformed, not UTF-8, or nested more deeply than it can be read.
    """
    try:
        tree: object = msgspec.json.decode(data)
    except RecursionError as fault:
        raise ValueError("nested too deeply") from fault
    return tree
