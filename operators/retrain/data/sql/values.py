"""A database's types as Arrow types: chosen by the column and never by its values, so that no partition differs."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from retrain.exceptions import UnreadableDataError

_DECIMAL128, _DECIMAL256 = 38, 76
Convert = Callable[[Any], Any]


@dataclass(frozen=True)
class Field:
    """A column on its way: what is selected, its Arrow type, and how a value is converted, if at all."""

    name: str
    selected: Any
    type: Any
    convert: Convert | None = None

    def array(self, values: Sequence[Any], uri: str) -> Any:
        """Return values as an Arrow array; UnreadableDataError where one is not of the column's type."""
        import pyarrow as pa

        convert = self.convert
        try:
            if convert is not None:
                values = [None if value is None else convert(value) for value in values]
            return pa.array(values, self.type)
        except (pa.ArrowException, ValueError, TypeError, ArithmeticError) as error:
            raise UnreadableDataError(
                f"{uri} has values in the column {self.name!r} that are no {self.type}: {type(error).__name__}",
                expected="values of the type that the table declares",
            ) from error


def field_of(column: sa.Column[Any], dialect: sa.Dialect) -> Field:
    """Choose the Arrow type of a column.

    Integers become int64. A numeric with precision and scale stays exact; one without becomes a double. A time with a
    zone is in UTC, in microseconds. What Arrow has no plain type for (JSON, arrays, types of the database's own)
    becomes text.
    """
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float):
        return _numeric(column, kind, dialect)
    plain: tuple[tuple[Any, Any, Convert | None], ...] = (
        (sa.Boolean, pa.bool_(), None),
        (sa.Integer, pa.int64(), None),
        (sa.Float, pa.float64(), float),
        (sa.DateTime, pa.timestamp("us", "UTC" if getattr(kind, "timezone", False) else None), None),
        (sa.Date, pa.date32(), None),
        (sa.Time, pa.time64("us"), None),
        (sa.Interval, pa.duration("us"), None),
        (sa.LargeBinary, pa.binary(), bytes),
        (sa.String, pa.string(), str),
        ((sa.JSON, sa.ARRAY), pa.string(), _json),
    )
    for classes, arrow, convert in plain:
        if isinstance(kind, classes):
            return Field(column.name, column, arrow, convert)
    return Field(column.name, column, pa.string(), str)


def _numeric(column: sa.Column[Any], kind: "sa.Numeric[Any]", dialect: sa.Dialect) -> Field:
    import pyarrow as pa

    # A driver that has no decimals (SQLite) gives floats, and a warning if it is made to give decimals.
    selected = column if dialect.supports_native_decimal else sa.type_coerce(column, sa.Float())
    precision, scale = kind.precision, kind.scale or 0
    if precision is None or not 0 <= scale <= precision <= _DECIMAL256:
        return Field(column.name, selected, pa.float64(), float)
    arrow = pa.decimal128(precision, scale) if precision <= _DECIMAL128 else pa.decimal256(precision, scale)
    unit = Decimal(1).scaleb(-scale)
    return Field(
        column.name, selected, arrow, lambda value: value if isinstance(value, Decimal) else _exact(value, unit)
    )


def _exact(value: Any, unit: Decimal) -> Decimal:
    return Decimal(str(value)).quantize(unit)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
