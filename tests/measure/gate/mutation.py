"""Mutation run of gate and baselines: change their source in small wrong ways, see tests fail.

    python tests/measure/gate/mutation.py [--every N] [--first K] [--only MODULE ...] [--tests-pass]

Comparisons are flipped, directions and ends of intervals swapped, numbers moved, `and` and `or`
exchanged, conditions negated. Each mutant runs in a process forked from one that has everything
imported but the gate, so that a mutant costs about as much as the tests themselves. Prints JSON.
"""

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[2]
MEASURE = ROOT / "trt_nemotron" / "measure"
MODULES = tuple(
    f"{package}.{path.stem}"
    for package in ("gate", "baselines")
    for path in sorted((MEASURE / package).glob("*.py"))
    if path.stem not in {"__init__", "values"}
)
"""All that decides; the values themselves only hold what was decided."""
LONGEST_SECONDS = 120

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
REVERSED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip
WORDS = {
    "lower_is_better": "higher_is_better", "higher_is_better": "lower_is_better",
    "at_most": "at_least", "at_least": "at_most", "pass": "fail", "fail": "pass",
    "invalid": "pass", "no_baseline": "pass", "inconclusive": "pass", "ok": "timeout",
    "absolute": "relative", "relative": "absolute",
}  # fmt: skip
NAMES = {"Cost": "Gain", "Gain": "Cost", "low": "high", "high": "low", "worst": "best",
         "best": "worst"}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    module: str
    line: int
    what: str
    source: str


def mutants(module: str) -> Iterator[Mutant]:
    package, _, name = module.partition(".")
    tree = ast.parse((MEASURE / package / f"{name}.py").read_text())
    nodes = list(_judging_nodes(tree))
    for place, node in enumerate(nodes):
        for what, change in _changes(node):
            changed = copy.deepcopy(tree)
            target = list(_judging_nodes(changed))[place]
            before = ast.unparse(node)
            change(target)
            ast.fix_missing_locations(changed)
            after = ast.unparse(target)
            yield Mutant(module, node.lineno, f"{what}: {before} -> {after}", ast.unparse(changed))


def _judging_nodes(tree: ast.AST) -> Iterator[Any]:
    """Nodes outside annotations, messages and raised errors: what is said is not what is judged."""
    for field, value in ast.iter_fields(tree):
        if field in {"annotation", "returns", "decorator_list"} or _is_struct_option(tree, field):
            continue
        for node in value if isinstance(value, list) else [value]:
            if not isinstance(node, ast.AST) or isinstance(node, (ast.JoinedStr, ast.Raise)):
                continue
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
                continue
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue
            if isinstance(node, ast.expr):
                yield node
            yield from _judging_nodes(node)


def _is_struct_option(node: ast.AST, field: str) -> bool:
    """`frozen=True, kw_only=True` of a class: how it is built, not what it decides."""
    return isinstance(node, ast.ClassDef) and field == "keywords"


def _changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for table in (COMPARISONS, REVERSED):
                if type(operator) in table:
                    yield "comparison", _set_item("ops", place, table[type(operator)]())
    elif isinstance(node, ast.Constant):
        yield from _constant_changes(node)
    elif isinstance(node, (ast.Attribute, ast.Name)):
        field = "attr" if isinstance(node, ast.Attribute) else "id"
        if getattr(node, field) in NAMES and isinstance(node.ctx, ast.Load):
            yield "name", _set(field, NAMES[getattr(node, field)])
    else:
        yield from _logic_changes(node)


