"""What the doctor knows of boards beside their own files: drivers, signs, defects.

Kept in `engine_configs/doctor/facts.yaml`, each entry with its source.
"""

import functools
from typing import ClassVar

from trt_nemotron.document import Document, Value, read_document
from trt_nemotron.facts.figure import Figure
from trt_nemotron.facts.location import engine_configs
from trt_nemotron.facts.target import RuntimeName


class DriverNeed(Value, frozen=True, kw_only=True):
    """The least driver for some targets.

    Attributes:
        runtimes: those it is needed for; none named means all.
        is_required: whether an older one fails; otherwise it is a warning.
    """

    targets: tuple[str, ...]
    runtimes: tuple[RuntimeName, ...]
    minimum: str
    is_required: bool
    reason: str
    source: str
    date: str


class Sign(Value, frozen=True, kw_only=True):
    """By what a board is known without its driver: text in a file, or a PCI device of NVIDIA's."""

    target: str
    path: str = ""
    contains: str = ""
    pci_device: str = ""
    source: str


class LibraryDefect(Value, frozen=True, kw_only=True):
    """A version of an installed library that is known to be wrong on a board."""

    target: str
    runtime: RuntimeName
    library: str
    version: str
    summary: str
    answer: str
    source: str
    date: str


class SlowClock(Value, frozen=True, kw_only=True):
    """A GPU clock that means a fault when the GPU is busy.

    Attributes:
        mhz: at or below it; `busy_percent`: from this load on.
    """

    target: str
    mhz: int
    busy_percent: int
    reason: str
    answer: str
    source: str
    date: str


class DoctorFacts(Document, frozen=True, kw_only=True):
    """All of it.

    Attributes:
        image_bytes: what a runtime's image takes unpacked.
        cache_bytes: what compiled artefacts take.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/doctor-facts/1"

    drivers: tuple[DriverNeed, ...]
    signs: tuple[Sign, ...]
    library_defects: tuple[LibraryDefect, ...]
    slow_clocks: tuple[SlowClock, ...]
    image_bytes: Figure
    cache_bytes: Figure


@functools.cache
def doctor_facts() -> DoctorFacts:
    """The shipped facts.

    Raises:
        InvalidInput: the file is damaged.
        EnvironmentUnfit: the package was installed without its data.
    """
    return read_document(engine_configs() / "doctor" / "facts.yaml", DoctorFacts)
