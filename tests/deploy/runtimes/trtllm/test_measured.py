"""What a start measured goes into the next plan."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from trt_nemotron.cli.plan import command
from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.observed import Observed, observe
from trt_nemotron.deploy.plan import LedgerLine, Plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.document import to_json
from trt_nemotron.errors import InvalidInput

LOGS = Path(__file__).parent / "start_logs"
GIB = 1 << 30
MakePlan = Callable[..., Plan]


def observed_text(plan: Plan, log: str) -> str:
    manifest = Manifest(
        name="",
        tool_version="",
        target=plan.target,
        runtime="trtllm",
        release=plan.release,
        served_model_name="",
        configuration_sha256="",
        model_path="",
        files=(),
    )
    text = (LOGS / f"{log}.log").read_text(encoding="utf-8")
    observed: Observed = observe(plan, manifest, text, get_runtime("trtllm"))
    return to_json(observed).decode()


def line(plan: Plan, name: str) -> LedgerLine:
    return plan.ledger.line(name)


@pytest.fixture(scope="module")
def h100(make_plan: MakePlan) -> str:
    """Of a start with 8,192 tokens a step, 32 requests and 7 graphs."""
    return observed_text(make_plan(release="1.3.0rc3"), "h100-1.3.0rc3")


def test_assumed_lines_are_replaced_by_measured_ones(make_plan: MakePlan, h100: str):
    assumed, plan = make_plan(release="1.3.0rc3"), make_plan(release="1.3.0rc3", observed=h100)
    assert line(assumed, "workspace").status == line(assumed, "cuda_graphs").status == "assumed"
    workspace, graphs = line(plan, "workspace"), line(plan, "cuda_graphs")
    assert (workspace.status, graphs.status) == ("measured", "measured")
    assert workspace.size_bytes == pytest.approx(1.18 * GIB, abs=0.01 * GIB)
    assert graphs.size_bytes == pytest.approx((1.87 - 0.52) * GIB, abs=0.01 * GIB)
    assert line(plan, "autotuner").status == "assumed"
    assert line(plan, "kv_cache") == line(assumed, "kv_cache")


def test_a_step_of_another_size_was_not_measured(make_plan: MakePlan, h100: str):
    plan = make_plan(release="1.3.0rc3", observed=h100, settings=("max_num_tokens=4096",))
    assert line(plan, "workspace").status == "assumed"
    assert line(plan, "cuda_graphs").status == "measured"


def test_other_graphs_were_not_measured(make_plan: MakePlan, h100: str):
    plan = make_plan(release="1.3.0rc3", observed=h100, max_concurrency=8)
    assert line(plan, "workspace").status == "measured", "a smaller batch needs no more"
    assert line(plan, "cuda_graphs").status == "assumed"


def test_a_larger_batch_was_not_measured(make_plan: MakePlan, h100: str):
    plan = make_plan(release="1.3.0rc3", observed=h100, max_concurrency=64)
    assert line(plan, "workspace").status == "assumed"


def test_where_host_and_device_share_memory_only_the_step_is_taken(make_plan: MakePlan):
    text = observed_text(make_plan("spark", release="1.3.0rc14"), "spark-1.3.0rc14")
    plan = make_plan("spark", release="1.3.0rc14", observed=text)
    assert line(plan, "workspace").status == "measured"
    assert line(plan, "cuda_graphs").status == "assumed", "22.9 GiB are the page cache's too"


def test_a_log_that_told_nothing_changes_nothing(make_plan: MakePlan, h100: str, tmp_path: Path):
    empty = h100[: h100.index('"facts": [')] + '"facts": []\n}'
    plan, assumed = make_plan(release="1.3.0rc3", observed=empty), make_plan(release="1.3.0rc3")
    assert plan.ledger == assumed.ledger


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"target": "h100-pcie"}, "target h100-sxm, not h100-pcie"),
        ({"release": "1.3.0rc6"}, "release 1.3.0rc3, not 1.3.0rc6"),
    ],
)
def test_figures_of_another_start_are_refused(
    make_plan: MakePlan, h100: str, other: dict[str, str], words: str
):
    with pytest.raises(InvalidInput) as caught:
        make_plan(**{"release": "1.3.0rc3", "observed": h100, **other})
    assert words in caught.value.evidence
    assert caught.value.next_step


def test_figures_of_another_network_are_refused(make_plan: MakePlan, h100: str):
    other = h100.replace('"hidden_size": 3136', '"hidden_size": 4480')
    with pytest.raises(InvalidInput) as caught:
        make_plan(release="1.3.0rc3", observed=other)
    assert "another shape" in caught.value.evidence


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "trt-nemotron/plan/1"}'])
def test_what_is_no_such_file_is_refused_by_its_name(make_plan: MakePlan, text: str):
    with pytest.raises(InvalidInput, match=r"seen\.json"):
        make_plan(release="1.3.0rc3", observed=text, observed_name="seen.json")


def test_the_command_line_takes_the_file_of_a_bundle(tmp_path: Path, h100: str):
    file = tmp_path / "observed.json"
    file.write_text(h100)
    arguments = ["--target", "h100-sxm", "--runtime", "trtllm", "--release", "1.3.0rc3", "--json"]
    arguments += ["--checkpoint", "nemotron-3-nano-4b-bf16", "--observed", str(file)]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    assert '"status": "measured"' in done.output


def test_a_runtime_that_reads_no_such_file_says_so(tmp_path: Path, h100: str):
    file = tmp_path / "observed.json"
    file.write_text(h100)
    done = CliRunner().invoke(command, ["--target", "cpu", "--observed", str(file)])
    assert isinstance(done.exception, InvalidInput)
    assert "--observed" in done.exception.message
