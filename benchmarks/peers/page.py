"""What docs/peers.md says of a results file, between its markers; and its plots."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.peers.catalogue import LEFT_OUT, PEERS
from benchmarks.peers.fault_table import fault_table
from benchmarks.peers.peer import REQUESTS
from benchmarks.peers.plot import plot
from benchmarks.peers.results import Results, Row
from benchmarks.peers.summary import Line, Spread, doubts, summarise
from trt_nemotron.document import write_atomically

BEGIN, END = "<!-- written by python -m benchmarks.peers -->", "<!-- to here -->"
ERRORS = {
    "ttft_p50_ms": "TTFT p50 (ms)",
    "ttft_p99_ms": "TTFT p99 (ms)",
    "itl_p99_ms": "ITL p99 (ms)",
    "tpot_p50_percent": "TPOT p50 (%)",
}
COSTS = {
    "us_per_token": "CPU per token (us)",
    "cpu_s": "CPU, whole command (s)",
    "first_request_s": "first request after (s)",
    "peak_mb": "peak memory (MB)",
}
PLOTS = {
    "peers-ttft-p99.svg": ("ttft_p99_ms", "Error of TTFT p99, ms, log scale"),
    "peers-itl-p99.svg": ("itl_p99_ms", "Error of ITL p99, ms, log scale"),
    "peers-cpu.svg": ("us_per_token", "Processor time per token, us, log scale"),
}


class NoPlace(Exception):
    """The page has no markers between which to write."""


def write_page(results: Results, source: str, folder: Path) -> None:
    """Write `peers.md` and its plots in `folder`; `source` is the name of the results file.

    Raises:
        NoPlace: the page lacks its markers.
    """
    path = folder / "peers.md"
    written = fill(path.read_text(), block(results, source))
    lines = summarise(results.rows)
    for name, (figure, title) in PLOTS.items():
        write_atomically(folder / name, plot(lines, _names(), figure, title).encode())
    write_atomically(path, written.encode())


def fill(page: str, text: str) -> str:
    """The page with `text` between its markers.

    Raises:
        NoPlace: they are not there, once each and in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise NoPlace(f"the page needs one `{BEGIN}` and then one `{END}`")
    return f"{before}{BEGIN}\n{text}{END}{after}"


def block(results: Results, source: str) -> str:
    """Everything that comes from the file."""
    lines = summarise(results.rows)
    parts = list(_facts(results, source))
    if lines:
        parts += [f"\n![{title}]({name})\n" for name, (_, title) in PLOTS.items()]
    for streams in sorted({streams for streams, _ in lines}):
        those = {name: lines[streams, name] for name in PEERS if (streams, name) in lines}
        parts.append(table(streams, those))
    if results.faults:
        parts.append(fault_table(results.faults, _names()))
    parts += _listed("Of the clients", {PEERS[n].name: PEERS[n].note for n in PEERS})
    parts += _listed("Not shown", LEFT_OUT)
    return "".join(parts)


def table(streams: int, lines: Mapping[str, Line]) -> str:
    """One number of streams: a client a line."""
    head = " | ".join([*ERRORS.values(), *COSTS.values()])
    rounds = sorted({line.rounds for line in lines.values()})
    titled = (
        f"\n### {streams} stream{'s' * (streams > 1)}\n\n{REQUESTS[streams]} requests; rounds: "
    )
    titled += f"{' to '.join(map(str, rounds))}.\n\n| client | {head} |\n|---|{'---:|' * 8}\n"
    return titled + "".join(_row(name, line) for name, line in lines.items())


def number(value: float) -> str:
    """Three digits behind the point below one, fewer above: the spread is far wider."""
    size = abs(value)
    return f"{value:+.3f}" if size < 1 else f"{value:+.1f}" if size < 100 else f"{value:+,.0f}"


def _row(name: str, line: Line) -> str:
    errors = [_error(line.figures[key]) for key in ERRORS]
    costs = [_cost(line.figures[key]) for key in COSTS]
    return f"| {PEERS[name].name} | {' | '.join([*errors, *costs])} |\n"


def _error(found: Spread | None) -> str:
    if found is None:
        return "-"
    return f"{number(found.median)} ({number(found.low)} to {number(found.high)})"


def _cost(found: Spread | None) -> str:
    return "-" if found is None else number(found.median).removeprefix("+")


def _facts(results: Results, source: str) -> Iterator[str]:
    rows = results.rows
    yield f"\nFrom [{source}](../benchmarks/peers/results/{source}): {len(rows)} runs"
    if not rows:
        yield ".\n"
        return
    dates = sorted(row.at for row in rows)
    loads = sorted(row.load for row in rows)
    yield f", {dates[0]} to {dates[-1]} UTC, on {results.machine}, no GPU.\n\n"
    yield f"- Load average over one minute before a run: {loads[0]:g} to {loads[-1]:g}, median "
    yield f"{loads[len(loads) // 2]:g}; the run before is in it.\n"
    yield from _known(rows)
    ours = sorted({(row.version, row.streams) for row in rows if row.client.startswith("ours")})
    by_version: dict[str, list[str]] = {}
    for version, streams in ours:
        by_version.setdefault(version, []).append(str(streams))
    told = "; ".join(f"{version} at {', '.join(s)} streams" for version, s in by_version.items())
    yield f"- Ours is {told}.\n"
    found = [(row, doubt) for row in rows for doubt in doubts(row)]
    told = [f"{PEERS[r.client].name}, {r.streams} streams, round {r.round}: {d}" for r, d in found]
    yield f"- Rows with something wrong in them: {'; '.join(told) or 'none'}.\n"


def _known(rows: Sequence[Row]) -> Iterator[str]:
    """Which rows carry what is needed to check them."""
    busy = sorted(row.around["busy_before"] for row in rows if "busy_before" in row.around)
    if busy:
        quiet = sum(share <= 0.02 for share in busy)
        yield f"- {len(busy)} rows know how busy the cores were in the second before the run: at "
        yield f"most 2 % in {quiet} of them, at most {100 * busy[-1]:.0f} % in all.\n"
    without = sum("asked" not in row.counts for row in rows)
    if without:
        yield f"- {without} rows hold the errors and costs alone. A run gives a row only when the "
        yield "server's log has as many whole answers as were asked for and no send found a full "
        yield "socket, so that is known of them, and that no client counted a failure; the "
        yield "server's own figures, the client's count of good ones and what else ran then "
        yield "are not.\n"


def _names() -> dict[str, str]:
    return {name: peer.name for name, peer in PEERS.items()}


def _listed(title: str, items: Mapping[str, str]) -> list[str]:
    told = [f"- {name}: {text}.\n" for name, text in items.items() if text]
    return [f"\n## {title}\n\n", *told] if told else []
