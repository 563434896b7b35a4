"""What `trtllm-serve` says while it starts: phases, sizes of buffers, other figures.

The texts are those of 1.1 to 1.4, each with its source in
`tests/deploy/runtimes/trtllm/start_log_lines.yaml`. Unless told otherwise the server first builds a
whole executor with a small cache, warms it up to see how much memory a step takes, throws it away
and builds the real one; so most lines stand there twice, and the last one counts.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from trt_nemotron.deploy.runtimes.protocol import BufferName, ReportedBuffer, ReportedFact

READY_PATTERN = r"Application startup complete\.|Uvicorn running on "
"""uvicorn prints the second only for a socket that it opened itself; since 1.3 `trtllm-serve` hands
it one that was bound before the model was loaded, and then the first is all there is."""

_AUTOTUNING = r"Running autotuner warmup"
_CAPTURING = r"Creating CUDA graph instances for "

PHASES: tuple[tuple[str, str], ...] = (
    (
        r"Prefetching [0-9.]+GB checkpoint files|for model weights\.|Loading .*weights",
        "loading weights",
    ),
    (r"Using Sampler: |for estimation dry run", "estimating the KV cache"),
    (_AUTOTUNING, "estimating the KV cache: autotuning"),
    (_CAPTURING, "estimating the KV cache: capturing CUDA graphs"),
    (r"Estimated max memory in KV cache", "allocating the cache"),
    (_AUTOTUNING, "autotuning"),
    (_CAPTURING, "capturing CUDA graphs"),
    (r"Setting PyTorch memory fraction to|Started server process", "starting to listen"),
)
"""In the order in which the log shows them; the trial executor tunes and captures too, so what is
looked for must stand there once for each of the two."""

_GIB = 1 << 30
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,20})?"
_COUNT = r"[0-9]{1,15}"
_LONGEST_LINE = 400
"""Characters of a line that are kept beside its figure."""

_GIB_SUFFIX = "_gib"

_START = "Using LLM with PyTorch backend"
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_OTHER_RANK = re.compile(r"\[RANK [1-9][0-9]*\]")


@dataclass(frozen=True, slots=True)
class _Line:
    """One kind of line with figures.

    Attributes:
        mark: text that every such line contains; cheaper to look for than the pattern.
        pattern: its groups are named as the facts are; one that ends in `_gib` is a size.
    """

    mark: str
    pattern: "re.Pattern[str]"


def _gib(name: str) -> str:
    """A group for a size in GiB; the fact is called `<name>_bytes`."""
    return rf"(?P<{name}{_GIB_SUFFIX}>{_NUMBER})"


def _decimal(name: str) -> str:
    return rf"(?P<{name}>{_NUMBER})"


def _count(name: str) -> str:
    return rf"(?P<{name}>{_COUNT})"


def _profiled(what: str, name: str) -> _Line:
    """A line of the trial executor about memory."""
    text = rf"{what} in memory usage profiling: {_gib(name)} GiB"
    return _Line("in memory usage profiling", re.compile(text))


_LINES = (
    _Line("for model weights", re.compile(rf"Use {_gib('weights')} GB for model weights")),
    _Line("Model init", re.compile(rf"Model init total -- {_decimal('model_init_seconds')}s")),
    _profiled(r"after loading model weights \(inside torch\)", "loaded_in_torch"),
    _profiled(r"after loading model weights \(outside torch\)", "loaded_outside_torch"),
    _profiled(r"allocated during inference \(inside torch\)", "activation"),
    _profiled(r"outside torch \(e\.g\., NCCL and CUDA graphs\)", "outside_torch"),
    _Line(
        "Peak memory during memory usage profiling",
        re.compile(
            rf"profiling \(torch \+ non-torch\): {_gib('peak')} GiB, .*"
            rf"device total memory {_gib('device_total')} GiB"
        ),
    ),
    _Line("kv size is", re.compile(rf"kv size is {_count('kv_token_bytes')}\. ")),
    _Line("tmp kv_mem", re.compile(rf"tmp kv_mem {_gib('trial_kv_cache')} GiB")),
    _Line(
        "Estimated max memory in KV cache",
        re.compile(rf"KV cache : {_gib('estimated_kv_cache')} GiB"),
    ),
    _Line(
        "KV cache manager v2 device quota",
        re.compile(rf"quota set to {_gib('cache_quota')}GiB"),
    ),
    _Line(
        "max_mamba_cache_size",
        re.compile(
            rf"Mamba Cache .*is allocated\. max_mamba_cache_size: {_count('ssm_state_slots')}, "
            rf"conv_state size: {_gib('conv_state')}GB, "
            rf"ssm_state size: {_gib('ssm_state')}GB"
        ),
    ),
    _Line(
        "max_num_requests",
        re.compile(
            rf"max_seq_len={_count('max_seq_len_tokens')}, "
            rf"max_num_requests={_count('max_requests')}, "
            rf"max_num_tokens={_count('max_step_tokens')}, "
            rf"max_batch_size={_count('max_batch_requests')}"
        ),
    ),
    _Line(
        "[Autotuner] Cache size",
        re.compile(rf"Cache size after warmup is {_count('autotuner_entries')}"),
    ),
    _Line(
        "Setting PyTorch memory fraction",
        re.compile(rf"fraction to {_NUMBER} \({_gib('torch_limit')} GiB\)"),
    ),
)
_POOL = re.compile(
    rf"Allocated (?P<bytes>{_NUMBER}) GiB for max tokens in paged KV cache \((?P<tokens>{_COUNT})\)"
)
_WINDOW = re.compile(
    rf"Max KV cache blocks per sequence: {_COUNT} \[window size=(?P<window>-?{_COUNT})\], "
    rf"tokens per block=(?P<block>{_COUNT}), primary blocks=(?P<blocks>{_COUNT}),"
)
_GRAPHS = re.compile(rf"Creating CUDA graph instances for (?P<sizes>{_COUNT}) batch sizes\.")
_GRAPH = re.compile(
    rf"Run generation[- ]only CUDA graph warmup for batch size=(?P<size>{_COUNT}), draft_len="
)

_BUFFERS: tuple[tuple[BufferName, str], ...] = (
    ("weights", "weights_bytes"),
    ("kv_cache", "kv_cache_bytes"),
    ("ssm_state", "ssm_state_bytes"),
    ("conv_state", "conv_state_bytes"),
)
_ROUNDING_BYTES = round(0.005 * _GIB)
"""Half of the last digit: these sizes are printed with two decimals of a GiB."""


def reported_buffers(log: str) -> tuple[ReportedBuffer, ...]:
    """Buffers of the last start in the log, in bytes, each known to the report's own rounding."""
    facts = {fact.name: fact.value for fact in reported_facts(log)}
    return tuple(
        ReportedBuffer(name=name, size_bytes=round(facts[fact]), resolution_bytes=_ROUNDING_BYTES)
        for name, fact in _BUFFERS
        if fact in facts
    )


