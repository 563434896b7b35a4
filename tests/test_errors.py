import re
from pathlib import Path

from trt_nemotron import errors
from trt_nemotron.errors import InvalidInput, TrtNemotronError


def error_classes() -> list[type[TrtNemotronError]]:
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, TrtNemotronError)
    ]


def test_drawing_at_the_top_names_every_class_with_its_code():
    drawn = dict(re.findall(r"^[\s│├└─]*([A-Z]\w+)\s+(\d+)", errors.__doc__ or "", re.MULTILINE))
    assert {kind.__name__: str(kind.exit_code) for kind in error_classes()} == {
        name: code
        for name, code in drawn.items()
        if name not in {"KeyboardInterrupt", "Interrupted"}
    }


def test_documentation_lists_every_exit_code(repository: Path):
    table = (repository / "docs" / "exit-codes.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert documented == {0, 130, 141, 143} | {kind.exit_code for kind in error_classes()}


def test_text_holds_what_failed_the_evidence_and_the_next_step():
    fault = InvalidInput("what", evidence="seen", next_step="do this")
    assert str(fault) == "what\nseen\ndo this"


def test_interruption_is_not_swallowed_by_a_handler_of_our_own_errors():
    assert not issubclass(errors.Interrupted, Exception)
    assert issubclass(errors.Interrupted, KeyboardInterrupt)
