"""A Python type annotation, as written in source, read as the type of a setting."""

import ast
from dataclasses import dataclass, replace

SCALARS = {"int": "int", "float": "float", "bool": "bool", "str": "str", "Path": "str"}
CONSTRAINED = {
    "PositiveInt": ("int", 1),
    "NonNegativeInt": ("int", 0),
    "NonNegativeFloat": ("float", 0),
    "_StrictPositiveInt": ("int", 1),
    "_StrictNonNegativeInt": ("int", 0),
}
LISTS = {"List", "list", "Set", "set", "Sequence", "Tuple", "tuple"}


@dataclass(frozen=True, slots=True)
class Annotated:
    """What an annotation says; `class_name` names the nested model, if it is one."""

    type: str = "object"
    is_nullable: bool = False
    allowed: tuple[int | float | str, ...] = ()
    minimum: float | None = None
    class_name: str = ""


def read_annotation(
    node: ast.expr, models: set[str], enums: dict[str, tuple[str, ...]]
) -> Annotated:
    """The annotation's meaning; what is not understood becomes an open object.

    Args:
        node: the annotation.
        models: names of the classes that are models of their own.
        enums: values of the enumerations, by class.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return read_annotation(ast.parse(node.value, mode="eval").body, models, enums)
    if isinstance(node, ast.Name):
        return _named(node.id, models, enums)
    if isinstance(node, ast.BinOp):
        return _union(_alternatives(node), models, enums)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return _subscript(node.value.id, node.slice, models, enums)
    return Annotated()


def _named(name: str, models: set[str], enums: dict[str, tuple[str, ...]]) -> Annotated:
    if name in SCALARS:
        return Annotated(type=SCALARS[name])
    if name in CONSTRAINED:
        kind, minimum = CONSTRAINED[name]
        return Annotated(type=kind, minimum=minimum)
    if name in enums:
        return Annotated(type="str", allowed=enums[name])
    return Annotated(class_name=name if name in models else "")


def _subscript(
    name: str, inner: ast.expr, models: set[str], enums: dict[str, tuple[str, ...]]
) -> Annotated:
    members = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    if name == "Literal":
        values = tuple(member.value for member in members if isinstance(member, ast.Constant))
        return Annotated(type="str", allowed=tuple(v for v in values if v is not None))
    if name == "Optional":
        return replace(read_annotation(inner, models, enums), is_nullable=True)
    if name == "Union":
        return _union(members, models, enums)
    if name == "Annotated":
        return read_annotation(members[0], models, enums)
    if name in LISTS:
        member = read_annotation(members[0], models, enums)
        kind = f"list[{member.type}]" if member.type in {"int", "float", "str"} else "list"
        return Annotated(type=kind, allowed=member.allowed, minimum=member.minimum)
    return Annotated()


def _alternatives(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return _alternatives(node.left) + _alternatives(node.right)
    return [node]


def _union(
    members: list[ast.expr], models: set[str], enums: dict[str, tuple[str, ...]]
) -> Annotated:
    """One of several: `null` makes it nullable; a word beside a bool stays an allowed word."""
    is_null = [isinstance(member, ast.Constant) and member.value is None for member in members]
    read = [
        read_annotation(member, models, enums)
        for member, null in zip(members, is_null, strict=True)
        if not null
    ]
    kinds = {item.type for item in read}
    words = tuple(word for item in read for word in item.allowed)
    if kinds <= {"str"}:
        is_free = any(item.type == "str" and not item.allowed for item in read)
        return Annotated(type="str", is_nullable=any(is_null), allowed=() if is_free else words)
    if kinds == {"bool", "str"} and words:
        return Annotated(type="bool", is_nullable=any(is_null), allowed=words)
    if kinds <= {"int", "float"}:
        return Annotated(type="float", is_nullable=any(is_null))
    if len(read) == 1:
        return replace(read[0], is_nullable=any(is_null))
    return Annotated(is_nullable=any(is_null))
