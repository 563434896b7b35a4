"""Forty wrong files and more, each caught with its fix named; right ones accepted."""


def test_there_are_forty_wrong_files_of_every_kind(wrong_cases):
    said = [case.said for case in wrong_cases]
    assert len(said) >= 40
    kinds = {it["rule"] for it in said}
    assert kinds >= {"unknown-key", "moved-key", "wrong-type", "not-allowed", "out-of-range"}
    assert kinds >= {"conflict", "given-twice", "unknown-flag", "block-reuse-on-hybrid"}
    assert len({it["release"] for it in said}) >= 5


def test_wrong_file_is_caught_and_the_fix_named(wrong_case, check_case):
    rule, place = wrong_case.said["rule"], wrong_case.said["place"]
    findings = check_case(wrong_case)
    errors = [it for it in findings if it.severity == "error"]
    found = [it for it in errors if (it.rule, it.place) == (rule, place)]
    assert found, [(it.rule, it.place, it.message) for it in findings]
    assert wrong_case.said["fix"] in found[0].fix
    if found[0].line:
        assert found[0].line == wrong_case.line_of(place)


def test_wrong_file_is_not_accused_of_anything_else(wrong_case, check_case):
    allowed = {wrong_case.said["rule"], wrong_case.said.get("also", "")}
    errors = {it.rule for it in check_case(wrong_case) if it.severity == "error"}
    assert errors <= allowed


def test_right_file_is_accepted(right_case, check_case):
    assert not [it for it in check_case(right_case) if it.severity == "error"]


def test_model_card_is_accepted_and_warned_of_the_state_dtype(card, check_case):
    findings = check_case(card)
    assert [it.rule for it in findings] == ["state-dtype"]
    assert findings[0].fix == "Write float32."
