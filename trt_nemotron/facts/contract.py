"""What a release promises beside its settings: precedence, endpoints, parsers, caches, rules.

All of it was read from public sources; `Exactness` says how near to the release itself.
"""

from typing import Literal

from trt_nemotron.document import Value
from trt_nemotron.facts.figure import Status


class Exactness(Value, frozen=True, kw_only=True):
    """How well the document knows the release.

    Attributes:
        value: `exact` when it was extracted from the release's own tag or package, `approximate`
            when from the nearest versions that could be read.
        evidence: which files at which commits, and what is inferred from them.
    """

    value: Literal["exact", "approximate"]
    evidence: str


class Precedence(Value, frozen=True, kw_only=True):
    """Which wins when a knob stands both on the command line and in the file."""

    winner: Literal["flag", "file"]
    source: str
    note: str = ""


class MovedKey(Value, frozen=True, kw_only=True):
    """A key that this release does not take (any more), or takes only as an alias.

    Attributes:
        new: the key to use instead, dotted; empty when there is none.
        note: what else to know, one sentence.
    """

    old: str
    new: str = ""
    note: str = ""
    source: str


class Endpoint(Value, frozen=True, kw_only=True):
    """One path of the server.

    Attributes:
        needs: settings without which it is absent or empty, as `key: value`.
        changes_state: whether calling it alters the server.
        drains: whether reading it empties it, so that a second reader misses what the first took.
    """

    path: str
    methods: tuple[Literal["GET", "POST", "DELETE"], ...] = ("GET",)
    about: str
    needs: tuple[str, ...] = ()
    changes_state: bool = False
    drains: bool = False
    status: Status = "published"
    source: str


class Parsers(Value, frozen=True, kw_only=True):
    """Names by which the server calls the parsers of a model's output.

    Attributes:
        likely: those among them that are not confirmed for the release.
    """

    reasoning: tuple[str, ...]
    tool: tuple[str, ...]
    likely: tuple[str, ...] = ()
    source: str


class CacheVariable(Value, frozen=True, kw_only=True):
    """A variable of the environment that says where compiled artefacts are kept.

    Attributes:
        holds: what is kept there.
        is_file: whether it names a file; otherwise a folder.
        trap: what goes wrong when it is shared carelessly.
    """

    name: str
    holds: str
    is_file: bool = False
    trap: str = ""
    status: Status = "published"
    source: str


class HybridRules(Value, frozen=True, kw_only=True):
    """How the release treats models that mix recurrent state with attention.

    Attributes:
        block_reuse: `refused` (the server asserts), `at-intervals` (opt-in, state snapshots every
            so many tokens), `needs-snapshots` (switched off with a warning unless a snapshot
            policy is set).
        graph_sizes: what `cuda_graph_config` demands when sizes and maximum are both given:
            `generated` (the sizes it would generate itself) or `largest` (maximum = largest size).
        manager_v2: the second cache manager: `absent`, `opt-in`, or `default` for hybrids.
        spare_slots: recurrent-state slots held beyond `max_batch_size`.
    """

    block_reuse: Literal["refused", "at-intervals", "needs-snapshots"]
    graph_sizes: Literal["generated", "largest"]
    manager_v2: Literal["absent", "opt-in", "default"]
    spare_slots: int
    source: str


class Payload(Value, frozen=True, kw_only=True):
    """The native part of a package for one platform; it is matched exactly, or not at all.

    Attributes:
        architecture: of the processor.
        probe: what is read to know the platform: `l4t`, `device-model`, `os-release`, `driveos`.
        probe_values: what must be read there; for `device-model`, part of it.
        sms: compute capabilities without their dot.
        cuda, tensorrt: libraries that it is linked to.
        prefill_head_dims: head sizes of Mamba for which it has a fast prefill kernel with a state
            of 128; others take a serial one.
    """

    id: str
    architecture: Literal["x86_64", "aarch64"]
    probe: Literal["l4t", "device-model", "os-release", "driveos"]
    probe_values: tuple[str, ...]
    sms: tuple[int, ...]
    cuda: str
    tensorrt: str
    prefill_head_dims: tuple[int, ...] = ()
    source: str
