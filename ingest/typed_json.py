"""Dataclasses as JSON and back, each value checked against its annotation: for what another process sends."""

from __future__ import annotations

import contextlib
import dataclasses
import types
import typing
from typing import Any


def to_json(value: Any) -> Any:
    """A dataclass, or anything made of dataclasses, tuples, lists, mappings and scalars, as JSON's own types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    if isinstance(value, (tuple, list, set, frozenset)):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return [[to_json(key), to_json(item)] for key, item in value.items()]
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise TypeError(f"{type(value).__name__} has no form in JSON here")


def from_json(value: Any, kind: Any) -> Any:
    """The value that `to_json` was given, checked against its type annotation.

    Raises:
        TypeError, ValueError: `value` is not of that type.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise TypeError(f"{kind.__name__} expected")
        hints = typing.get_type_hints(kind)
        return kind(**{name: from_json(item, hints[name]) for name, item in value.items()})
    if origin in (typing.Union, types.UnionType):
        for choice in arguments:
            with contextlib.suppress(TypeError, ValueError, KeyError):
                return from_json(value, choice)
        raise TypeError(f"{kind} expected")
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise ValueError(f"{kind} expected")
    if origin in (tuple, list, set, frozenset, dict) and isinstance(value, list):
        return _collection(value, origin, arguments)
    if kind is float and type(value) is int:
        return float(value)
    if kind is Any or type(value) is kind or (value is None and kind is types.NoneType):
        return value
    raise TypeError(f"{kind} expected")


def _collection(value: list[Any], origin: Any, arguments: tuple[Any, ...]) -> Any:
    if origin is dict:
        return {from_json(key, arguments[0]): from_json(item, arguments[1]) for key, item in value}
    if origin is tuple and arguments[-1] is not Ellipsis:
        return tuple(from_json(item, one) for item, one in zip(value, arguments, strict=True))
    return origin(from_json(item, arguments[0]) for item in value)
