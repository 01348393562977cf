"""Plain data (of TOML or JSON) into dataclasses, checked by their annotations, and back.

Knows no particular dataclass. scenario.py and result.py call it: of a person's file unknown keys are refused,
with the nearest one that there is; of a result they are passed over, as a later version may have more.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from fastserve.words import Refusal

T = TypeVar("T")

WORDS: Final = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def made(kind: type[T], value: Any, where: str, strict: bool = True) -> T:
    """Return ``value`` as a ``kind``: a dataclass, or what an annotation may name.

    ``where`` (str) says to a person which value this is. Raises Refusal where it is not of that kind, where
    it lacks what has no default, and, if ``strict``, where it has what there is no field for.
    """
    return typing.cast(T, _made(kind, value, where, strict))


def plain(value: Any) -> Any:
    """Return what JSON can hold of dataclasses, lists and tables."""
    if dataclasses.is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say behind a name that is not known: the one that may be meant, or all that there are."""
    known = list(known)
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"; is {near[0]!r} meant?"
    return f"; there are {', '.join(known)}" if known else ""


def _made(kind: Any, value: Any, where: str, strict: bool) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _one_of(typing.get_args(kind), value, where, strict)
    if origin is typing.Literal:
        return _choice(typing.get_args(kind), value, where)
    if origin in (list, tuple):
        return _sequence(origin, typing.get_args(kind), value, where, strict)
    if origin in (dict, Mapping):
        _ensure(isinstance(value, dict), value, where, "a table")
        inner = typing.get_args(kind)[1]
        return {key: _made(inner, each, f"{where}.{key}", strict) for key, each in value.items()}
    if dataclasses.is_dataclass(kind):
        return _of_fields(kind, value, where, strict)
    return _simple(kind, value, where)


def _simple(kind: Any, value: Any, where: str) -> Any:
    accepted = (int, float) if kind is float else kind
    right = isinstance(value, accepted) and (kind is bool or not isinstance(value, bool))
    _ensure(right, value, where, WORDS.get(kind, kind.__name__))
    return float(value) if kind is float else value


def _choice(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if value not in choices:
        raise Refusal(f"{where} is {value!r}{nearest(str(value), map(str, choices))}")
    return value


def _sequence(origin: Any, kinds: tuple[Any, ...], value: Any, where: str, strict: bool) -> Any:
    _ensure(isinstance(value, (list, tuple)), value, where, "a list")
    if origin is tuple and kinds[-1] is not Ellipsis:
        _ensure(len(value) == len(kinds), value, where, f"a list of {len(kinds)}")
    else:
        kinds = (kinds[0],) * len(value)
    return origin(_made(kind, each, f"{where}[{i}]", strict)
                  for i, (kind, each) in enumerate(zip(kinds, value, strict=True)))


def _one_of(kinds: tuple[Any, ...], value: Any, where: str, strict: bool) -> Any:
    """The first that takes it. Where none does, the one that comes closest says why."""
    if value is None and type(None) in kinds:
        return None
    reasons = []
    for kind in kinds:
        if kind is not type(None):
            try:
                return _made(kind, value, where, strict)
            except Refusal as refusal:
                reasons.append((_is_shaped_as(kind, value), refusal))
    raise max(reasons, key=lambda each: each[0])[1]


def _is_shaped_as(kind: Any, value: Any) -> bool:
    tables = dataclasses.is_dataclass(kind) or typing.get_origin(kind) is dict
    lists = typing.get_origin(kind) in (list, tuple)
    if isinstance(value, dict):
        return tables
    return lists if isinstance(value, list) else not tables and not lists


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _of_fields(kind: Any, value: Any, where: str, strict: bool) -> Any:
    _ensure(isinstance(value, dict), value, where, "a table")
    hints, found = _hints(kind), {}
    fields = {each.name: each for each in dataclasses.fields(kind) if each.init}
    for name, each in value.items():
        if name in fields:
            found[name] = _made(hints[name], each, f"{where}.{name}" if where else name, strict)
        elif strict:
            raise Refusal(f"{where or 'it'} has no {name!r}{nearest(name, fields)}")
    for name, field in fields.items():
        needed = field.default is field.default_factory is dataclasses.MISSING
        if needed and name not in found:
            raise Refusal(f"{where or 'it'} lacks {name!r}")
    return kind(**found)


def _ensure(right: bool, value: Any, where: str, what: str) -> None:
    if not right:
        text = repr(value)
        raise Refusal(f"{where or 'it'} is not {what}: {text if len(text) < 60 else text[:57] + '...'}")
