"""What Edge-LLM's server says while it starts: phases, and whether CUDA graphs were captured."""

from trt_nemotron.deploy.runtimes.protocol import ReportedFact

READY_PATTERN = r"Uvicorn running on "
PHASES: tuple[tuple[str, str], ...] = (
    (r"Building \d+ engines for", "building an engine that should have been there"),
    (r"Engine loaded and ready", "starting to listen"),
    (r"Application startup complete", "waiting for the first token"),
)

_CAPTURED = "Successfully captured decoding CUDA graphs"
_NOT_CAPTURED = (
    "Failed to capture decoding CUDA graphs",
    "CUDA graph capture disabled via EDGELLM_DISABLE_CUDA_GRAPH",
)


def reported_facts(log: str) -> tuple[ReportedFact, ...]:
    """`cuda_graphs`: 1 when they were captured, 0 when the log says that they were not.

    Nothing when it says neither: with in-flight batching the server's own code never asks for it.
    """
    for line in log.splitlines():
        if _CAPTURED in line:
            return (ReportedFact(name="cuda_graphs", value=1.0, line=line.strip()),)
        if any(text in line for text in _NOT_CAPTURED):
            return (ReportedFact(name="cuda_graphs", value=0.0, line=line.strip()),)
    return ()
