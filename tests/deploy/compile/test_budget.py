from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.compile.budget import CompileBudget, judge
from trt_nemotron.deploy.compile.graph import GraphRecord
from trt_nemotron.deploy.compile.spec import GraphSpec
from trt_nemotron.deploy.compile.values import CompileReport, EngineRecord
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.document import read_document
from trt_nemotron.errors import InvalidInput

SHAPE = NemotronHShape(
    pattern="M", hidden_size=1, intermediate_size=1, vocab_size=1, attention_heads=1, kv_heads=1,
    head_dim=1, mamba_heads=1, mamba_head_dim=1, ssm_groups=1, ssm_state_size=1, conv_kernel=2,
    max_position_embeddings=1,
)  # fmt: skip
GRAPH = GraphRecord(
    spec=GraphSpec(shape=SHAPE, epsilon=1e-5, precision="bf16", max_seq_len=1, chunk=1),
    source="s", nodes={}, parameters=1, weight_bytes=1, graph_sha256="", weights_sha256="",
    weights_file_bytes=1, key="k",
)  # fmt: skip


def report(*engines: EngineRecord) -> CompileReport:
    return CompileReport(
        tool_version="1", checkpoint="c", is_random=False, graph=GRAPH, profiles=(),
        engines=engines, seconds=sum(engine.seconds for engine in engines),
    )  # fmt: skip


def engine(sm: int = 121, **figures: float) -> EngineRecord:
    base = EngineRecord(
        sm=sm, status="compiled", compiler="tensorrt-rtx", compiler_version="1", key="k"
    )
    return msgspec.structs.replace(base, **figures)


def test_a_bound_that_is_not_given_is_not_held():
    assert judge(report(engine(seconds=1e9, engine_bytes=10**15)), CompileBudget()) == ()


@pytest.mark.parametrize("metric", ["seconds", "engine_bytes", "peak_rss_bytes", "network_layers"])
@given(bound=st.integers(1, 10**12), found=st.integers(0, 10**12))
def test_a_bound_breaks_when_the_figure_is_above_it(metric: str, bound: int, found: int):
    breaches = judge(report(engine(**{metric: found})), CompileBudget(**{metric: float(bound)}))
    assert bool(breaches) == (found > bound)


def test_each_breach_names_its_engine_and_both_figures():
    budget = CompileBudget(engine_bytes=100.0, total_seconds=5.0)
    found = judge(
        report(
            engine(80, engine_bytes=100, seconds=3.0), engine(121, engine_bytes=101, seconds=3.0)
        ),
        budget,
    )
    assert [str(it) for it in found] == [
        "all engines: total_seconds is 6, at most 5",
        "SM121: engine_bytes is 101, at most 100",
    ]


def test_an_engine_that_there_is_not_breaks_no_bound():
    failed = msgspec.structs.replace(engine(engine_bytes=10**9), status="failed")
    assert judge(report(failed), CompileBudget(engine_bytes=1.0)) == ()


def test_an_unknown_bound_and_a_bound_of_nothing_are_refused(tmp_path: Path):
    path = tmp_path / "budget.yaml"
    path.write_text("schema: trt-nemotron/compile-budget/1\nengine_byte: 5\n")
    with pytest.raises(InvalidInput) as caught:
        read_document(path, CompileBudget)
    assert "engine_bytes" in caught.value.next_step
    path.write_text("schema: trt-nemotron/compile-budget/1\nseconds: 0\n")
    with pytest.raises(InvalidInput):
        read_document(path, CompileBudget)


def test_the_shipped_budget_can_be_read(repository: Path):
    budget = read_document(repository / "ci" / "compile-budget.yaml", CompileBudget)
    assert budget.total_seconds == 60
