"""A runtime release: what one version of a runtime accepts, does, and is known to break on."""

from typing import ClassVar, Literal

import msgspec

from trt_nemotron.document import Document, Value
from trt_nemotron.facts.contract import (
    CacheVariable,
    Endpoint,
    Exactness,
    HybridRules,
    MovedKey,
    Parsers,
    Payload,
    Precedence,
)
from trt_nemotron.facts.figure import Figure
from trt_nemotron.facts.target import RuntimeName

SettingType = Literal[
    "int", "float", "bool", "str", "list[int]", "list[float]", "list[str]", "list", "object"
]


class Setting(Value, frozen=True, kw_only=True):
    """One knob of a release.

    Attributes:
        default: what the runtime takes when nothing is said; meaningless without
            `is_default_known`.
        allowed: the values it takes; for a list, what each member may be; for another type than
            `str`, words that are taken besides.
        minimum, maximum: inclusive bounds.
        trap: why the default must not be relied on; empty when it may.
        is_nullable: whether `null` may be written.
        is_open: an `object` whose inner keys are not listed here, hence not checked.
        certainty: `confirmed` when seen before and after the release (or in it), `likely` when
            seen on one side only.
    """

    name: str
    type: SettingType
    default: int | float | bool | str | None = None
    allowed: tuple[int | float | str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    trap: str = ""
    source: str = ""
    is_default_known: bool = True
    is_nullable: bool = False
    is_open: bool = False
    is_deprecated: bool = False
    certainty: Literal["confirmed", "likely"] = "confirmed"


class Flag(Setting, frozen=True, kw_only=True):
    """One flag of the server's command line; a `bool` takes no value.

    Attributes:
        aliases: other spellings, among them the one that switches a `bool` off.
        key: the key of the configuration file that it sets; empty when the file has none.
    """

    aliases: tuple[str, ...] = ()
    key: str = ""
    is_repeatable: bool = False


class Program(Value, frozen=True, kw_only=True):
    """A program of the release other than its server.

    Attributes:
        name: as it is installed.
        also: how else it is called, in words: `trtedge build`; empty when it is not.
        about: what it does, one sentence.
    """

    name: str
    also: str = ""
    about: str
    flags: tuple[Flag, ...] = ()

    def flag(self, name: str) -> Flag:
        """The flag called `name`; `KeyError` when the program has none."""
        for flag in self.flags:
            if flag.name == name:
                return flag
        raise KeyError(name)


class Defect(Value, frozen=True, kw_only=True):
    """Something a release is known to do wrong, whom it hits, and what we do about it.

    Attributes:
        targets: boards it hits; none named means all.
        effect: `answered` when our settings avoid it, `limits` when users should know of it,
            `breaks` when nothing but another release, board or checkpoint helps.
        quantizations: forms of weights it hits, as checkpoints are described; none means all.
    """

    id: str
    summary: str
    source: str
    targets: tuple[str, ...] = ()
    answer: str
    effect: Literal["answered", "limits", "breaks"] = "answered"
    quantizations: tuple[str, ...] = ()


class KnownFailure(Value, frozen=True, kw_only=True):
    """A line of a failing server's log that we can explain.

    Attributes:
        pattern: a regular expression searched for in each line of the log.
    """

    pattern: str
    cause: str
    next_step: str


class RuntimeRelease(Document, frozen=True, kw_only=True):
    """A runtime at one version.

    Attributes:
        figures: numbers that a memory ledger needs and no formula gives, by name.
        settings: knobs, for a runtime whose flags and files need not be told apart.
        extends: the release before it; what is not said here is as it was there.
        keys: keys of the configuration file, dotted; with `extends`, those added or changed.
        flags: flags of the command line; with `extends`, those added or changed.
        removed_keys, removed_flags, removed_defects: what `extends` had and this one has not.
        moved: keys that people still write and this release does not take.
        image: the container's name without its digest, which is resolved on the day of use.
        programs: what the release installs beside its server.
        payloads: native parts by platform, where a package holds more than one.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/runtime-release/1"

    runtime: RuntimeName
    release: str
    about: str
    source: str
    date: str
    settings: tuple[Setting, ...] = ()
    defects: tuple[Defect, ...] = ()
    known_failures: tuple[KnownFailure, ...] = ()
    figures: dict[str, Figure] = msgspec.field(default_factory=dict)
    extends: str = ""
    exactness: Exactness | None = None
    image: str = ""
    precedence: Precedence | None = None
    hybrids: HybridRules | None = None
    keys: tuple[Setting, ...] = ()
    flags: tuple[Flag, ...] = ()
    removed_keys: tuple[str, ...] = ()
    removed_flags: tuple[str, ...] = ()
    removed_defects: tuple[str, ...] = ()
    moved: tuple[MovedKey, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    parsers: Parsers | None = None
    cache_variables: tuple[CacheVariable, ...] = ()
    programs: tuple[Program, ...] = ()
    payloads: tuple[Payload, ...] = ()

    def setting(self, name: str) -> Setting:
        """The knob called `name`; `KeyError` when the release has none."""
        for setting in self.settings:
            if setting.name == name:
                return setting
        raise KeyError(name)

    def flag(self, name: str) -> Flag:
        """The server's flag called `name`; `KeyError` when the release has none."""
        for flag in self.flags:
            if flag.name == name:
                return flag
        raise KeyError(name)

    def program(self, name: str) -> Program:
        """The program called `name`; `KeyError` when the release has none."""
        for program in self.programs:
            if program.name == name:
                return program
        raise KeyError(name)
