"""Settings that the user gave with `--set` and `--override`: they go before what is planned."""

from collections.abc import Sequence

from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.configuration.accepting import releases_that_accept
from trt_nemotron.facts.configuration.entry import Written, read_yaml, with_assignments
from trt_nemotron.facts.configuration.finding import Finding
from trt_nemotron.facts.configuration.keys import check_keys
from trt_nemotron.facts.release import RuntimeRelease

_SIZES = {"max_concurrency": ("--max-concurrency", "max_batch_size"),
          "max_seq_len": ("--max-seq-len", "max_seq_len")}  # fmt: skip


def read_given(wishes: Wishes, release: RuntimeRelease) -> Written:
    """The user's settings, each key known to the release and of the right type.

    Raises:
        InvalidInput: an unknown key, a wrong type or value, or a knob given twice.
    """
    name = wishes.overrides_name or "--override"
    written = read_yaml(wishes.overrides.encode(), name) if wishes.overrides else Written()
    written = with_assignments(written, wishes.settings)
    findings = check_keys(written, release, releases_that_accept(release.runtime))
    refuse_errors(findings, wishes.overrides_name)
    given = {entry.path for entry in written.entries}
    for field, (option, key) in _SIZES.items():
        if getattr(wishes, field) is not None and key in given:
            raise InvalidInput(
                f"{key} is given twice",
                evidence=f"by {option} and as a setting",
                next_step="Keep one of the two.",
            )
    return written


def refuse_errors(findings: Sequence[Finding], file_name: str = "") -> None:
    """Raise the first error among `findings`, if there is one.

    Args:
        findings: as the check of a configuration gives them.
        file_name: of the user's file, for findings with a line.

    Raises:
        InvalidInput: with the place, the fix, and how many more there are.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    first = errors[0]
    where = f"{file_name}:{first.line}: " if first.line and file_name else ""
    more = f"and {len(errors) - 1} more errors" if len(errors) > 1 else ""
    raise InvalidInput(
        f"{where}{first.place}: {first.message}",
        evidence="; ".join(part for part in (first.source, more) if part),
        next_step=first.fix,
    )
