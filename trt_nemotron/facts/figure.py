"""A figure: a number with its source, its date and how sure we are of it."""

from typing import Literal

from trt_nemotron.document import Value

Status = Literal["measured", "published", "derived", "unverified"]


class Figure(Value, frozen=True, kw_only=True):
    """One number as `engine_configs/` keeps it.

    Attributes:
        value: the number; its unit stands in the name of the field that holds it.
        status: `measured` by us, `published` by its maker, `derived` by arithmetic, `unverified`.
        source: where it comes from: a document, an issue, a formula.
        date: the day it was read, ISO 8601.
    """

    value: float | int
    status: Status
    source: str
    date: str
    note: str = ""
