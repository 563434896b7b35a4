"""What a start measured, in place of what the ledger would assume.

Two figures of the trial executor count: what a step of the largest size took inside PyTorch, and
what the process took outside of it (context, libraries, CUDA graphs; its small KV cache, which lies
there too, is taken off). On a board that shares its memory with the host the second one counts
everybody's memory, so it is left out. No line tells of the autotuner's scratch space.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trt_nemotron.document import parse_document
from trt_nemotron.errors import InvalidInput

if TYPE_CHECKING:
    from trt_nemotron.deploy.observed import Observed
    from trt_nemotron.deploy.runtimes.protocol import Wishes
    from trt_nemotron.deploy.shape import NemotronHShape
    from trt_nemotron.facts.release import RuntimeRelease
    from trt_nemotron.facts.target import Target


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one start; they hold for its own sizes only.

    Attributes:
        step_tokens, batch, graphs: `max_num_tokens`, `max_batch_size` and graphs captured.
        workspace_bytes: of a step inside PyTorch; 0 where the log does not say.
        outside_bytes: outside of it; 0 where the log does not say, or counts others' memory too.
    """

    step_tokens: int
    batch: int
    graphs: int
    workspace_bytes: int = 0
    outside_bytes: int = 0


def read_measured(
    wishes: "Wishes", target: "Target", shape: "NemotronHShape", release: "RuntimeRelease"
) -> Measured | None:
    """The figures of the file given with `--observed`; nothing without one.

    Raises:
        InvalidInput: it is no such file, or its start was of another board, release or network.
    """
    if wishes.observed is None:
        return None
    from trt_nemotron.deploy.observed import Observed

    name = wishes.observed_name or "--observed"
    observed = parse_document(wishes.observed.encode(), Observed, origin=name)
    _check_kin(observed, target, shape, release, name)
    facts = {fact.name: round(fact.value) for fact in observed.facts}
    is_shared = target.gpu is not None and target.gpu.is_memory_unified
    outside = facts.get("outside_torch_bytes", 0) - facts.get("trial_kv_cache_bytes", 0)
    return Measured(
        step_tokens=facts.get("max_step_tokens", 0),
        batch=facts.get("max_batch_requests", 0),
        graphs=facts.get("cuda_graphs", 0),
        workspace_bytes=max(facts.get("activation_bytes", 0), 0),
        outside_bytes=0 if is_shared else max(outside, 0),
    )


def _check_kin(
    observed: "Observed",
    target: "Target",
    shape: "NemotronHShape",
    release: "RuntimeRelease",
    name: str,
) -> None:
    pairs = (
        ("target", observed.target, target.name),
        ("runtime", observed.runtime, release.runtime),
        ("release", observed.release, release.release),
    )
    differences = [f"{what} {was}, not {wanted}" for what, was, wanted in pairs if was != wanted]
    if observed.shape != shape:
        differences.append("a network of another shape")
    if differences:
        raise InvalidInput(
            f"{name} is of another start: what it measured does not hold here",
            evidence="; ".join(differences),
            next_step="Give the observed.json of a bundle for the same board, release and model.",
        )
