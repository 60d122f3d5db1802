"""Records to plain JSON values and back, by their type annotations.

`encode` accepts what a record may hold: records, enums, strings, numbers, booleans, None, sequences and
string-keyed mappings. `decode` rebuilds a record and refuses unknown and missing fields by name, so that a
document written by another version fails with its reason and not later, somewhere else.
"""

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

from retrain.exceptions import ContractError

RecordT = TypeVar("RecordT")
EnumT = TypeVar("EnumT", bound=enum.Enum)


def encode(value: Any) -> Any:
    """Turn a record into plain JSON values (dict, list, str, int, float, bool, None).

    Floats that JSON cannot carry (NaN, infinities) become None: a number that is not known.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, Sequence | frozenset | set):
        return [encode(item) for item in value]
    raise TypeError(f"a record may not hold a {type(value).__name__}: {value!r}")


def decode(cls: type[RecordT], document: Mapping[str, Any]) -> RecordT:
    """Rebuild a record of class `cls` from what `encode` made.

    Raises ContractError naming the record and the field that is unknown, missing or of the wrong shape.
    """
    if not isinstance(document, Mapping):
        raise ContractError(f"{cls.__name__} came as {type(document).__name__}", expected="a JSON object")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(set(document) - set(fields)):
        raise ContractError(f"{cls.__name__} has unknown fields {unknown}", expected=f"some of {sorted(fields)}")
    missing = [
        name
        for name, field in fields.items()
        if name not in document
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ContractError(f"{cls.__name__} lacks the fields {missing}", expected="every field without a default")
    hints = typing.get_type_hints(cls)
    return cls(**{name: _value(hints[name], item, f"{cls.__name__}.{name}") for name, item in document.items()})


def member(kind: type[EnumT], value: Any, where: str) -> EnumT:
    """Return the member of a closed vocabulary, also where its bare value is given; ContractError naming `where`."""
    try:
        return kind(value)
    except ValueError:
        allowed = " | ".join(str(one.value) for one in kind)
        raise ContractError(f"{where} is {value!r}", expected=allowed) from None


def _value(hint: Any, item: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if item is None and type(None) in args:
            return None
        return _value(next(arg for arg in args if arg is not type(None)), item, where)
    if dataclasses.is_dataclass(hint):
        return decode(typing.cast("type[Any]", hint), item)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return member(hint, item, where)
    if origin is tuple:
        # A string is a sequence too: without this, `columns="carrier"` would become seven columns.
        _require(isinstance(item, Sequence) and not isinstance(item, str | bytes), item, where, "a list")
        return tuple(_value(args[0], part, f"{where}[{index}]") for index, part in enumerate(item))
    if origin in (dict, Mapping):
        _require(isinstance(item, Mapping), item, where, "an object")
        return {key: _value(args[1], part, f"{where}[{key!r}]") for key, part in item.items()}
    return _scalar(hint, item, where)


def _require(holds: bool, item: Any, where: str, expected: str) -> None:
    if not holds:
        raise ContractError(f"{where} is {item!r} ({type(item).__name__})", expected=expected)


def _scalar(hint: Any, item: Any, where: str) -> Any:
    if hint is float and isinstance(item, int) and not isinstance(item, bool):
        return float(item)
    if hint in (str, int, float, bool):
        _require(isinstance(item, hint) and (hint is bool or not isinstance(item, bool)), item, where, hint.__name__)
    return item


class Record:
    """Base of the records: `to_dict` and `from_dict`."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        document: dict[str, Any] = encode(self)
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`; ContractError names a field that does not fit."""
        return decode(cls, document)
