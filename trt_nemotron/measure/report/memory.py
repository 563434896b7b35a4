"""The plan's memory as bars and rows of the page."""

from dataclasses import dataclass

from markupsafe import Markup

from trt_nemotron.measure.report import words
from trt_nemotron.measure.report.contents import MemoryLine, PlanFacts
from trt_nemotron.measure.report.plots.stack import Part, stack

_COLOURS = 8
"""`m0` to `m7` of the style sheet."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A stacked bar with what it shows."""

    title: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """One line of the ledger."""

    name: str
    size: str
    status: str
    formula: str
    css: str


@dataclass(frozen=True, slots=True)
class MemorySection:
    """All that the page shows of the plan's memory."""

    sentence: str
    bars: tuple[Bar, ...]
    lines: tuple[MemoryRow, ...]


def memory_section(plan: PlanFacts | None) -> MemorySection | None:
    """The plan's memory against the whole machine, and the model's part of it enlarged."""
    if plan is None:
        return None
    colours = _colours(plan.memory)
    parts = [_part(line, colours[line.name]) for line in plan.memory]
    model = [p for p, line in zip(parts, plan.memory, strict=True) if not line.is_reserve]
    taken = sum(line.size_bytes for line in plan.memory)
    free = plan.memory_total_bytes - taken
    own = sum(line.size_bytes for line in plan.memory if not line.is_reserve)
    whole = [*parts, *([Part("free", free, words.size(free), "m-free")] if free > 0 else [])]
    total = words.size(plan.memory_total_bytes)
    return MemorySection(
        sentence=_sentence(plan, own, free),
        bars=(
            Bar(f"The whole machine: {total}", _drawn(whole, f"Memory of {total}")),
            Bar(f"The model alone: {words.size(own)}", _drawn(model, "Memory of the model")),
        ),
        lines=tuple(
            MemoryRow(
                line.name,
                words.size(line.size_bytes),
                line.status,
                line.formula,
                colours[line.name],
            )
            for line in plan.memory
        ),
    )


def _sentence(plan: PlanFacts, own: int, free: int) -> str:
    room = f"{words.size(free)} stay free" if free >= 0 else f"{words.size(-free)} too much"
    return (
        f"{plan.model} in {plan.precision} on {plan.target} by {plan.runtime} {plan.release}: "
        f"the model takes {words.size(own)}, {room}."
    )


def _colours(lines: tuple[MemoryLine, ...]) -> dict[str, str]:
    own = [line.name for line in lines if not line.is_reserve]
    colours = {name: f"m{place % _COLOURS}" for place, name in enumerate(own)}
    return {line.name: colours.get(line.name, "m-reserve") for line in lines}


def _part(line: MemoryLine, css: str) -> Part:
    return Part(line.name, line.size_bytes, words.size(line.size_bytes), css)


def _drawn(parts: list[Part], label: str) -> Markup:
    return Markup(stack(parts, label))  # noqa: S704 - built by ElementTree, which escapes
