"""Where a bundle is made: what an interrupted one left, the next one removes."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from trt_nemotron.deploy.bundle import destination
from trt_nemotron.deploy.bundle.destination import (
    building_folder,
    remove_leftovers,
    remove_tree,
)


@contextmanager
def ctrl_c_at(count: int) -> Iterator[None]:
    """Ctrl-C before the line of `destination` that is reached as the `count`-th."""
    reached = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal reached
        if frame.f_code.co_filename != destination.__file__:
            return None
        if event == "line":
            reached += 1
            if reached == count:
                raise KeyboardInterrupt
        return trace

    old = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(old)


def is_interrupted(out: Path, count: int) -> bool:
    try:
        with ctrl_c_at(count), building_folder(out) as building:
            (building / "content").touch()
    except KeyboardInterrupt:
        return True
    return False


def test_whenever_ctrl_c_comes_the_next_removes_what_it_left(tmp_path: Path):
    out = tmp_path / "out"
    count = 1
    while is_interrupted(out, count):
        remove_leftovers(out)
        assert not list(tmp_path.iterdir()), f"line {count}"
        count += 1
    assert count > 5


def test_folders_nested_beyond_the_recursion_limit_are_removed(tmp_path: Path):
    """Deeper than a path may be long, too: made and removed level by level."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    deep = tmp_path / "deep"
    deep.mkdir()
    (deep / "link").symlink_to(outside)
    handle = os.open(deep, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=handle)
        below = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)
    remove_tree(deep)
    assert not deep.exists()
    assert (outside / "kept").exists()
