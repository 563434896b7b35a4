"""A plan drawn for people: what it is for, where the bytes go, what was chosen and why."""

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trt_nemotron.deploy.plan import Choice, Ledger, LedgerLine, Plan
from trt_nemotron.deploy.roofline import Roofline

_BAR_CELLS = 24
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_STATUS_STYLES = {"exact": "green", "measured": "cyan", "assumed": "yellow"}
_WIDTH_OF_CELLS = 108
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def draw_plan(plan: Plan, *, is_explained: bool, console: Console | None = None) -> None:
    """Print the plan to standard output: it is the result of the command, not talk about it."""
    screen = console or Console(highlight=False)
    screen.print(plan_view(plan, is_explained=is_explained))


def plan_view(plan: Plan, *, is_explained: bool) -> RenderableType:
    """The whole plan as something rich can draw."""
    parts: list[RenderableType] = [_title(plan), "", ledger_table(plan.ledger), ""]
    parts.append(_explained(plan.choices) if is_explained else _choices_table(plan.choices))
    if plan.roofline is not None:
        parts += ["", roofline_table(plan.roofline), ""]
    parts.extend(Text(f"! {warning}", style="yellow") for warning in plan.warnings)
    if not is_explained:
        parts.append(Text("Reasons and sources: --explain", style="dim"))
    return Group(*parts)


def ledger_table(ledger: Ledger) -> Table:
    """Lines of the ledger with bars; a full bar is all the memory there is."""
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column("memory")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("of all", no_wrap=True)
    table.add_column("known", no_wrap=True)
    table.add_column("formula", style="dim", overflow="fold")
    total = ledger.memory_total_bytes
    for line in ledger.lines:
        table.add_row(*_row(line, total))
    table.add_section()
    table.add_row(
        Text("needed", style="bold"),
        format_bytes(ledger.needed_bytes),
        Text(bar(ledger.needed_bytes, total)),
        "",
        f"of {format_bytes(total)}; {format_bytes(ledger.headroom_bytes)} stay free",
    )
    return table


def roofline_table(roofline: Roofline) -> Table:
    """The most that the board allows: one row a context, one column a concurrency."""
    title = (
        f"at most, tokens/s (least ms a step): {roofline.weight_bytes / 1e9:.2f} GB of weights at "
        f"{roofline.bandwidth_gb_s:,.0f} GB/s"
    )
    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    table.title_style = "dim"
    points = {(point.context_tokens, point.concurrency): point for point in roofline.points}
    table.add_column("context", justify="right")
    concurrencies = sorted({many for _, many in points})
    for many in concurrencies:
        table.add_column(f"x {many}", justify="right", no_wrap=True)
    for context in sorted({tokens for tokens, _ in points}):
        row = [points[context, many] for many in concurrencies]
        cells = (f"{it.most_tokens_s:,.0f} ({it.least_step_ms:.1f})" for it in row)
        table.add_row(f"{context:,}", *cells)
    return table


def bar(size_bytes: int, total_bytes: int) -> str:
    """A bar of `_BAR_CELLS` cells at most, to an eighth of a cell; a trace if not zero."""
    eighths = round(size_bytes * _BAR_CELLS * 8 / total_bytes) if total_bytes else 0
    eighths = min(max(eighths, 1 if size_bytes else 0), _BAR_CELLS * 8)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def format_bytes(size_bytes: int) -> str:
    """Bytes for people: `79.92 MiB`."""
    if abs(size_bytes) < 1024:
        return f"{size_bytes} B"
    number = float(size_bytes)
    for unit in _UNITS:
        if abs(number) < 1024 or unit == _UNITS[-1]:
            break
        number /= 1024
    return f"{number:,.2f} {unit}"


def _title(plan: Plan) -> RenderableType:
    checkpoint, shape = plan.checkpoint, plan.checkpoint.shape
    return Group(
        Text.assemble(
            (plan.served_model_name, "bold"),
            " on ",
            (plan.target, "bold"),
            " with ",
            (f"{plan.runtime} {plan.release}", "bold"),
        ),
        Text(
            f"{checkpoint.parameters:,} parameters, stored as {checkpoint.quantization}"
            f" ({checkpoint.format}), served as {plan.precision}; layers: "
            f"{shape.mamba_layers} Mamba-2, {shape.mlp_layers} MLP, {shape.attention_layers} "
            "attention",
            style="dim",
        ),
    )


def _row(line: LedgerLine, total: int) -> tuple[RenderableType, ...]:
    style = _STATUS_STYLES[line.status]
    return (
        line.name.replace("_", " "),
        format_bytes(line.size_bytes),
        Text(bar(line.size_bytes, total), style=style),
        Text(line.status, style=style),
        line.formula,
    )


def _choices_table(choices: tuple[Choice, ...]) -> Table:
    """In as many columns, three at most, as the longest setting leaves room for."""
    table = Table(box=None, pad_edge=False, show_header=False)
    cells = [Text.assemble((choice.name, "dim"), " ", _shown(choice)) for choice in choices]
    longest = max((len(cell) for cell in cells), default=1)
    count = min(max(_WIDTH_OF_CELLS // longest, 1), 3)
    for _ in range(count):
        table.add_column(no_wrap=True)
    rows = -(-len(cells) // count)
    columns = [cells[start : start + rows] for start in range(0, len(cells), rows)]
    for index in range(rows):
        table.add_row(*(column[index] if index < len(column) else "" for column in columns))
    return table


def _explained(choices: tuple[Choice, ...]) -> Group:
    parts: list[RenderableType] = []
    for choice in choices:
        parts.append(Text.assemble((choice.name, "bold"), " = ", _shown(choice)))
        parts.append(Padding(Text(choice.reason), (0, 0, 0, 4)))
        if choice.source:
            parts.append(Padding(Text(choice.source, style="dim"), (0, 0, 0, 4)))
    return Group(*parts, "")


def _shown(choice: Choice) -> str:
    value = choice.value
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,}" if isinstance(value, int) else str(value)
