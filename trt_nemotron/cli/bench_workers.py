"""The processes of a client that has several, drawn for the terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from trt_nemotron.measure.bench.client_health import ClientHealth
    from trt_nemotron.measure.bench.worker_health import WorkerHealth


def render_workers(client: "ClientHealth") -> "Iterator[RenderableType]":
    """A row for each; nothing where one process sent everything."""
    if not client.workers:
        return
    from rich import box
    from rich.table import Table

    is_far = any(worker.machine for worker in client.workers)
    table = Table(
        title=_title(client),
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title_justify="left",
        title_style="bold",
    )
    names = ["worker", "streams", "core", "timer", "floor", "stamps"]
    if is_far:
        names[1:1] = ["machine"]
        names.append("clock ±")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for worker in client.workers:
        cells = _cells(worker)
        if is_far:
            cells[1:1] = [worker.machine]
            bounds = [offset.bound_ms for offset in worker.clock_offsets]
            cells.append(f"{max(bounds):.3f}" if bounds else "")
        table.add_row(*cells)
    yield table


def _title(client: "ClientHealth") -> str:
    count = f"{len(client.workers)} worker{'s' if len(client.workers) > 1 else ''}"
    machines = len({worker.machine for worker in client.workers})
    where = f" on {machines} machine{'s' if machines > 1 else ''}"
    return f"{count}{where if client.workers[0].machine else ''}, ms late"


def _cells(worker: "WorkerHealth") -> list[str]:
    return [
        str(worker.worker),
        str(worker.streams),
        f"{worker.cpu_share:.0%}",
        f"{worker.loop_lag_p99_ms:.3f}",
        f"{worker.floor_ttft_p50_ms:.3f}",
        f"{worker.stamp_delay_p99_ms:.3f}",
    ]
