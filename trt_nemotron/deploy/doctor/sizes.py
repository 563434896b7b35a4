"""Sizes as the doctor prints them."""

_GIB = 1 << 30
_MIB = 1 << 20


def shown(size_bytes: float) -> str:
    """`7.40 GiB`, or `12 MiB` below one."""
    if abs(size_bytes) >= _GIB:
        return f"{size_bytes / _GIB:,.2f} GiB"
    return f"{size_bytes / _MIB:,.0f} MiB"