def _logic_changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    if isinstance(node, ast.BoolOp):
        yield "and/or", _set("op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield "arithmetic", _set("op", ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not", _set("operand", ast.UnaryOp(ast.Not(), node.operand))
    elif isinstance(node, ast.IfExp):
        yield "condition", _set("test", ast.UnaryOp(ast.Not(), node.test))


def _constant_changes(node: ast.Constant) -> Iterator[tuple[str, Any]]:
    value = node.value
    if isinstance(value, bool):
        yield "bool", _set("value", not value)
    elif isinstance(value, (int, float)):
        yield "number", _set("value", value + 1)
    elif isinstance(value, str) and value in WORDS:
        yield "word", _set("value", WORDS[value])


def _set(field: str, value: Any) -> Any:
    return lambda node: setattr(node, field, value)


def _set_item(field: str, place: int, value: Any) -> Any:
    return lambda node: getattr(node, field).__setitem__(place, value)


class MutantLoader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the one module its mutated source."""

    def __init__(self, mutant: Mutant) -> None:
        self.name = f"trt_nemotron.measure.{mutant.module}"
        self.source = mutant.source

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def exec_module(self, module: Any) -> None:
        exec(compile(self.source, "mutant", "exec"), module.__dict__)  # noqa: S102 - ours


def is_killed(mutant: Mutant) -> bool:
    """Whether the package's tests fail with the mutant in place.

    The tests that are likeliest to fail run by themselves first: most mutants then die before the
    others are even read.
    """
    likely, others = _tests_for(mutant.module)
    return _do_fail(likely, mutant) or _do_fail(others, mutant)


def do_tests_fail_unchanged(modules: Sequence[str]) -> bool:
    """Whether the tests of these modules fail without any mutant, so that they tell nothing."""
    groups = (group for module in modules for group in _tests_for(module))
    paths = dict.fromkeys(path for group in groups for path in group)
    served = [path for path in paths if path.stem == SERVED]
    others = [path for path in paths if path.stem != SERVED]
    return _do_fail(others, None) or (bool(served) and _do_fail(served, None))


def _do_fail(tests: Sequence[Path], mutant: Mutant | None) -> bool:
    """In a process of its own, for what is imported once stays."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = _run_tests(tests, mutant)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == NOTHING_RAN:
        names = ", ".join(path.name for path in tests)
        raise RuntimeError(f"no test ran of {names or 'no file'}")
    return status != 0


def _run_tests(tests: Sequence[Path], mutant: Mutant | None) -> int:
    import signal

    import pytest

    signal.alarm(LONGEST_SECONDS)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    if mutant is not None:
        sys.meta_path.insert(0, MutantLoader(mutant))
    options = ["-x", "-q", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    for plugin in ("randomly", "cacheprovider", "faulthandler"):
        options += ["-p", f"no:{plugin}"]
    if any(path.stem == SERVED for path in tests):
        options += ["-m", ""]
    return int(pytest.main([*options, f"--rootdir={ROOT}", *map(str, tests)]))


LIKELIEST = {
    "gate.ab": "ab_looks ab ab_requests", "gate.ab_judge": "ab_pair ab ab_requests",
    "gate.ab_pair": "ab_pair ab_requests ab", "gate.absolute": "drift judge",
    "gate.baseline": "judge", "gate.demands": "smoke_rule machine_rule budget",
    "gate.examined": "place judge",
    "gate.history": "changepoint between_runs", "gate.key": "judge",
    "gate.relative": "drift judge between_runs", "gate.result": "judge", "gate.rule": "rule tail",
    "gate.validity": "validity judge", "baselines.finding": "ledger",
    "baselines.git_branch": "storage",
}  # fmt: skip
"""Whose tests kill a module's mutants soonest, where it is not only those called like it."""
SLOWEST = ("ab", "ab_requests", "between_runs", "ab_record")
"""Left to the end."""
SERVED = "test_bucket"
"""Needs a server, so all of it is marked slow; it runs by itself, for its own module alone."""
NOTHING_RAN = 5
"""How pytest ends where it found no test: that kills nothing."""


def _tests_for(module: str) -> tuple[list[Path], list[Path]]:
    """The tests of the module's package that are likeliest to kill it, and all others."""
    package, _, name = module.partition(".")
    stems = [f"test_{each}" for each in LIKELIEST.get(module, name).split()]
    found = {path.stem: path for path in sorted((FOLDER.parent / package).glob("test_*.py"))}
    likely = [found[stem] for stem in stems]
    slow = {f"test_{each}" for each in SLOWEST}
    left_out = {*stems, SERVED, "test_mutants", "test_mutants_further"}
    others = [stem for stem in found if stem not in left_out]
    return likely, [found[stem] for stem in sorted(others, key=slow.__contains__)]


def _import_all_but_the_gate() -> None:
    """What every child would import again."""
    import hypothesis  # noqa: F401
    import pytest  # noqa: F401
    import yaml  # noqa: F401

    import trt_nemotron.facts.location
    import trt_nemotron.measure.bench.figures
    import trt_nemotron.measure.smoke.values  # noqa: F401


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="run every N-th mutant only")
    parser.add_argument("--first", type=int, default=0, help="begin with the K-th of them")
    parser.add_argument("--only", choices=MODULES, nargs="+", help="mutate these modules only")
    parser.add_argument(
        "--tests-pass", action="store_true", help="do not run them without any mutant first"
    )
    chosen = parser.parse_args()
    os.chdir(ROOT)
    _import_all_but_the_gate()
    names = chosen.only or MODULES
    if not chosen.tests_pass and do_tests_fail_unchanged(names):
        sys.exit("the tests fail without any mutant")
    everything = [mutant for name in names for mutant in mutants(name)]
    tried = everything[chosen.first :: chosen.every]
    survived = [f"{m.module}:{m.line} {m.what}" for m in tried if not is_killed(m)]
    report = {"mutants": len(everything), "tried": len(tried), "survived": survived}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
