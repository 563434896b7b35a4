"""One value against one setting: type, allowed words, bounds."""

import difflib
import re
from collections.abc import Sequence

from trt_nemotron.facts.release import Setting

UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
TYPE_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list[int]": "a list of whole numbers",
    "list[float]": "a list of numbers",
    "list[str]": "a list of words",
    "list": "a list",
    "object": "a mapping",
}


def fault_of(setting: Setting, value: object) -> tuple[str, str, str] | None:
    """What is wrong with `value`: the rule broken, the message, the fix; nothing when it is right.

    Args:
        setting: what the release accepts there.
        value: as YAML reads it.
    """
    if value is None:
        return _null_fault(setting)
    if setting.type == "object":
        return None if value == {} or setting.is_open else _type_fault(setting, value)
    if setting.type.startswith("list"):
        return _list_fault(setting, value)
    if setting.type != "str" and value in setting.allowed and isinstance(value, str):
        return None
    if not _has_type(setting.type, value):
        return _type_fault(setting, value)
    return _content_fault(setting, value)


def _null_fault(setting: Setting) -> tuple[str, str, str] | None:
    if setting.is_nullable or (setting.is_open and setting.type == "object"):
        return None
    fix = f"Give {TYPE_WORDS[setting.type]}, or leave the key out."
    return ("wrong-type", "it may not be empty or null", fix)


def _list_fault(setting: Setting, value: object) -> tuple[str, str, str] | None:
    if not isinstance(value, list):
        return _type_fault(setting, value)
    member = setting.type.removeprefix("list").strip("[]")
    for item in value:
        if member and not _has_type(member, item):
            return ("wrong-type", f"{item!r} in it is not {TYPE_WORDS[member]}", "Correct it.")
        fault = _content_fault(setting, item)
        if fault:
            return fault
    return None


def _has_type(kind: str, value: object) -> bool:
    if isinstance(value, bool):
        return kind == "bool"
    if kind == "int":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if kind == "float":
        return isinstance(value, int | float)
    return kind == "str" and isinstance(value, str)


def _type_fault(setting: Setting, value: object) -> tuple[str, str, str]:
    wanted = TYPE_WORDS[setting.type]
    return ("wrong-type", f"{value!r} is not {wanted}", f"Write {_corrected(setting, value)}.")


def _corrected(setting: Setting, value: object) -> str:
    """The value that was probably meant, or what kind of value to write."""
    if setting.type in {"int", "float"} and isinstance(value, str):
        number = number_meant(value)
        if number is not None:
            return f"{number}, without quotes or units"
    if setting.type == "bool":
        words = {"true": "true", "false": "false", "1": "true", "0": "false"}
        word = words.get(str(value).casefold())
        return f"{word}, without quotes" if word else TYPE_WORDS["bool"]
    if setting.type.startswith("list") and isinstance(value, int | float | str):
        return f"it as a list: [{value}]"
    if setting.type == "object":
        return "its keys below it, indented"
    if setting.type == "str" and setting.allowed:
        return "one of: " + ", ".join(map(str, setting.allowed))
    return TYPE_WORDS[setting.type]


def number_meant(text: str) -> int | float | None:
    """The number in `16GiB`, `4e9` or `"32"`; nothing when there is none."""
    match = re.fullmatch(r"\s*([\d_.]+(?:[eE][+-]?\d+)?)\s*([kKmMgG]i?)?[bB]?\s*", text)
    if match is None:
        return None
    try:
        number = float(match.group(1)) * UNITS.get((match.group(2) or "").casefold(), 1)
    except ValueError:
        return None
    return int(number) if number.is_integer() else number


def _content_fault(setting: Setting, value: object) -> tuple[str, str, str] | None:
    if setting.type in {"str", "list[str]"}:
        return _word_fault(setting, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return _bound_fault(setting, value)


def _word_fault(setting: Setting, value: object) -> tuple[str, str, str] | None:
    if not setting.allowed or value in setting.allowed:
        return None
    words = [str(word) for word in setting.allowed]
    nearest = nearest_word(str(value), words)
    fix = f"Write {nearest}." if nearest else f"Write one of: {', '.join(words)}."
    return ("not-allowed", f"{value!r} is none of: {', '.join(words)}", fix)


def nearest_word(word: str, words: Sequence[str]) -> str:
    """The word most like `word`, case and separators aside; empty when none is."""
    plain = {re.sub(r"[-_. ]", "", known).casefold(): known for known in words}
    wanted = re.sub(r"[-_. ]", "", word).casefold()
    found = difflib.get_close_matches(wanted, plain, n=1, cutoff=0.6)
    return plain[found[0]] if found else ""


def _bound_fault(setting: Setting, value: float) -> tuple[str, str, str] | None:
    low, high = setting.minimum, setting.maximum
    if low is not None and value < low:
        return ("out-of-range", f"{value} is below {low:g}", f"Write {low:g} or more.")
    if high is not None and value > high:
        within = f"between {low or 0:g} and {high:g}"
        return ("out-of-range", f"{value} is above {high:g}", f"Write a value {within}.")
    return None
