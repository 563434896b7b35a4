"""The checks by name, in the order in which they are shown.

A check is a function of an examination that returns what it found and never raises. It applies to
an order that has all the features it needs; elsewhere it is skipped. `docs/doctor.md` lists them,
and a test compares the two.
"""

from collections.abc import Mapping
from types import MappingProxyType

from trt_nemotron.deploy.doctor.board_checks import BOARD_CHECKS
from trt_nemotron.deploy.doctor.check import Check
from trt_nemotron.deploy.doctor.system_checks import SYSTEM_CHECKS

CHECKS: Mapping[str, Check] = MappingProxyType(
    {check.name: check for check in (*BOARD_CHECKS, *SYSTEM_CHECKS)}
)
