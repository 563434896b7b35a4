"""The extractor, on a tree written for it: the same shapes as upstream's sources, other facts."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ARGUMENTS = """
class Mode(StrEnum):
    FAST = "fast"
    SLOW = "slow"

class Inner(Strict):
    size: PositiveInt = Field(default=4, description="x")
    share: Optional[float] = Field(default=0.5, ge=0, le=1)
    kind: Literal["auto", "none"] = Field(default="auto")
    old: bool = Field(default=False, status="deprecated")
    _hidden: int = 0

class BaseLlmArgs(Strict):
    model: Union[str, Path] = Field(description="not a key")
    mode: Mode = Field(default=Mode.SLOW)
    limit: Optional[int] = None
    either: bool | Literal["auto"] = Field(default="auto")

class TorchLlmArgs(BaseLlmArgs):
    inner: Inner = Field(default_factory=Inner)
    maybe: Optional[Inner] = None
    sizes: Optional[List[int]] = Field(default=None)
    anything: Optional[object] = None
    table: Dict[str, int] = Field(default_factory=dict)
    limit: Optional[int] = Field(default=7)
    def method(self): ...
"""
SERVE = """
@click.command("serve")
@click.argument("model", type=str)
@click.option("--limit", type=int, default=BuildConfig.model_fields["limit"].default)
@click.option("--long_name", "--short", type=float, default=0.9)
@click.option("--config", "--extra_options", "extra_options", type=str, default=None)
@click.option("--on", is_flag=True, default=False)
@click.option("--pick", type=click.Choice(["a", "b"]), default="a")
@click.option("--words", type=str, multiple=True)
def serve(model): ...

@click.command("other")
@click.option("--not_ours", type=int)
def other(): ...
"""
CONTRACT = """
commands:
  serve:
    options:
      limit: {type: int, default: 9, status: beta, multiple: false, is_flag: false,
        flags: ["--limit"]}
      telemetry: {type: bool, default: true, status: deprecated, multiple: false, is_flag: true,
        flags: ["--no-telemetry", "--telemetry"]}
      pick: {type: "Choice(['a', 'b'])", default: null, status: beta, multiple: false,
        is_flag: false, flags: ["--pick"]}
  other:
    options: {}
"""
SERVER = """
class Server:
    def register_routes(self):
        self.app.add_api_route("/health", self.health, methods=["GET"])
        self.app.add_api_route("/v1/x", self.x, methods=["POST"])
    def register_encoder(self):
        self.app.add_api_route("/hidden", self.x, methods=["POST"])
"""
FILES = {
    "tensorrt_llm/version.py": '__version__ = "9.9.9rc1"\n',
    "tensorrt_llm/builder.py": "class BuildConfig:\n    limit: int = Field(default=2048)\n",
    "tensorrt_llm/llmapi/llm_args.py": ARGUMENTS,
    "tensorrt_llm/commands/serve.py": SERVE,
    "tensorrt_llm/serve/openai_server.py": SERVER,
    "tensorrt_llm/llmapi/reasoning_parser.py": '@register_reasoning_parser("nano")\nclass A: ...\n',
    "tensorrt_llm/serve/tool_parser/tool_parser_factory.py": (
        'class F:\n    parsers: dict[str, type] = {"q": Q, "p": P}\n'
    ),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def extract(repository: Path, tree: Path):
    def run() -> dict[str, object]:
        done = subprocess.run(
            [sys.executable, repository / "tools/extract_trtllm.py", "--tree", tree],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert done.stdout.startswith("# version: 9.9.9rc1\n")
        facts: dict[str, object] = yaml.safe_load(done.stdout)
        return facts

    return run


def test_keys_come_with_type_words_bounds_and_default(extract):
    keys = {key.pop("name"): key for key in extract()["keys"]}
    assert keys["mode"] == {"type": "str", "allowed": ["fast", "slow"], "default": "slow"}
    assert keys["inner.size"] == {"type": "int", "minimum": 1, "default": 4}
    assert keys["inner.share"] == {
        "type": "float", "is_nullable": True, "default": 0.5, "minimum": 0, "maximum": 1,
    }  # fmt: skip
    assert keys["inner.old"] == {"type": "bool", "default": False, "is_deprecated": True}
    assert keys["either"] == {"type": "bool", "allowed": ["auto"], "default": "auto"}
    assert keys["maybe"] == {"type": "object", "is_nullable": True}
    assert keys["maybe.kind"] == keys["inner.kind"]
    assert keys["sizes"] == {"type": "list[int]", "is_nullable": True}
    assert keys["anything"]["is_open"]
    assert keys["table"]["is_open"]
    assert keys["limit"]["default"] == 7
    assert not {"model", "inner._hidden", "method"} & keys.keys()


def test_flags_come_from_click_where_there_is_no_contract(extract):
    flags = {flag.pop("name"): flag for flag in extract()["flags"]}
    assert flags["--limit"] == {"type": "int", "default": 2048, "key": "limit"}
    assert flags["--long_name"] == {"type": "float", "aliases": ["--short"], "default": 0.9}
    assert flags["--extra_options"]["aliases"] == ["--config"]
    assert flags["--on"] == {"type": "bool", "default": False}
    assert flags["--pick"] == {"type": "str", "allowed": ["a", "b"], "default": "a"}
    assert flags["--words"]["is_repeatable"]
    assert "--not_ours" not in flags


def test_contract_is_preferred_to_click(extract, tree: Path):
    path = tree / "tests/unittest/api_stability/references/trtllm_serve_cli.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(CONTRACT)
    flags = {flag.pop("name"): flag for flag in extract()["flags"]}
    assert flags["--limit"] == {"type": "int", "default": 9, "key": "limit"}
    assert flags["--telemetry"] == {
        "type": "bool", "aliases": ["--no-telemetry"], "default": True, "is_deprecated": True,
    }  # fmt: skip
    assert flags["--pick"]["allowed"] == ["a", "b"]


def test_endpoints_and_parsers_are_found(extract):
    facts = extract()
    assert facts["endpoints"] == [
        {"path": "/health", "methods": ["GET"]},
        {"path": "/v1/x", "methods": ["POST"]},
    ]
    assert facts["parsers"] == {"reasoning": ["nano"], "tool": ["p", "q"]}


def test_difference_from_a_shipped_release_is_named(repository: Path, tree: Path):
    tool = repository / "tools/extract_trtllm.py"
    done = subprocess.run(
        [sys.executable, tool, "--tree", tree, "--compare", "1.3.0rc6"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "keys: cuda_graph_config: not in the sources" in done.stdout
    assert "keys: inner.size: not in the shipped file" in done.stdout
