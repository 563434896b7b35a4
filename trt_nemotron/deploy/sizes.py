"""Sizes as people read them."""

_GIB = 1 << 30
_MIB = 1 << 20


def gib(size_bytes: float) -> str:
    """`7.40 GiB`, however small it is: for figures that stand side by side."""
    return f"{size_bytes / _GIB:,.2f} GiB"


def shown(size_bytes: float) -> str:
    """`7.40 GiB`, or `12 MiB` below one."""
    return gib(size_bytes) if abs(size_bytes) >= _GIB else f"{size_bytes / _MIB:,.0f} MiB"
