"""What is told of TensorRT-LLM: complete, sourced, and in agreement with itself."""

import re

import msgspec
import pytest

from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.catalogue import load_release, release_names, target_names
from trt_nemotron.facts.configuration.values import fault_of
from trt_nemotron.facts.contract import MovedKey
from trt_nemotron.facts.inheritance import inherit
from trt_nemotron.facts.release import Defect, Flag, RuntimeRelease, Setting

WANTED = ("1.2.1", "1.3.0rc6", "1.3.0rc13", "1.3.0rc14", "1.3.0rc18", "1.4.0rc1")
BOARDS = {"thor", "spark", "h100-sxm", "h100-pcie", "h100-nvl"}


@pytest.fixture(scope="module", params=release_names("trtllm"))
def release(request: pytest.FixtureRequest) -> RuntimeRelease:
    return load_release("trtllm", request.param)


def test_the_releases_asked_for_are_there_in_their_order():
    names = release_names("trtllm")
    assert [name for name in names if name in WANTED] == list(WANTED)


def test_release_says_how_well_it_is_known(release: RuntimeRelease):
    assert release.exactness is not None
    assert len(release.exactness.evidence) > 80
    assert release.source
    assert release.image.endswith(f":{release.release}")


def test_release_is_complete_once_joined(release: RuntimeRelease):
    assert release.precedence is not None
    assert release.precedence.source
    assert release.hybrids is not None
    assert release.hybrids.source
    assert release.parsers is not None
    assert "nano-v3" in release.parsers.reasoning
    assert "qwen3_coder" in release.parsers.tool
    assert {"/health", "/health_generate", "/v1/models"} <= {it.path for it in release.endpoints}
    assert "TRITON_CACHE_DIR" in {it.name for it in release.cache_variables}


def test_names_stand_once(release: RuntimeRelease):
    for names in (
        [it.name for it in release.keys],
        [spelling for it in release.flags for spelling in (it.name, *it.aliases)],
        [it.id for it in release.defects],
        [it.old for it in release.moved],
        [it.path for it in release.endpoints],
    ):
        assert len(names) == len(set(names))


def test_every_section_of_a_key_is_a_key_and_takes_others(release: RuntimeRelease):
    settings = {it.name: it for it in release.keys}
    for name in settings:
        section = name.rpartition(".")[0]
        if section:
            assert settings[section].type == "object", name


def test_every_default_is_a_value_that_the_setting_takes(release: RuntimeRelease):
    for setting in (*release.keys, *release.flags):
        if setting.default is not None:
            assert setting.is_default_known
            assert fault_of(setting, setting.default) is None, setting


def test_every_flag_sets_a_key_that_exists(release: RuntimeRelease):
    keys = {it.name for it in release.keys}
    assert not [it.name for it in release.flags if it.key and it.key not in keys]


def test_moved_keys_lead_somewhere_or_say_why_not(release: RuntimeRelease):
    known = {it.name for it in release.keys} | {it.name for it in release.flags}
    is_open = tuple(f"{it.name}." for it in release.keys if it.is_open)
    for move in release.moved:
        assert move.new or move.note, move
        assert move.source.startswith("https://")
        assert not move.new or move.new in known or move.new.startswith(is_open), move
        deprecated = {it.name for it in release.keys if it.is_deprecated}
        assert move.old not in known or move.old in deprecated, move


def test_every_fact_that_is_not_in_the_sources_alone_has_its_source(release: RuntimeRelease):
    assert all(it.source.startswith("https://") and it.answer for it in release.defects)
    assert all(it.source for it in (*release.endpoints, *release.cache_variables))
    assert all(it.source for it in (*release.keys, *release.flags) if it.trap)


def test_defects_hit_boards_that_exist(release: RuntimeRelease):
    known = BOARDS | set(target_names())
    assert {name for it in release.defects for name in it.targets} <= known


def test_patterns_of_known_failures_compile(release: RuntimeRelease):
    for failure in release.known_failures:
        re.compile(failure.pattern)
        assert failure.next_step


def test_what_release_notes_date_is_where_they_say():
    flags = {name: {it.name for it in load_release("trtllm", name).flags} for name in WANTED}
    for name in ("--served_model_name", "--kv_cache_dtype"):
        assert [name in flags[it] for it in WANTED] == [False, False, True, True, True, True]
    winners = [load_release("trtllm", name).precedence for name in WANTED]
    assert [it.winner for it in winners if it] == ["file"] * 4 + ["flag"] * 2
    bad = [
        name
        for name in WANTED
        if "gb10-hybrid-kv-estimation" in {it.id for it in load_release("trtllm", name).defects}
    ]
    assert bad == ["1.3.0rc18", "1.4.0rc1"]


def minimal(**said: object) -> RuntimeRelease:
    return RuntimeRelease(
        runtime="trtllm", release="1", about="", source="", date="2026-11-23", **said
    )


def test_child_keeps_replaces_adds_and_removes():
    parent = minimal(
        keys=(Setting(name="a", type="int"), Setting(name="b", type="int")),
        flags=(Flag(name="--a", type="int"),),
        moved=(MovedKey(old="x", source="s"),),
    )
    child = minimal(
        keys=(Setting(name="b", type="str"), Setting(name="c", type="bool")),
        removed_keys=("a",),
        removed_flags=("--a",),
        defects=(Defect(id="d", summary="", source="", answer=""),),
    )
    joined = inherit(child, parent)
    assert [(it.name, it.type) for it in joined.keys] == [("b", "str"), ("c", "bool")]
    assert joined.flags == ()
    assert joined.moved == parent.moved
    assert joined.defects == child.defects


def test_child_that_says_nothing_is_its_parent_by_another_name(release: RuntimeRelease):
    child = minimal(extends=release.release)
    joined = inherit(child, release)
    own = ("release", "about", "source", "date", "extends", "exactness", "settings")
    for field in msgspec.structs.fields(RuntimeRelease):
        if field.name not in own:
            assert getattr(joined, field.name) == getattr(release, field.name), field.name


def test_child_that_removes_what_was_never_there_is_refused():
    with pytest.raises(InvalidInput, match="nowhere"):
        inherit(minimal(removed_keys=("nowhere",)), minimal())
