"""docs/doctor.md against the registry: no check is missing there, and none is there in vain."""

from pathlib import Path

import pytest

from trt_nemotron.deploy.doctor.check import Check
from trt_nemotron.deploy.doctor.facts import doctor_facts
from trt_nemotron.deploy.doctor.order import FEATURE_WORDS
from trt_nemotron.deploy.doctor.registry import CHECKS
from trt_nemotron.facts.catalogue import target_names


def row_of(check: Check) -> str:
    needs = " and ".join(FEATURE_WORDS[it] for it in check.needs) or "always"
    cells = (f"`{check.name}`", check.about, needs, check.remedy, check.source)
    return f"| {' | '.join(cells)} |"


@pytest.fixture(scope="module")
def rows(repository: Path) -> list[str]:
    text = (repository / "docs" / "doctor.md").read_text().partition("## The checks")[2]
    return [line for line in text.splitlines() if line.startswith("| `")]


def test_every_check_has_its_row_in_order(rows: list[str]):
    assert rows == [row_of(check) for check in CHECKS.values()]


def test_checks_are_sentences_with_sources():
    for check in CHECKS.values():
        assert check.about.endswith(".")
        assert check.remedy
        assert check.source
        assert "|" not in check.about + check.remedy


def test_facts_name_targets_that_there_are():
    facts = doctor_facts()
    named = {it.target for it in (*facts.signs, *facts.library_defects, *facts.slow_clocks)}
    named |= {name for need in facts.drivers for name in need.targets}
    assert named <= set(target_names())
