import pytest

from trt_nemotron.deploy.choices import Choices
from trt_nemotron.facts.release import RuntimeRelease, Setting

RELEASE = RuntimeRelease(
    runtime="llamacpp",
    release="1",
    about="",
    source="",
    date="",
    settings=(
        Setting(name="n_ctx", type="int", trap="Counts all.", source="a header"),
        Setting(name="mode", type="str", allowed=("on", "off")),
    ),
)


def test_reason_and_source_come_from_the_facts_unless_given():
    choices = Choices(RELEASE)
    choices.add("n_ctx", 512)
    choices.add("mode", "on", "because", source="asked for")
    first, second = choices.all()
    assert (first.reason, first.source) == ("Counts all.", "a header")
    assert (second.reason, second.source) == ("because", "asked for")


def test_a_knob_the_release_does_not_have_cannot_be_chosen():
    with pytest.raises(KeyError, match="n_ctxx"):
        Choices(RELEASE).add("n_ctxx", 1)


def test_a_knob_is_chosen_once_and_takes_allowed_values_only():
    choices = Choices(RELEASE)
    with pytest.raises(ValueError, match="takes"):
        choices.add("mode", "auto")
    choices.add("mode", "on")
    with pytest.raises(ValueError, match="before"):
        choices.add("mode", "off")
