"""How a table is named in a declaration: `sql://<conn_id>/<[schema.]table>?<column>={partition}`.

A dot, slash, question mark or other sign inside a name is percent-encoded, as in any URI.
"""

import re
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import quote, unquote

from retrain.exceptions import DeclarationError

SCHEME = "sql://"
PLACEHOLDER = "{partition}"
WIDTH = 19  # digits of the largest 64-bit integer
Operator = Literal["=", ">", "<="]

_CONDITION = re.compile(r"(?P<column>[^=<>]+)(?P<operator><=|>|=)(?P<value>.*)", re.DOTALL)
_FORM = "sql://<conn_id>/<[schema.]table>"
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhd]?)")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Condition:
    """What a row's column must be: equal to a value, above it, or up to it. The value is text: the column types it."""

    column: str
    operator: Operator
    value: str

    def __str__(self) -> str:
        return f"{quote(self.column, safe='')}{self.operator}{quote(self.value, safe=':')}"


@dataclass(frozen=True)
class SqlTable:
    """A table behind a connection, or those of its rows for which all `conditions` hold."""

    conn_id: str
    name: str
    schema: str | None = None
    conditions: tuple[Condition, ...] = ()

    @property
    def uri(self) -> str:
        """The form that `table_of` reads."""
        parts = [part for part in (self.schema, self.name) if part is not None]
        path = ".".join(quote(part, safe="").replace(".", "%2E") for part in parts)
        query = "&".join(map(str, self.conditions))
        return f"{SCHEME}{quote(self.conn_id, safe='')}/{path}" + (f"?{query}" if query else "")


@dataclass(frozen=True)
class SqlSource:
    """A template of partitions over a table.

    `monotonic` is False where each distinct value of `column` is a partition, and True where the column only grows and
    a partition is what came after the one before. `changed` is a column that an update moves on. `lag` keeps back the
    newest rows of a monotonic column: seconds for times, that many for integers. `width` is to how many digits integers
    are padded in a partition's key.
    """

    table: SqlTable
    column: str
    monotonic: bool = False
    changed: str | None = None
    lag: float = 0.0
    width: int = WIDTH


def is_sql(uri: object) -> bool:
    """Say whether a template or URI names a table."""
    return isinstance(uri, str) and uri.startswith(SCHEME)


def table_of(uri: str) -> SqlTable:
    """Read `sql://<conn_id>/<[schema.]table>`, optionally with conditions such as `?day=2013-01-01`.

    Raises DeclarationError for anything else.
    """
    head, mark, query = uri.partition("?")
    table = _table(head, uri)
    if mark and not query:
        raise _wrong(uri, "nothing follows '?'")
    conditions = tuple(_condition(part, uri) for part in query.split("&")) if query else ()
    return SqlTable(table.conn_id, table.name, table.schema, conditions)


def parse(template: str) -> SqlSource:
    """Read a template of partitions.

    `?<column>={partition}`, optionally `&changed=<column>`: each distinct value is a partition; its token is the number
    of rows, with `changed` also the latest value of that column, so that corrected rows are noticed.
    `?<column>>{partition}`, optionally `&lag=<number>[s|m|h|d]`: the column only grows; rows after the last known
    partition are the next. Both take `&width=<digits>`. Raises DeclarationError.
    """
    head, _, query = template.partition("?")
    table = _table(head, template)
    column, options = None, {}
    for condition in (_condition(part, template) for part in query.split("&") if part):
        if condition.value == PLACEHOLDER and condition.operator != "<=" and column is None:
            column = condition
        elif condition.operator == "=" and condition.column not in options:
            options[condition.column] = condition.value
        else:
            raise _wrong(template, f"{condition} is neither the partition's column nor an option")
    if column is None:
        raise _wrong(template, f"no column is compared with {PLACEHOLDER}")
    monotonic = column.operator == ">"
    if unknown := sorted(set(options) - ({"lag", "width"} if monotonic else {"changed", "width"})):
        raise _wrong(template, f"unknown options {unknown}")
    return SqlSource(
        table, column.column, monotonic,
        changed=options.get("changed"),
        lag=_lag(options.get("lag", "0"), template),
        width=_width(options.get("width", str(WIDTH)), template),
    )  # fmt: skip


def _table(head: str, uri: str) -> SqlTable:
    conn_id, slash, path = head.removeprefix(SCHEME).partition("/")
    names = [unquote(name) for name in path.split(".")]
    if not head.startswith(SCHEME) or not conn_id or not slash or len(names) > 2 or not all(names) or "/" in path:
        raise _wrong(uri, f"it does not begin with {_FORM}")
    return SqlTable(unquote(conn_id), names[-1], names[0] if len(names) == 2 else None)


def _condition(part: str, uri: str) -> Condition:
    match = _CONDITION.fullmatch(part)
    if match is None:
        raise _wrong(uri, f"{part!r} is not <column>=<value>")
    operator = cast("Operator", match["operator"])
    return Condition(unquote(match["column"]), operator, unquote(match["value"]))


def _lag(text: str, template: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise _wrong(template, f"lag={text!r} is not a number, with s, m, h or d behind it for times")
    return float(match["number"]) * _SECONDS[match["unit"]]


def _width(text: str, template: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= WIDTH:
        raise _wrong(template, f"width={text!r} is not a number of digits from 1 to {WIDTH}")
    return int(text)


def _wrong(uri: str, reason: str) -> DeclarationError:
    return DeclarationError(
        f"{uri!r} does not name a table: {reason}",
        expected=f"{_FORM}?<column>={PLACEHOLDER}[&changed=<column>] or {_FORM}?<column>>{PLACEHOLDER}[&lag=<number>]; "
        f"a table alone is {_FORM}, or with ?<column>=<value>",
    )
