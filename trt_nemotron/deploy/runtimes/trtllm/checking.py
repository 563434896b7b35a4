"""The whole configuration of a plan held against its release, as `config lint` does it."""

import shlex

from trt_nemotron.deploy.runtimes.trtllm.given import refuse_errors
from trt_nemotron.deploy.runtimes.trtllm.render import flag_words
from trt_nemotron.deploy.runtimes.trtllm.settings import Settings, is_flag
from trt_nemotron.deploy.runtimes.trtllm.situation import Situation
from trt_nemotron.facts.configuration.accepting import releases_that_accept
from trt_nemotron.facts.configuration.check import check_configuration
from trt_nemotron.facts.configuration.finding import Finding


def check_settings(settings: Settings, at: Situation, file_name: str = "") -> tuple[str, ...]:
    """Warnings of the check; what the board's and the release's standing is was said before.

    Args:
        settings: everything chosen.
        at: what it was chosen for.
        file_name: of the user's file, for messages.

    Raises:
        InvalidInput: a pair of settings that cannot stand together, or anything else that the
            server would refuse; it can only come from what the user gave.
    """
    flags = flag_words(choice for choice in settings.all() if is_flag(choice.name))
    findings = [
        finding
        for finding in check_configuration(
            settings.written(),
            at.release,
            accepting=releases_that_accept(at.release.runtime),
            flags=shlex.join(("trtllm-serve", *flags)),
            target=at.target,
        )
        if finding.rule != "target" and not finding.rule.startswith("defect:")
    ]
    refuse_errors(findings, file_name)
    unconfirmed = [finding.place for finding in findings if finding.rule == "not-confirmed"]
    told = [_warning(finding) for finding in findings if finding.rule != "not-confirmed"]
    if unconfirmed:
        told.append(f"Likely, not confirmed for {at.release.release}: {', '.join(unconfirmed)}.")
    return tuple(told)


def _warning(finding: Finding) -> str:
    source = f" ({finding.source})" if finding.source else ""
    return f"{finding.place}: {finding.message.rstrip('.')}. {finding.fix}{source}"