def reported_facts(log: str) -> tuple[ReportedFact, ...]:
    """Figures of the last start in the log, each with its line; of several ranks, of the first.

    Sizes are in bytes, as closely as they are printed. An unfinished last line is not read.
    """
    reading = _Reading()
    for line in _whole_lines(log[max(log.rfind(_START), 0) :]):
        for kind in _LINES:
            if kind.mark in line and (match := kind.pattern.search(line)):
                reading.note_all(match, line)
        for mark, note in _NOTES:
            if mark in line:
                note(reading, line)
    return tuple(reading.facts.values())


@dataclass(slots=True)
class _Reading:
    """Facts by name, and what is still being put together."""

    facts: dict[str, ReportedFact] = field(default_factory=dict)
    windows: list["re.Match[str]"] = field(default_factory=list)
    sizes: set[int] = field(default_factory=set)

    def note(self, name: str, value: float, line: str) -> None:
        self.facts[name] = ReportedFact(name=name, value=value, line=line[:_LONGEST_LINE])

    def note_all(self, match: "re.Match[str]", line: str) -> None:
        for name, text in match.groupdict().items():
            if name.endswith(_GIB_SUFFIX):
                size_bytes = round(float(text) * _GIB)
                self.note(name.removesuffix(_GIB_SUFFIX) + "_bytes", size_bytes, line)
            else:
                self.note(name, float(text), line)

    def note_window(self, line: str) -> None:
        if match := _WINDOW.search(line):
            self.windows.append(match)

    def note_pool(self, line: str) -> None:
        """The line that ends a pool; states that share it have a window below zero."""
        match = _POOL.search(line)
        if match is None:
            return
        windows, self.windows = self.windows, []
        states = [it for it in windows if int(it["window"]) < 0]
        size_bytes = round(float(match["bytes"]) * _GIB)
        if not states:
            self.facts.pop("cache_pool_bytes", None)
            self.note("kv_cache_bytes", size_bytes, line)
            self.note("kv_cache_tokens", float(match["tokens"]), line)
            return
        self.facts.pop("kv_cache_bytes", None)
        self.note("cache_pool_bytes", size_bytes, line)
        self.note("ssm_state_slots", float(states[-1]["blocks"]), states[-1].string)
        for window in windows:
            if int(window["window"]) > 0:
                tokens = int(window["block"]) * int(window["blocks"])
                self.note("kv_cache_tokens", float(tokens), window.string)

    def note_graphs(self, line: str) -> None:
        if match := _GRAPHS.search(line):
            self.sizes.clear()
            self.facts.pop("cuda_graphs", None)
            self.facts.pop("largest_graph_requests", None)
            self.note("announced_graphs", float(match["sizes"]), line)

    def note_graph(self, line: str) -> None:
        if match := _GRAPH.search(line):
            self.sizes.add(int(match["size"]))
            self.note("cuda_graphs", float(len(self.sizes)), line)
            self.note("largest_graph_requests", float(max(self.sizes)), line)


_NOTES: tuple[tuple[str, Callable[[_Reading, str], None]], ...] = (
    ("Max KV cache blocks per sequence", _Reading.note_window),
    ("in paged KV cache (", _Reading.note_pool),
    ("Creating CUDA graph instances", _Reading.note_graphs),
    ("CUDA graph warmup for batch size", _Reading.note_graph),
)


def _whole_lines(log: str) -> Iterator[str]:
    """Finished lines of the first rank, without colours; a progress bar's rewrites are lines."""
    *lines, _ = re.split(r"[\r\n]", _ESCAPE.sub("", log))
    return (line.strip() for line in lines if not _OTHER_RANK.search(line))
