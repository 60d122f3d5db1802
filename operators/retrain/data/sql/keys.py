"""Partition keys of a table's values: text whose order is the values' order, and which is safe in a path."""

import datetime as dt
import unicodedata
import uuid
from decimal import Decimal
from typing import Any

from retrain.exceptions import UnreadableDataError

LIMIT = 200


def key_of(value: Any, width: int, uri: str) -> str:
    r"""Return the key of a column's value.

    Integers are padded with zeros to `width` digits, times are ISO 8601 (with a zone: in UTC). In text, what cannot
    stand in a name (`/`, `\`, control characters, a leading dot, `%` itself) is percent-encoded. Raises
    UnreadableDataError for values that have no such order: fractions, negative numbers.
    """
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo is None else value.astimezone(dt.UTC)).isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, int) and value >= 0:
        key = f"{value:0{width}d}"
        if len(key) <= width:
            return key
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, str) and len(key := _harmless(value)) <= LIMIT:
        return key
    raise UnreadableDataError(
        f"{uri} has the value {str(value)[:LIMIT]!r} in the column of its partitions",
        expected=f"text of at most {LIMIT} characters, a date, a time, or a whole number of at most {width} digits",
        remedy="Choose another column, or raise width",
    )


def _harmless(text: str) -> str:
    odd = {sign for sign in text if sign in "/\\%" or unicodedata.category(sign) in ("Cc", "Cs")}
    # An empty text becomes a lone "%", which no other text does.
    encoded = "".join(_encoded(sign) if sign in odd else sign for sign in text) or "%"
    return _encoded(".") + encoded[1:] if encoded.startswith(".") else encoded


def _encoded(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode("utf-8", "surrogatepass"))
