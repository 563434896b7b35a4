"""Write docs/trtllm-releases.md from engine_configs/runtimes/trtllm/.

python tools/write_release_table.py            # write the page
python tools/write_release_table.py --check    # exit 1 when it is not current
"""

import sys
from collections.abc import Callable, Iterator, Sequence

from generated_page import keep_page, linked

from trt_nemotron.facts.catalogue import load_release, release_names
from trt_nemotron.facts.release import RuntimeRelease

RUNTIME = "trtllm"
INTRO = """\
# TensorRT-LLM by release

Written by `tools/write_release_table.py` from `engine_configs/runtimes/trtllm/`; do not edit it.
What a release accepts is data there: every flag and key with its type, words, bounds and default.
`config lint` holds a file against it, and says so where a fact is not confirmed.

*yes*: seen in the release, or before and after it. *likely*: seen on one side only. *no*: not
there.
"""
KV = "kv_cache_config."
STATE = f"{KV}mamba_state_config.periodic_snapshot_interval"
BLOCK_REUSE = {
    "refused": "refused",
    "at-intervals": "at intervals",
    "needs-snapshots": "needs a snapshot policy",
}
GRAPH_SIZES = {
    "generated": "sizes as it would generate them",
    "largest": "maximum = largest size",
}

Cell = Callable[[RuntimeRelease], str]


def page() -> str:
    """The whole page."""
    releases = [load_release(RUNTIME, name) for name in release_names(RUNTIME)]
    parts = [INTRO, "## What differs", *_table(releases), "", "## Known defects", ""]
    parts += [*_defects(releases), "", "## How well each is known", ""]
    for release in releases:
        exactness = release.exactness
        if exactness is not None:
            parts += [f"- **{release.release}** ({exactness.value}). {linked(exactness.evidence)}"]
    return "\n".join(parts) + "\n"


def _rows() -> Iterator[tuple[str, Cell]]:
    yield "knob given twice: wins", lambda it: it.precedence.winner if it.precedence else "?"
    yield (
        "block reuse on hybrids",
        lambda it: BLOCK_REUSE[it.hybrids.block_reuse] if it.hybrids else "?",
    )
    yield "second cache manager", lambda it: it.hybrids.manager_v2 if it.hybrids else "?"
    yield (
        "graph sizes and maximum, both given",
        lambda it: GRAPH_SIZES[it.hybrids.graph_sizes] if it.hybrids else "?",
    )
    yield (
        "state slots beyond the batch",
        lambda it: str(it.hybrids.spare_slots) if it.hybrids else "?",
    )
    for flag in ("--config", "--served_model_name", "--kv_cache_dtype", "--no-telemetry"):
        yield f"`{flag}`", lambda it, flag=flag: _has_flag(it, flag)
    for key in (
        f"{KV}mamba_ssm_cache_dtype",
        f"{KV}mamba_ssm_stochastic_rounding",
        f"{KV}mamba_state_cache_interval",
        STATE,
        f"{KV}avg_seq_len",
        f"{KV}max_gpu_total_bytes",
    ):
        yield f"`{key}`", lambda it, key=key: _has_key(it, key)
    yield "reasoning parser `nano-v3`", lambda it: _has_parser(it, "nano-v3")
    yield "tool parser `qwen3_coder`", lambda it: _has_parser(it, "qwen3_coder")
    yield (
        "keys (of these likely)",
        lambda it: f"{len(it.keys)} ({sum(key.certainty == 'likely' for key in it.keys)})",
    )
    yield (
        "flags (of these likely)",
        lambda it: f"{len(it.flags)} ({sum(flag.certainty == 'likely' for flag in it.flags)})",
    )


def _table(releases: Sequence[RuntimeRelease]) -> Iterator[str]:
    yield ""
    yield "| | " + " | ".join(release.release for release in releases) + " |"
    yield "|---" * (len(releases) + 1) + "|"
    for title, cell in _rows():
        yield f"| {title} | " + " | ".join(cell(release) for release in releases) + " |"


def _has_flag(release: RuntimeRelease, spelling: str) -> str:
    for flag in release.flags:
        if spelling in {flag.name, *flag.aliases}:
            return "likely" if flag.certainty == "likely" else "yes"
    return "no"


def _has_key(release: RuntimeRelease, name: str) -> str:
    for key in release.keys:
        if key.name == name:
            return "deprecated" if key.is_deprecated else _yes(key.certainty)
    return "no"


def _yes(certainty: str) -> str:
    return "likely" if certainty == "likely" else "yes"


def _has_parser(release: RuntimeRelease, name: str) -> str:
    parsers = release.parsers
    if parsers is None or name not in {*parsers.reasoning, *parsers.tool}:
        return "no"
    return "likely" if name in parsers.likely else "yes"


def _defects(releases: Sequence[RuntimeRelease]) -> Iterator[str]:
    yield "| what | releases | boards | answer |"
    yield "|---|---|---|---|"
    told: set[str] = set()
    for release in reversed(releases):
        for defect in release.defects:
            if defect.id in told:
                continue
            told.add(defect.id)
            names = [it.release for it in releases if defect.id in {d.id for d in it.defects}]
            where = "all read" if len(names) == len(releases) else ", ".join(names)
            boards = ", ".join(defect.targets) or "any"
            what = f"{defect.summary} ([source]({defect.source}))"
            yield f"| {what} | {where} | {boards} | {defect.answer} |"


if __name__ == "__main__":
    sys.exit(keep_page("trtllm-releases.md", page, "The table of TensorRT-LLM releases."))
